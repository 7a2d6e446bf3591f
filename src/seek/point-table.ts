/**
 * The access points of a layer, as an index has them, and the windows of those of gzip.
 *
 * Spec: docs/seek-index.md, "Points" and "Windows".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { WINDOW_BYTES } from "./deflate-format.ts";
import { GROUP_POINTS, MAX_GROUP_BYTES } from "./format.ts";
import { inflateExactly } from "./inflater.ts";
import type { AccessPoints, SeekCompression } from "./layer.ts";
import { VarintReader } from "../bytes/varint.ts";

/** Groups of windows kept decompressed. */
const KEPT_GROUPS = 4;

/** What a table is made of. */
export interface PointSource {
  readonly plain: Uint8Array;
  readonly windows: Uint8Array;
  readonly count: number;
  readonly compression: SeekCompression;
  /** Bytes of the blob, and of the uncompressed layer. */
  readonly size: number;
  readonly bytes: number;
  /** For messages. */
  readonly what: string;
}

interface Group {
  readonly start: number;
  readonly end: number;
  readonly plainBytes: number;
}

export class PointTable implements AccessPoints {
  readonly count: number;
  readonly #bits: Float64Array;
  readonly #outs: Float64Array;
  readonly #groups: Group[] = [];
  readonly #windows: Uint8Array;
  readonly #what: string;
  readonly #kept = new Map<number, readonly Uint8Array[]>();

  /** @throws {@link FormatError} when points do not ascend or lie outside of the layer */
  constructor({ plain, windows, count, compression, size, bytes, what }: PointSource) {
    this.count = count;
    this.#windows = windows;
    this.#what = what;
    const reader = new VarintReader(plain, `${what}: access points`);
    const unit = compression === "gzip" ? 1 : 8;
    this.#bits = readAscending(reader, count, (size * 8) / unit, what);
    if (unit > 1) for (let i = 0; i < count; i++) this.#bits[i]! *= unit;
    this.#outs = readAscending(reader, count, bytes, what);
    if (count > 0 && this.#outs[0] !== 0) {
      throw new FormatError("MALFORMED", `${what}: the first access point is not at the start`);
    }
    let start = 0;
    const groups = compression === "gzip" ? Math.ceil(count / GROUP_POINTS) : 0;
    for (let i = 0; i < groups; i++) {
      const end = start + reader.read(windows.length - start);
      this.#groups.push({ start, end, plainBytes: reader.read(MAX_GROUP_BYTES) });
      start = end;
    }
    reader.end();
    if (start !== windows.length) {
      throw new FormatError(
        "MALFORMED",
        `${what}: ${windows.length} bytes of windows, not ${start}`,
      );
    }
  }

  bit(point: number): number {
    return this.#bits[point]!;
  }

  out(point: number): number {
    return this.#outs[point]!;
  }

  /**
   * What a deflate decoder that starts at a point has to know of the output before it: its last bytes,
   * zeros for those that it will not ask for.
   *
   * @throws {@link FormatError} when this part of the index is broken
   */
  window(point: number): Uint8Array {
    const number = Math.floor(point / GROUP_POINTS);
    if (number >= this.#groups.length) return NO_WINDOW;
    let windows = this.#kept.get(number);
    this.#kept.delete(number); // and to the end, as the one that was used last
    windows ??= this.#readGroup(number);
    this.#kept.set(number, windows);
    if (this.#kept.size > KEPT_GROUPS) this.#kept.delete(this.#kept.keys().next().value!);
    return windows[point % GROUP_POINTS]!;
  }

  #readGroup(number: number): Uint8Array[] {
    const { start, end, plainBytes } = this.#groups[number]!;
    const what = `${this.#what}: windows ${number}`;
    const plain = inflateExactly(this.#windows.subarray(start, end), plainBytes);
    const reader = new VarintReader(plain, what);
    const points = Math.min(GROUP_POINTS, this.count - number * GROUP_POINTS);
    const runs = Array.from({ length: points }, () => readRuns(reader));
    const windows = runs.map((ofPoint) => {
      const [first] = ofPoint;
      if (first === undefined) return NO_WINDOW;
      const window = new Uint8Array(WINDOW_BYTES - first.start);
      for (const run of ofPoint) {
        window.set(reader.take(run.end - run.start), run.start - first.start);
      }
      return window;
    });
    reader.end();
    return windows;
  }
}

const NO_WINDOW = new Uint8Array(0);

function readRuns(reader: VarintReader): { readonly start: number; readonly end: number }[] {
  const runs = [];
  let at = 0;
  for (let left = reader.read(WINDOW_BYTES / 2); left > 0; left--) {
    const start = at + reader.read(WINDOW_BYTES - at);
    at = start + reader.read(WINDOW_BYTES - start);
    runs.push({ start, end: at });
  }
  return runs;
}

function readAscending(
  reader: VarintReader,
  count: number,
  max: number,
  what: string,
): Float64Array {
  const values = new Float64Array(count);
  let last = 0;
  for (let i = 0; i < count; i++) {
    const step = reader.read(max - last);
    if (step === 0 && i > 0) {
      throw new FormatError("MALFORMED", `${what}: access points that do not ascend`);
    }
    last += step;
    values[i] = last;
  }
  return values;
}
