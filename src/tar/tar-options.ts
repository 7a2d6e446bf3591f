/**
 * Options of the tar parser.
 *
 * @module
 */

/** What to do about a layer with more bytes than it may have. */
export const RAISE_BOUND = "if you trust the image, allow more with --max-layer-size";

export interface TarOptions {
  /** Also refuses a pax size that differs from the header's although the header could hold it. */
  readonly strict?: boolean;
  /** The most bytes of the archive with its sparse files expanded; 256 GiB by default. */
  readonly maxBytes?: number;
  /** Called with a message about each oddity that is accepted. */
  readonly warn?: (message: string) => void;
}
