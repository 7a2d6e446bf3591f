/**
 * Decompressing a part of a gzip layer, from an access point on. By zlib's handle where that does
 * what we expect, else by our own decoder; the results are the same.
 *
 * @module
 */
import { constants, createInflateRaw, deflateRawSync } from "node:zlib";
import { FormatError } from "../../errors.ts";
import { Inflater, type InflaterStop } from "../../seek/inflater.ts";
import { prefixFor } from "./deflate-prefix.ts";
import { GzipGap } from "./gzip-header.ts";
import { ZlibHandle } from "./zlib-handle.ts";
import { defined } from "../../optional.ts";

/** For tests: which of the two decoders that must agree. */
export type RawDecoder = "zlib" | "own";

/** One deflate stream being decoded. */
interface RawStream {
  /** Decodes from `used` on into `output`; `ended` when the stream has. */
  write(
    input: Uint8Array,
    used: number,
    output: Uint8Array,
  ): { readonly used: number; readonly filled: number; readonly ended: boolean };
  /** There is no more input: what can still be decoded, until that is nothing. */
  finish(output: Uint8Array): number;
  close(): void;
}

const CHUNK_BYTES = 64 * 1024;

/**
 * The uncompressed bytes that follow an access point, up to `length` of them, in chunks that are
 * valid until the next. `chunks` are the blob's bytes from the one on in which the point lies.
 *
 * @param phase the bit of the first byte at which the point lies
 * @throws {@link FormatError} when they are not what a gzip file has there
 */
export async function* gunzipFrom(
  chunks: AsyncIterable<Uint8Array>,
  phase: number,
  window: Uint8Array,
  length: number,
  decoder?: RawDecoder,
): AsyncGenerator<Uint8Array, void> {
  const open = decoder !== "own" && handleWorks() ? openZlib : openOwn;
  const output = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, Math.max(1, length)));
  let left = length;
  let stream: RawStream | undefined;
  let gap: GzipGap | undefined;
  let begun = false;
  try {
    for await (const chunk of chunks) {
      if (chunk.length === 0) continue;
      let used = 0;
      if (!begun) stream = open(window, phase, chunk[used++]);
      begun = true;
      while (used < chunk.length || stream !== undefined) {
        if (stream === undefined) {
          gap ??= new GzipGap();
          used = gap.push(chunk, used);
          if (!gap.done) break;
          gap = undefined;
          stream = open(NO_WINDOW, 0, undefined);
        }
        const room = left < output.length ? output.subarray(0, left) : output;
        const result = stream.write(chunk, used, room);
        const { filled, ended } = result;
        used = result.used;
        if (filled > 0) yield output.subarray(0, filled);
        left -= filled;
        if (left === 0) return;
        if (ended) {
          stream.close();
          stream = undefined;
        } else if (filled < room.length) break; // it wants more input
      }
    }
    while (stream !== undefined && left > 0) {
      const filled = stream.finish(output.subarray(0, left));
      if (filled === 0) return;
      yield output.subarray(0, filled);
      left -= filled;
    }
  } finally {
    stream?.close();
  }
}

const NO_WINDOW = new Uint8Array(0);

class ZlibStream implements RawStream {
  readonly #handle: ZlibHandle;
  #pending: Uint8Array | undefined;

  constructor(window: Uint8Array, phase: number, first: number | undefined) {
    const dictionary = window.length > 0 ? window : undefined;
    const options = defined({ chunkSize: CHUNK_BYTES, dictionary });
    this.#handle = new ZlibHandle(createInflateRaw(options));
    if (first !== undefined) this.#pending = prefixFor(phase, first);
  }

