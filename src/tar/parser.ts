/**
 * A push parser of tar archives with one strict grammar over ustar, pax and GNU headers: where
 * known parsers disagree about an archive, it is refused. Content is passed on as views of the
 * chunks written, so memory does not depend on the sizes of files.
 *
 * Spec: docs/profiles.md, "Archives"; POSIX.1-2017 pax; GNU tar manual, "Tar Internals".
 *
 * @module
 */
import { printable } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { ContentSink, TarHandler } from "./entry.ts";
import {
  BLOCK_SIZE,
  checkNumbers,
  checkPrefix,
  formatOf,
  isZeroBlock,
  nameOf,
  sizeOf,
  typeFlagOf,
  verifyChecksum,
} from "./header.ts";
import { type Member, decodeMember } from "./member.ts";
import { MetaHeaders } from "./meta.ts";
import { SparseMapReader, SparseSink, checkSparseMap } from "./sparse.ts";
import { RAISE_BOUND, type TarOptions } from "./tar-options.ts";
import { defined } from "../optional.ts";

/** What the next bytes are. */
type State =
  | "header"
  | "meta" // body of an extended header
  | "map" // of a sparse file, in front of its content
  | "content"
  | "skip" // padding, or content without a sink
  | "end" // second block of the end marker
  | "trailer"; // zeros

