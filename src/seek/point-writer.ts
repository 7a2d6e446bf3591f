/**
 * Access points on their way into an index: written while a layer is decompressed, so that memory
 * holds only what the index will.
 *
 * @module
 */
import { deflateSync } from "fflate";
import { WINDOW_BYTES } from "./deflate-codes.ts";
import { GROUP_POINTS } from "./format.ts";
import { VarintWriter } from "./varint.ts";

/** The points of one layer, as `format.ts` describes them; plain data for a thread to send. */
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
    let end = 0; // of the last run
    for (let start = used.indexOf(1); start >= 0; start = used.indexOf(1, end)) {
      const stop = used.indexOf(0, start);
      runs.push(start - end);
      end = stop < 0 ? used.length : stop;
      runs.push(end - start);
      this.#data.set(window.subarray(start, end), this.#dataEnd);
      this.#dataEnd += end - start;
    }
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

/**
 * A compressor whose output is the same on every machine: zlib's differs between processors, and the
 * digest of an index is signed.
 */
export function deflate(bytes: Uint8Array): Uint8Array {
  return deflateSync(bytes, { level: 1 }); // the others take longer for a few per cent less
}