  write(input: Uint8Array, used: number, output: Uint8Array) {
    let filled = 0;
    if (this.#pending !== undefined) {
      const first = this.#step(this.#pending, 0, output, 0);
      if (first.used < this.#pending.length) {
        if (first.filled < output.length) return { used, filled: first.filled, ended: true };
        this.#pending = this.#pending.subarray(first.used);
        return { used, filled: first.filled, ended: false };
      }
      this.#pending = undefined;
      filled = first.filled;
    }
    const result = this.#step(input, used, output, filled);
    const ended = result.used < input.length && result.filled < output.length;
    return { ...result, ended };
  }

  /** It has decoded all that it could. */
  finish(): number {
    return 0;
  }

  #step(input: Uint8Array, used: number, output: Uint8Array, filled: number) {
    const result = this.#handle.write(constants.Z_SYNC_FLUSH, input, used, output, filled);
    const { error } = this.#handle;
    if (error !== undefined) throw new FormatError("MALFORMED", `gzip: ${error.message}`);
    return result;
  }

  close(): void {
    this.#handle.close();
  }
}

class OwnStream implements RawStream {
  readonly #inflater: Inflater;
  #rest: Uint8Array = NO_WINDOW; // decoded, but not taken
  #pushed = 0; // bytes
  #input: Uint8Array | undefined;
  #inputAt = 0;

  constructor(window: Uint8Array, phase: number, first: number | undefined) {
    this.#inflater = new Inflater(window, phase);
    if (first === undefined) return;
    this.#inflater.push(Uint8Array.of(first));
    this.#pushed = 1;
  }

  finish(output: Uint8Array): number {
    this.#inflater.finish();
    return this.write(NO_WINDOW, 0, output).filled;
  }

  write(input: Uint8Array, used: number, output: Uint8Array) {
    if (this.#input !== input) {
      this.#input = input;
      this.#inputAt = used;
      this.#inflater.push(input.subarray(used));
      this.#pushed += input.length - used;
    }
    let filled = 0;
    for (;;) {
      const count = Math.min(this.#rest.length, output.length - filled);
      output.set(this.#rest.subarray(0, count), filled);
      this.#rest = this.#rest.subarray(count);
      filled += count;
      if (filled === output.length) return { used: this.#inputAt, filled, ended: false };
      const stop = this.#run();
      this.#rest = this.#inflater.take();
      if (this.#rest.length > 0) continue;
      if (stop === "input") return { used: input.length, filled, ended: false };
      if (stop !== "end") continue;
      // Whole bytes that it has not looked at belong to what follows.
      const left = this.#pushed - Math.ceil(this.#inflater.position / 8);
      return { used: input.length - left, filled, ended: true };
    }
  }

  /** A stream that is cut gives what it has. */
  #run(): InflaterStop {
    try {
      return this.#inflater.run();
    } catch (error) {
      if (error instanceof FormatError && error.code === "TRUNCATED") return "input";
      throw error;
    }
  }

  close(): void {}
}

const openZlib = (window: Uint8Array, phase: number, first: number | undefined) =>
  new ZlibStream(window, phase, first);
const openOwn = (window: Uint8Array, phase: number, first: number | undefined) =>
  new OwnStream(window, phase, first);

let works: boolean | undefined;

/** Whether this Node's private handle does what we expect of it; tried once. */
function handleWorks(): boolean {
  works ??= tryHandle();
  return works;
}

function tryHandle(): boolean {
  const window = Buffer.from("what the stream refers to, ".repeat(20));
  const text = Buffer.from("what the stream refers to, and a text of its own".repeat(40));
  const packed = Buffer.concat([deflateRawSync(text, { dictionary: window }), Buffer.alloc(9)]);
  const end = packed.length - 9;
  const output = Buffer.alloc(text.length);
  const stream = new ZlibStream(window, 0, packed[0]);
  try {
    const first = stream.write(packed, 1, output.subarray(0, 100));
    const second = stream.write(packed, first.used, output.subarray(100));
    const third = stream.write(packed, second.used, Buffer.alloc(1));
    return third.ended && third.used === end && third.filled === 0 && output.equals(text);
  } catch {
    return false;
  } finally {
    stream.close();
  }
}