/**
 * Parses one archive: `write` its bytes in chunks of any size, then call `end`. After an error the
 * parser only repeats it.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #options: TarOptions;
  readonly #meta = new MetaHeaders();
  readonly #block = new Uint8Array(BLOCK_SIZE); // a header cut by the end of a chunk
  #held = 0; // bytes in #block
  #header: Uint8Array | undefined; // where the header being decoded stands: a chunk, or #block
  #headerAt = 0;
  #state: State = "header";
  #offset = 0; // of the next byte to take
  #remaining = 0; // bytes of this state still to come
  #padding = 0; // bytes to skip after it
  #headerOffset = 0;
  #mapReader = new SparseMapReader();
  #member: Member | undefined;
  #sink: ContentSink | undefined;
  #entries = 0;
  readonly #maxBytes: number;
  #holes = 0; // bytes of all sparse files that are not stored
  #expanded = 0;
  #error: unknown;

  constructor(handler: TarHandler, options: TarOptions = {}) {
    this.#handler = handler;
    const { strict = false, maxBytes = limits.layerBytes, warn } = options;
    this.#maxBytes = maxBytes;
    this.#options = defined({
      strict,
      warn: warn && ((message: string) => warn(`${this.#place()}: ${message}`)),
    });
  }

  /** Bytes of the archive taken so far. */
  get offset(): number {
    return this.#offset;
  }

  /** What was compared with `maxBytes` because of sparse files: the most of it; 0 without any. */
  get expanded(): number {
    return this.#expanded;
  }

  /**
   * Takes the next bytes. Nothing of `chunk` is used after the call.
   *
   * @throws {@link FormatError} naming the entry and the offset of its header
   */
  write(chunk: Uint8Array): void {
    if (this.#error !== undefined) throw this.#error;
    try {
      let at = 0;
      while (at < chunk.length) at = this.#take(chunk, at);
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  /**
   * Ends the archive: after the end marker (two zero blocks), half of it, or the last entry.
   *
   * @throws {@link FormatError} `TRUNCATED`; `MALFORMED` when an extended header waits for its entry
   */
  end(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#state === "trailer") return;
    const whole = this.#held === 0 && (this.#state === "header" || this.#state === "end");
    if (whole && !this.#meta.pending) return;
    this.#error = whole
      ? this.#withoutEntry()
      : new FormatError(
          "TRUNCATED",
          `${this.#place()}: expected more, got the end of data at ${this.#offset}`,
        );
    throw this.#error;
  }

  #withoutEntry(): FormatError {
    return new FormatError(
      "MALFORMED",
      `${this.#place()}: expected an entry after an extended header, got the end of the archive`,
    );
  }

  /** Takes bytes from `at` on and returns where it stopped. */
  #take(chunk: Uint8Array, at: number): number {
    if (this.#state === "header" || this.#state === "end") return this.#takeBlock(chunk, at);
    if (this.#state === "trailer") return this.#takeTrailer(chunk, at);
    if (this.#state === "map") return this.#takeMap(chunk, at);
    const end = Math.min(chunk.length, at + this.#remaining);
    this.#offset += end - at;
    this.#remaining -= end - at;
    if (this.#state === "meta") this.#meta.add(chunk.subarray(at, end));
    else if (this.#state === "content") this.#sink!.write(chunk.subarray(at, end));
    if (this.#remaining === 0) this.#finish();
    return end;
  }

  /** The last byte of a meta header, content or padding has come. */
  #finish(): void {
    if (this.#state === "meta") this.#locate(() => this.#meta.close());
    if (this.#state === "content") this.#endContent();
    this.#skip(this.#state === "skip" ? 0 : this.#padding);
  }

  #skip(bytes: number): void {
    this.#remaining = bytes;
    this.#state = bytes > 0 ? "skip" : "header";
  }

  #takeBlock(chunk: Uint8Array, at: number): number {
    if (this.#held === 0 && chunk.length - at >= BLOCK_SIZE) {
      this.#offset += BLOCK_SIZE;
      this.#useBlock(chunk, at);
      return at + BLOCK_SIZE;
    }
    const end = Math.min(chunk.length, at + BLOCK_SIZE - this.#held);
    this.#block.set(chunk.subarray(at, end), this.#held);
    if (this.#held === 0) {
      this.#headerOffset = this.#offset;
      this.#member = undefined;
    }
    this.#held += end - at;
    this.#offset += end - at;
    if (this.#held === BLOCK_SIZE) {
      this.#held = 0;
      this.#useBlock(this.#block, 0);
    }
    return end;
  }

  #useBlock(bytes: Uint8Array, at: number): void {
    this.#headerOffset = this.#offset - BLOCK_SIZE;
    this.#member = undefined;
    if (bytes[at] === 0 && isZeroBlock(bytes, at)) {
      if (this.#meta.pending) throw this.#withoutEntry();
      this.#state = this.#state === "header" ? "end" : "trailer";
      return;
    }
    if (this.#state === "end") {
      throw new FormatError(
        "AMBIGUOUS",
        `${this.#place()}: expected a second zero block, got data (tools disagree whether it counts)`,
      );
    }
    this.#locate(() => verifyChecksum(bytes, at));
    this.#header = bytes;
    this.#headerAt = at;
    this.#locate(() => this.#useHeader(bytes, at));
    this.#header = undefined;
    // Outside of #locate, as the handler's own errors are not about the archive.
    if (this.#member !== undefined && this.#state !== "map") this.#startEntry(this.#member);
  }

  #useHeader(bytes: Uint8Array, at: number): void {
    const flag = typeFlagOf(bytes, at);
    if (MetaHeaders.isMeta(flag)) {
      checkPrefix(bytes, at, formatOf(bytes, at), false);
      checkNumbers(bytes, at);
      const size = sizeOf(bytes, at);
      const padding = paddingOf(size);
      this.#meta.open(flag, size, padding);
      this.#remaining = size + padding;
      this.#padding = 0;
      this.#state = "meta";
      if (size === 0) this.#finish();
      return;
    }
    if (++this.#entries > limits.inodes) {
      throw new FormatError("LIMIT", `expected at most ${limits.inodes} entries, got more`);
    }
    const member = decodeMember(bytes, at, this.#meta, this.#headerOffset, this.#options);
    this.#meta.clear();
    this.#member = member;
    this.#remaining = member.storedSize;
    this.#padding = paddingOf(member.storedSize);
    if (member.sparse !== undefined) {
      this.#holes += Math.max(0, member.entry.size - member.storedSize);
    }
    this.#checkExpanded();
    if (member.sparse === "content") {
      this.#mapReader = new SparseMapReader();
      this.#state = "map";
    }
  }

  /** What decompressing limits is the archive alone: its holes go around that. */
  #checkExpanded(): void {
    const bytes = this.#offset + this.#remaining + this.#holes;
    if (this.#holes === 0) return;
    this.#expanded = bytes;
    if (bytes <= this.#maxBytes) return;
    throw new FormatError(
      "LIMIT",
      `sparse files: expected at most ${this.#maxBytes} bytes of the layer when they are expanded, ` +
        `got ${bytes}`,
      { hint: RAISE_BOUND },
    );
  }

  #takeMap(chunk: Uint8Array, at: number): number {
    const reader = this.#mapReader;
    const member = this.#member!;
    const end = Math.min(chunk.length, at + this.#remaining);
    let stop = at;
    this.#locate(() => {
      stop = reader.read(chunk, at, end);
      this.#offset += stop - at;
      this.#remaining -= stop - at;
      if (reader.done) checkSparseMap(reader.map, member.entry.size, this.#remaining);
      else if (this.#remaining === 0) {
        throw new FormatError("MALFORMED", "sparse map: expected more, got the end of the content");
      }
    });
    if (reader.done) {
      const entry = { ...member.entry, dataOffset: this.#offset, segments: reader.map };
      this.#startEntry({ entry, storedSize: this.#remaining, sparse: reader.map });
    }
    return stop;
  }

  #startEntry({ entry, sparse }: Member): void {
    const sink = this.#handler.entry(entry);
    if (sink === undefined || entry.size === 0) {
      this.#skip(this.#remaining + this.#padding);
      return;
    }
    this.#sink = Array.isArray(sparse) ? new SparseSink(sink, sparse, entry.size) : sink;
    this.#state = "content";
    if (this.#remaining === 0) this.#finish(); // one hole
  }

  #endContent(): void {
    const sink = this.#sink!;
    this.#sink = undefined;
    sink.end();
  }

  #takeTrailer(chunk: Uint8Array, at: number): number {
    for (let i = at; i < chunk.length; i++) {
      if (chunk[i] === 0) continue;
      throw new FormatError(
        "AMBIGUOUS",
        `tar archive at ${this.#offset + i - at}: expected only zeros after the end marker, got data`,
      );
    }
    this.#offset += chunk.length - at;
    return chunk.length;
  }

  /** Runs `work`, and prefixes its `FormatError`s with the place in the archive. */
  #locate(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const { hint, message, code } = error;
      throw new FormatError(code, `${this.#place()}: ${message}`, { cause: error, hint });
    }
  }

  /** The entry being read, by name if that is known, and the offset of its header. */
  #place(): string {
    let name = this.#member?.entry.path ?? this.#meta.pax?.path ?? this.#meta.longName;
    if (name === undefined && this.#header !== undefined) {
      // Enough for a message, and it cannot fail over a bad magic as finding the prefix could.
      name = nameOf(this.#header, this.#headerAt, "v7");
    }
    const shown = name === undefined ? "header" : `entry "${shorten(printable(name))}"`;
    return `tar ${shown} at ${this.#headerOffset}`;
  }
}

function paddingOf(size: number): number {
  const rest = size % BLOCK_SIZE;
  return rest === 0 ? 0 : BLOCK_SIZE - rest;
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
