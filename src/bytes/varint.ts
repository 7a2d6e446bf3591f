/**
 * Unsigned integers in as many bytes as they need: seven bits a byte, the lowest first, the top bit
 * says that more follow. Up to 2^53. Between them, bytes as they are.
 *
 * Spec: docs/seek-index.md, "File layout".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { type ByteString, toByteString, writeBytes } from "./bytestring.ts";

/** Writes integers, growing. */
export class VarintWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  add(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`varint: ${value}`);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.addByte((rest & 0x7f) | 0x80);
    this.addByte(rest);
  }

  addByte(byte: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = byte;
  }

  addBytes(bytes: Uint8Array): void {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The length of a byte string, and its bytes. */
  addString(text: ByteString): void {
    this.add(text.length);
    this.#grow(text.length);
    writeBytes(text, this.#bytes, this.#length);
    this.#length += text.length;
  }

  /** Makes room for some more bytes. */
  #grow(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#length));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Reads integers; invalid input is a {@link FormatError}. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** @throws {@link FormatError} `TRUNCATED`, or `OUT_OF_RANGE` for what is larger than `max` */
  read(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) {
        throw new FormatError("TRUNCATED", `${this.#what}: expected more at ${this.#at}`);
      }
      this.#at++;
      value += (byte & 0x7f) * unit;
      if (value > max) {
        const message = `${this.#what} at ${this.#at - 1}: expected at most ${max}`;
        throw new FormatError("OUT_OF_RANGE", message);
      }
      if (byte < 0x80) return value;
      unit *= 0x80;
      if (unit > 2 ** 49) {
        throw new FormatError("MALFORMED", `${this.#what} at ${this.#at - 1}: number too long`);
      }
    }
  }

  /** The next `count` bytes. */
  take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) {
      throw new FormatError("TRUNCATED", `${this.#what}: expected ${count} bytes at ${this.#at}`);
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** A byte string after its length. */
  readString(maxBytes?: number): ByteString {
    const length = this.read(maxBytes);
    if (length > this.#bytes.length - this.#at) this.take(length); // throws
    this.#at += length;
    return toByteString(this.#bytes, this.#at - length, this.#at);
  }

  /** @throws {@link FormatError} `MALFORMED` when bytes are left */
  end(): void {
    if (this.#at === this.#bytes.length) return;
    const message = `${this.#what}: expected the end at ${this.#at} of ${this.#bytes.length} bytes`;
    throw new FormatError("MALFORMED", message);
  }
}
