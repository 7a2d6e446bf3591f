/**
 * The access points of a layer, gathered while it is decompressed.
 *
 * Spec: docs/seek-index.md, "How points are found".
 *
 * @module
 */
import { PointFinder } from "../../seek/point-finder.ts";
import { PointWriter, type WrittenPoints } from "../../seek/point-writer.ts";

/** Uncompressed bytes between points that need no window. */
const FRAME_SPAN_BYTES = 64 * 1024;

export class LayerPoints {
  readonly #writer = new PointWriter();
  readonly finder = new PointFinder((point) => this.#writer.add(point.bit, point.out, point));
  #last = -FRAME_SPAN_BYTES;
  /** A frame of which it is not known yet whether any output comes of it. */
  #frame: { readonly offset: number; readonly out: number } | undefined;

  /** A zstd frame begins, after this many bytes of the blob and of the uncompressed layer. */
  readonly frame = (offset: number, out: number): void => {
    this.#settle(out);
    if (this.#frame !== undefined || out - this.#last >= FRAME_SPAN_BYTES) {
      this.#frame = { offset, out };
    }
  };

  /**
   * All of them; call it once.
   *
   * @param bytes of the uncompressed layer
   */
  finish(bytes: number): WrittenPoints {
    this.#settle(bytes);
    return this.#writer.finish();
  }

  #settle(out: number): void {
    const frame = this.#frame;
    if (frame === undefined || out === frame.out) return;
    this.#last = frame.out;
    this.#writer.add(frame.offset, frame.out);
    this.#frame = undefined;
  }
}
