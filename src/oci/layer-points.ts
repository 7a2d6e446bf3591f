/**
 * The access points of a layer, gathered while it is decompressed.
 *
 * @module
 */
import { PointFinder } from "../seek/point-finder.ts";
import { PointWriter, type WrittenPoints } from "../seek/point-writer.ts";

/** Uncompressed bytes between points that need no window. */
const FRAME_SPAN_BYTES = 64 * 1024;

export class LayerPoints {
  readonly #writer = new PointWriter();
  readonly finder = new PointFinder((point) => this.#writer.add(point.bit, point.out, point));
  #last = -FRAME_SPAN_BYTES;

  /** A zstd frame begins, after so many bytes of the blob and of the uncompressed layer. */
  readonly frame = (offset: number, out: number): void => {
    if (out - this.#last < FRAME_SPAN_BYTES) return;
    this.#last = out;
    this.#writer.add(offset, out);
  };

  /** All of them; call it once. */
  finish(): WrittenPoints {
    return this.#writer.finish();
  }
}
