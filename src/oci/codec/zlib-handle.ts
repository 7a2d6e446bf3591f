/**
 * The object inside Node's compression streams that does the work at once, from and into memory of
 * ours. It is Node's private matter: use it only after a trial has shown that it behaves as
 * expected, and have another way.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { FormatError } from "../../errors.ts";

/** Gives the next buffer to decompress into; at least one byte long. */
export type NextBuffer = () => Uint8Array;

/** The compressed bytes as a decoder takes them: `BlobInput`, or a few bytes on trial. */
export interface DecoderInput {
  readonly size: number;
  /** Bytes taken so far. */
  readonly taken: number;
  readonly atEnd: boolean;
  chunks(fresh?: boolean): Iterable<Uint8Array>;
}

interface PrivateHandle {
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

/** What the handle says is wrong. */
export interface HandleError {
  readonly code: string;
  readonly message: string;
}

export class ZlibHandle {
  readonly #handle: PrivateHandle;
  readonly #state: Uint32Array; // bytes of output, of input not used by the last write
  error: HandleError | undefined;

  /** @param stream one of Node's compression streams, used for nothing else */
  constructor(stream: unknown) {
    const fields = stream as Record<string, unknown>;
    this.#handle = fields["_handle"] as PrivateHandle;
    this.#state = fields["_writeState"] as Uint32Array;
    const onerror = (message: string, _: number, code: string) => {
      this.error = { message, code };
    };
    Object.assign(this.#handle, { onerror });
  }

  /** Decompresses from `used` on into `output` from `filled` on; returns the new two. */
  write(
    flush: number,
    input: Uint8Array,
    used: number,
    output: Uint8Array,
    filled: number,
  ): { readonly used: number; readonly filled: number } {
    const [inputLength, room] = [input.length - used, output.length - filled];
    this.#handle.writeSync(flush, input, used, inputLength, output, filled, room);
    return { used: input.length - this.#state[1]!, filled: output.length - this.#state[0]! };
  }

  close(): void {
    this.#handle.close();
  }
}

/** A decoder on trial. */
export type TrialDecoder = (
  input: DecoderInput,
  next: NextBuffer,
  label: string,
) => Iterable<Uint8Array>;

/**
 * What a decoder makes of `bytes`, with little room in shared memory and the input in two halves:
 * the sha256 of the output in hexadecimal, or the code of the error.
 */
export function tryDecoder(decoder: TrialDecoder, bytes: Uint8Array): string {
  const room = new Uint8Array(new SharedArrayBuffer(1000));
  const hash = createHash("sha256");
  try {
    for (const chunk of decoder(new TrialInput(bytes), () => room, "trial")) hash.update(chunk);
  } catch (error) {
    return error instanceof FormatError ? error.code : String(error);
  }
  return hash.digest("hex");
}

class TrialInput implements DecoderInput {
  readonly #bytes: Uint8Array;
  taken = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get atEnd(): boolean {
    return this.taken === this.size;
  }

  *chunks(): Generator<Uint8Array, void> {
    for (const end of [this.size >> 1, this.size]) {
      const chunk = this.#bytes.subarray(this.taken, end);
      this.taken = end;
      yield chunk;
    }
  }
}
