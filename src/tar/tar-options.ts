/**
 * Options of the tar parser.
 *
 * @module
 */

export interface TarOptions {
  /** Also refuses a pax size that differs from the header's although the header could hold it. */
  readonly strict?: boolean;
  /** Called with a message about each oddity that is accepted. */
  readonly warn?: (message: string) => void;
}
