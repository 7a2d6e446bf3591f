/**
 * A layer whose content is known, because it has been read or is remembered.
 *
 * @module
 */
import type { IndexedLayer } from "../seek/encode.ts";
import type { Layer, LayerEntry } from "../tree/merge.ts";

export interface ReadLayer extends Layer {
  readonly entries: readonly LayerEntry[];
  /** How a seek index describes its blob; undefined when none is wanted. */
  readonly indexed: IndexedLayer | undefined;
  /** What reading it warned of, without its label. */
  readonly warnings: readonly string[];
  /** Whether it was not read: its objects are where they were published, if they are. */
  readonly isRemembered: boolean;
}
