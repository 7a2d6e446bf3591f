/**
 * A layer once it has been read: what it holds, and what is known of its bytes.
 *
 * @module
 */
import type { LayerReport } from "../oci/layer/layer.ts";
import type { Layer, LayerEntry } from "../tree/merge.ts";

/** A layer that has been read. */
export interface ReadLayer extends Layer {
  readonly entries: readonly LayerEntry[];
  /** Bytes of the blob. */
  readonly size: number;
  readonly report: LayerReport;
}
