/**
 * What a reader of archives may be told.
 *
 * @module
 */

export interface TarOptions {
  /** Also refuses a pax size that differs from the header's although the header could hold it. */
  readonly strict?: boolean;
  /** Takes what is odd but accepted. */
  readonly warn?: (message: string) => void;
}
