/**
 * The framing of a zstd stream, checked ahead of the decoder: where each frame starts, what window
 * it wants, and that nothing but frames is there. Decoders disagree about what follows the last
 * frame, and allocate the window before anybody has asked how large it is.
 * Spec: RFC 8878, section 3.1.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";

const MAGIC = 0xfd2fb528;
/** Skippable frames have this magic number, whatever its last four bits. */
const SKIPPABLE = 0x184d2a50;
const BLOCK_RAW_MAX = 128 * 1024;
const BLOCK_TYPE_RLE = 1;
const BLOCK_TYPE_RESERVED = 3;

/** What the bytes being gathered are. */
type Part = "magic" | "skippable size" | "frame header" | "block header" | "checksum";

/** Takes the stream in chunks of any size; `end` when it is over. */
export class ZstdFrames {
  readonly #label: string;
  readonly #held = new Uint8Array(14); // the longest frame header
  #part: Part = "magic";
  #have = 0;
  #need = 4;
  #skip = 0; // bytes of a block or skippable frame to pass over
  #offset = 0;
  #begun = 0;
  #lastBlock = false;
  #hasChecksum = false;
  #blockMax = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** Frames begun so far, skippable ones too. */
  get begun(): number {
    return this.#begun;
  }

  /** @throws {@link FormatError} `LIMIT` for a window, `UNSUPPORTED` for a dictionary, `MALFORMED` */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) at = this.pushFrame(chunk, at);
  }

  /** As {@link push}, from `start` on up to the end of a frame; gives where it stopped. */
  pushFrame(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length;) {
      if (at > start && this.frameAt !== undefined) return at;
      if (this.#skip > 0) {
        const length = Math.min(this.#skip, chunk.length - at);
        this.#skip -= length;
        at += length;
        this.#offset += length;
        if (this.#skip === 0) this.#afterContent();
        continue;
      }
      this.#held[this.#have++] = chunk[at++]!;
      this.#offset++;
      if (this.#have === this.#need) this.#take();
    }
    return chunk.length;
  }

  /** Where the next frame would begin, when the last byte was the end of one, or there was none. */
  get frameAt(): number | undefined {
    const between = this.#part === "magic" && this.#have === 0 && this.#skip === 0;
    return between ? this.#offset : undefined;
  }

  /** @throws {@link FormatError} `TRUNCATED` when the last frame is not complete or there is none */
  end(): void {
    if (this.#part === "magic" && this.#have === 0 && this.#skip === 0 && this.#offset > 0) return;
    throw new FormatError(
      "TRUNCATED",
      `${this.#label}: zstd stream is cut short at ${this.#offset}`,
    );
  }

  #expect(part: Part, need: number): void {
    this.#part = part;
    this.#need = need;
    this.#have = 0;
  }

  #take(): void {
    switch (this.#part) {
      case "magic":
        return this.#takeMagic(this.#integer(0, 4));
      case "skippable size":
        this.#skip = this.#integer(0, 4);
        this.#lastBlock = true;
        this.#hasChecksum = false;
        if (this.#skip === 0) this.#afterContent();
        return;
      case "frame header":
        return this.#takeFrameHeader();
      case "block header":
        return this.#takeBlockHeader(this.#integer(0, 3));
      case "checksum":
        return this.#expect("magic", 4);
    }
  }

  #takeMagic(magic: number): void {
    if (magic === MAGIC) {
      this.#begun++;
      return this.#expect("frame header", 1);
    }
    if ((magic & ~0xf) === SKIPPABLE) {
      this.#begun++;
      return this.#expect("skippable size", 4);
    }
    const what =
      this.#begun === 0 ? "expected a zstd frame" : "expected another zstd frame or the end";
    throw this.#malformed(`${what}, got ${magic.toString(16).padStart(8, "0")}`, 4);
  }

  /** RFC 8878, section 3.1.1.1: called for its first byte, and again when it is complete. */
  #takeFrameHeader(): void {
    const descriptor = this.#held[0]!;
    const singleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    const windowBytes = singleSegment ? 0 : 1;
    const length = 1 + windowBytes + dictionaryBytes + sizeBytes;
    if (this.#have < length) {
      this.#need = length;
      return;
    }
    if ((descriptor & 0x08) !== 0)
      throw this.#malformed("reserved bit set in a frame header", length);
    const dictionary = this.#integer(1 + windowBytes, dictionaryBytes);
    if (dictionary !== 0) {
      throw new FormatError(
        "UNSUPPORTED",
        `${this.#label}: zstd dictionary ${dictionary} is needed`,
      );
    }
    const window = singleSegment
      ? this.#contentSize(1 + dictionaryBytes, sizeBytes)
      : windowOf(this.#held[1]!);
    if (window > limits.zstdWindowBytes) {
      const message = `expected at most ${limits.zstdWindowBytes} bytes of zstd window, got ${window}`;
      throw new FormatError("LIMIT", `${this.#label}: ${message}`);
    }
    this.#blockMax = Math.min(window, BLOCK_RAW_MAX);
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    this.#expect("block header", 3);
  }

  #takeBlockHeader(header: number): void {
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === BLOCK_TYPE_RESERVED) throw this.#malformed("reserved block type", 3);
    if (size > this.#blockMax) throw this.#malformed(`block of ${size} bytes`, 3);
    this.#lastBlock = (header & 1) !== 0;
    this.#skip = type === BLOCK_TYPE_RLE ? 1 : size;
    if (this.#skip === 0) this.#afterContent();
  }

  #afterContent(): void {
    if (!this.#lastBlock) return this.#expect("block header", 3);
    if (this.#hasChecksum) this.#expect("checksum", 4);
    else this.#expect("magic", 4);
  }

  #contentSize(at: number, bytes: number): number {
    return this.#integer(at, bytes) + (bytes === 2 ? 256 : 0);
  }

  #integer(at: number, bytes: number): number {
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + this.#held[at + i]!;
    return value;
  }

  #malformed(what: string, length: number): FormatError {
    return new FormatError(
      "MALFORMED",
      `${this.#label}: zstd at ${this.#offset - length}: ${what}`,
    );
  }
}

/**
 * Passes `chunks` on, each once its framing has been checked. With `onFrame` they are cut where frames
 * begin, and it hears where in the stream that is, before the first of the frame's bytes is passed on.
 *
 * @throws {@link FormatError} as {@link ZstdFrames}
 */
export function* framed(
  chunks: Iterable<Uint8Array>,
  frames: ZstdFrames,
  onFrame?: (offset: number) => void,
): Generator<Uint8Array, void> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const start = at;
      if (onFrame !== undefined && frames.frameAt !== undefined) onFrame(frames.frameAt);
      if (onFrame !== undefined) at = frames.pushFrame(chunk, at);
      else {
        frames.push(chunk);
        at = chunk.length;
      }
      yield chunk.subarray(start, at);
    }
  }
  frames.end();
}

/** RFC 8878, section 3.1.1.1.2. */
function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
