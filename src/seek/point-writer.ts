/**
 * Writes access points for an index while a layer is decompressed, so that memory holds only what
 * the index will.
 *
 * Spec: docs/seek-index.md, "Points" and "Windows".
 *
 * @module
 */
import { WINDOW_BYTES } from "./deflate-format.ts";
import { deflate } from "./deflater.ts";
import { GROUP_POINTS } from "./format.ts";
import { VarintWriter } from "../bytes/varint.ts";

/** The points of one layer, as an index has them; plain data for a thread to send. */
export interface WrittenPoints {
  readonly count: number;
  readonly points: Uint8Array;
  readonly pointsPlainBytes: number;
  readonly windows: Uint8Array;
}

/** What a point needs to be decompressed from; see `point-finder.ts`. */
export interface PointWindow {
  readonly window: Uint8Array;
  readonly used: Uint8Array;
}

/** The layer has no points. */
export const NO_POINTS: WrittenPoints = {
  count: 0,
  points: new Uint8Array(0),
  pointsPlainBytes: 0,
  windows: new Uint8Array(0),
};

export class PointWriter {
  readonly #places: number[] = [];
  readonly #outs: number[] = [];
  readonly #groups: { readonly plain: number; readonly bytes: Uint8Array }[] = [];
  #runs = new VarintWriter();
  readonly #data = new Uint8Array(GROUP_POINTS * WINDOW_BYTES);
  #dataEnd = 0;

  /** @param place in the blob: bits for gzip, bytes for zstd */
  add(place: number, out: number, window?: PointWindow): void {
    this.#places.push(place);
    this.#outs.push(out);
    if (window === undefined) return;
    this.#addWindow(window);
    if (this.#places.length % GROUP_POINTS === 0) this.#closeGroup();
  }

  finish(): WrittenPoints {
    const count = this.#places.length;
    if (count === 0) return NO_POINTS;
    if (this.#runs.bytes.length > 0) this.#closeGroup();
    const plain = new VarintWriter();
    addDeltas(plain, this.#places);
    addDeltas(plain, this.#outs);
    for (const group of this.#groups) {
      plain.add(group.bytes.length);
      plain.add(group.plain);
    }
    return {
      count,
      points: deflate(plain.bytes),
      pointsPlainBytes: plain.bytes.length,
      windows: concatenated(this.#groups.map((group) => group.bytes)),
    };
  }

  #addWindow({ window, used }: PointWindow): void {
    const runs: number[] = [];
    const data = this.#data;
    let dataEnd = this.#dataEnd;
    // Most are not used: four of them are tested together.
    const words = new Uint32Array(used.buffer, used.byteOffset, used.length >>> 2);
    let end = 0; // of the last run
    for (let at = 0; at < used.length;) {
      if (used[at] === 0) {
        at++;
        if ((at & 3) !== 0) continue;
        let word = at >>> 2;
        while (word < words.length && words[word] === 0) word++;
        at = word << 2;
        continue;
      }
      const start = at;
      while (at < used.length && used[at] !== 0) data[dataEnd++] = window[at++]!;
      runs.push(start - end, at - start);
      end = at;
    }
    this.#dataEnd = dataEnd;
    this.#runs.add(runs.length / 2);
    for (const value of runs) this.#runs.add(value);
  }

  #closeGroup(): void {
    const runs = this.#runs.bytes;
    const plain = concatenated([runs, this.#data.subarray(0, this.#dataEnd)]);
    this.#groups.push({ plain: plain.length, bytes: deflate(plain) });
    this.#runs = new VarintWriter();
    this.#dataEnd = 0;
  }
}

function addDeltas(writer: VarintWriter, values: readonly number[]): void {
  let last = 0;
  for (const value of values) {
    writer.add(value - last);
    last = value;
  }
}

export function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
