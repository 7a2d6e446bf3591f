/**
 * gzip (RFC 1952) as a stream of chunks: any number of members, every header flag, nothing after
 * the last member. zlib checks each member's CRC and length.
 *
 * Two ways with the same results. The documented stream inflates in the thread pool and hands over
 * a new buffer each time. The handle inside it can inflate at once into memory of ours, which is
 * about 1.3 times as fast, but is Node's private matter: it is only used where a trial at the first
 * use shows that it behaves as expected.
 *
 * @module
 */
import { Readable, pipeline } from "node:stream";
import { constants, createGunzip, gzipSync } from "node:zlib";
import { FormatError } from "../errors.ts";
import type { BlobInput } from "./blob-input.ts";

const CHUNK = 1024 * 1024;

/** Gives the next buffer to decompress into; at least one byte long. */
export type NextBuffer = () => Uint8Array;

/** What is wrong with a gzip stream, by zlib's error code. */
function gzipError(code: string | undefined, message: string, label: string): FormatError {
  if (code === "Z_BUF_ERROR")
    return new FormatError("TRUNCATED", `${label}: gzip stream is cut short`);
  const checksum = message === "incorrect data check" || message === "incorrect length check";
  return new FormatError(checksum ? "BAD_CHECKSUM" : "MALFORMED", `${label}: gzip: ${message}`);
}

function trailing(at: number, label: string): FormatError {
  return new FormatError("MALFORMED", `${label}: gzip: data after the last member at ${at}`);
}

/** Inflates by the documented stream. Chunks stay valid. */
export async function* gunzipStream(
  input: BlobInput,
  label: string,
): AsyncGenerator<Uint8Array, void> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  // What is wrong shows when the output is read; the callback keeps it from being thrown twice.
  pipeline(Readable.from(input.chunks(true), { highWaterMark: 1 }), gunzip, () => {});
  try {
    for await (const chunk of gunzip as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith("Z_") !== true && code !== "ERR_TRAILING_JUNK_AFTER_STREAM_END")
      throw error;
    throw gzipError(code, message, label);
  }
  if (gunzip.bytesWritten !== input.size) throw trailing(gunzip.bytesWritten, label);
}

/** Node's private `Zlib` object, as far as it is used here. */
interface Handle {
  onerror: (message: string, errno: number, code: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
  close(): void;
}

/** Inflates at once, into the buffers that it is given; a yielded chunk is a part of one. */
class HandleInflater {
  readonly #handle: Handle;
  readonly #state: Uint32Array; // bytes of output, of input not used by the last write
  #error: { message: string; code: string } | undefined;

  constructor() {
    const gunzip = createGunzip({ chunkSize: CHUNK }) as unknown as Record<string, unknown>;
    this.#handle = gunzip["_handle"] as Handle;
    this.#state = gunzip["_writeState"] as Uint32Array;
    const onerror: Handle["onerror"] = (message, _, code) => {
      this.#error = { message, code };
    };
    Object.assign(this.#handle, { onerror });
  }

  /** Yields whenever a buffer is full, and at the end. */
  *inflate(input: BlobInput, next: NextBuffer, label: string): Generator<Uint8Array, void> {
    let output = next();
    let filled = 0;
    for (const chunk of input.chunks()) {
      const flush = input.atEnd ? constants.Z_FINISH : constants.Z_NO_FLUSH;
      let used = 0;
      do {
        if (filled === output.length) {
          yield output;
          output = next();
          filled = 0;
        }
        const [inputLength, room] = [chunk.length - used, output.length - filled];
        this.#handle.writeSync(flush, chunk, used, inputLength, output, filled, room);
        if (this.#error) throw gzipError(this.#error.code, this.#error.message, label);
        filled = output.length - this.#state[0]!;
        used = chunk.length - this.#state[1]!;
      } while (filled === output.length); // with room left, it wants more input or has ended
      if (used < chunk.length) throw trailing(input.taken - chunk.length + used, label);
    }
    if (filled > 0) yield output.subarray(0, filled);
  }

  close(): void {
    this.#handle.close();
  }
}

/** Inflates by the private handle: see {@link handleWorks}. */
export function* gunzipHandle(
  input: BlobInput,
  next: NextBuffer,
  label: string,
): Generator<Uint8Array, void> {
  const inflater = new HandleInflater();
  try {
    yield* inflater.inflate(input, next, label);
  } finally {
    inflater.close();
  }
}

let works: boolean | undefined;

/** Whether this Node's private handle does what we expect of it; tried once. */
export function handleWorks(): boolean {
  works ??= tryHandle();
  return works;
}

function tryHandle(): boolean {
  try {
    const text = Buffer.alloc(3000, "two members, and output that does not fit at once; ");
    const members = Buffer.concat([gzipSync(text), gzipSync(text)]);
    const damaged = Buffer.from(members);
    damaged[damaged.length - 8]! ^= 1;
    const shared = new Uint8Array(new SharedArrayBuffer(1000));
    const run = (bytes: Uint8Array): string => {
      let out = "";
      const inflater = new HandleInflater();
      try {
        for (const chunk of inflater.inflate(bytesInput(bytes), () => shared, "trial")) {
          out += Buffer.from(chunk).toString("latin1");
        }
      } catch (error) {
        return error instanceof FormatError ? error.code : "";
      } finally {
        inflater.close();
      }
      return out;
    };
    return (
      run(members) === text.toString("latin1").repeat(2) &&
      run(damaged) === "BAD_CHECKSUM" &&
      run(members.subarray(0, -1)) === "TRUNCATED" &&
      run(Buffer.concat([members, Buffer.alloc(1)])) === "MALFORMED" &&
      run(Buffer.concat([members, Buffer.from("junk")])) === "MALFORMED"
    );
  } catch {
    return false;
  }
}

/** The little of a blob that the trial needs, over bytes in memory. */
function bytesInput(bytes: Uint8Array): BlobInput {
  const input = {
    taken: 0,
    get atEnd() {
      return this.taken === bytes.length;
    },
    *chunks() {
      const half = bytes.length >> 1;
      this.taken = half;
      yield bytes.subarray(0, half);
      this.taken = bytes.length;
      yield bytes.subarray(half);
    },
  };
  return input as unknown as BlobInput;
}
