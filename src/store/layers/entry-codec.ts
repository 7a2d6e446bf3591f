/**
 * The entries of a layer as bytes, one after the other.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import type { ByteString } from "../../bytes/bytestring.ts";
import { i64, struct } from "../../bytes/struct.ts";
import { VarintReader, VarintWriter } from "../../bytes/varint.ts";
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { TarEntry, TarEntryType } from "../../tar/entry.ts";
import { INLINE_BYTES } from "../../tree/inline-content.ts";
import type { LayerEntry } from "../../tree/merge.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";

/** In the low three bits of an entry's first byte; the order is part of the format. */
const types = [
  "file",
  "directory",
  "symlink",
  "hardlink",
  "character",
  "block",
  "fifo",
] as const satisfies TarEntryType[];

const TYPE = 0x07;
const SIZE_IGNORED = 0x08;
const HAS_XATTRS = 0x10;
const IS_SPARSE = 0x20;
/** Seconds that are no varint: before 1970, or beyond 2^53. */
const ODD_TIME = 0x40;

const OddTime = struct("time of an entry", 8, { seconds: i64 });

const noXattrs: TarEntry["xattrs"] = new Map();
const noLink = "" as ByteString;

/** Writes entries in their order. */
export class EntryEncoder {
  readonly #writer: VarintWriter;
  #last = 0; // header of the entry before

  constructor(writer: VarintWriter) {
    this.#writer = writer;
  }

  add({ entry, content, digest }: LayerEntry): void {
    const writer = this.#writer;
    const { type, mtimeSeconds, xattrs, segments } = entry;
    const isOdd = mtimeSeconds < 0n || mtimeSeconds > BigInt(Number.MAX_SAFE_INTEGER);
    writer.addByte(
      types.indexOf(type) |
        (entry.sizeIgnored ? SIZE_IGNORED : 0) |
        (xattrs.size > 0 ? HAS_XATTRS : 0) |
        (segments === undefined ? 0 : IS_SPARSE) |
        (isOdd ? ODD_TIME : 0),
    );
    writer.addString(entry.path);
    if (type === "symlink" || type === "hardlink") writer.addString(entry.linkPath);
    writer.add(entry.mode);
    writer.add(entry.uid);
    writer.add(entry.gid);
    if (isOdd) writer.addBytes(OddTime.encode({ seconds: mtimeSeconds }));
    else writer.add(Number(mtimeSeconds));
    writer.add(entry.mtimeNanoseconds);
    writer.add(entry.headerOffset - this.#last);
    writer.add(entry.dataOffset - entry.headerOffset);
    this.#last = entry.headerOffset;
    if (type === "character" || type === "block") writer.add(entry.rdev);
    if (xattrs.size > 0) this.#addXattrs(xattrs);
    if (segments !== undefined) this.#addSegments(segments);
    if (type !== "file") return;
    writer.add(entry.size);
    if (entry.size > INLINE_BYTES) writer.addBytes(Buffer.from(digest!, "hex"));
    else if (entry.size > 0) writer.addBytes(content!);
  }

  #addXattrs(xattrs: TarEntry["xattrs"]): void {
    this.#writer.add(xattrs.size);
    for (const [key, value] of xattrs) {
      this.#writer.addString(key);
      this.#writer.addString(value);
    }
  }

  /** As in a seek index: each a distance from the end of the one before, and a length. */
  #addSegments(segments: readonly number[]): void {
    this.#writer.add(segments.length / 2);
    let end = 0;
    for (let i = 0; i < segments.length; i += 2) {
      this.#writer.add(segments[i]! - end);
      this.#writer.add(segments[i + 1]!);
      end = segments[i]! + segments[i + 1]!;
    }
  }
}

/** Reads entries in their order; what is malformed is a {@link FormatError}. */
export class EntryDecoder {
  readonly #reader: VarintReader;
  readonly #digestBytes: number;
  #last = 0;

  /** @param digestBytes of the digest of an object */
  constructor(reader: VarintReader, digestBytes: number) {
    this.#reader = reader;
    this.#digestBytes = digestBytes;
  }

  next(): LayerEntry {
    const reader = this.#reader;
    const flags = reader.read();
    const type = types[flags & TYPE];
    if (type === undefined || flags > 0x7f) {
      throw new FormatError("MALFORMED", `remembered layer: an entry of type ${flags}`);
    }
    const path = reader.readString();
    const isLink = type === "symlink" || type === "hardlink";
    const linkPath = isLink ? reader.readString() : noLink;
    const mode = reader.read();
    const uid = reader.read();
    const gid = reader.read();
    const mtimeSeconds =
      (flags & ODD_TIME) === 0
        ? BigInt(reader.read())
        : OddTime.decode(reader.take(OddTime.size)).seconds;
    const mtimeNanoseconds = reader.read();
    const headerOffset = this.#last + reader.read();
    const dataOffset = headerOffset + reader.read();
    this.#last = headerOffset;
    const rdev = type === "character" || type === "block" ? reader.read() : 0;
    const xattrs = (flags & HAS_XATTRS) === 0 ? noXattrs : this.#xattrs();
    const segments = (flags & IS_SPARSE) === 0 ? undefined : this.#segments();
    const size = type === "file" ? reader.read() : 0;
    const entry: TarEntry = {
      type,
      path,
      linkPath,
      mode,
      uid,
      gid,
      size,
      mtimeSeconds,
      mtimeNanoseconds,
      rdev,
      xattrs,
      headerOffset,
      dataOffset,
      sizeIgnored: (flags & SIZE_IGNORED) !== 0,
      segments,
    };
    if (size === 0) return { entry };
    if (size <= INLINE_BYTES) return { entry, content: Uint8Array.from(reader.take(size)) };
    const { buffer, byteOffset, length } = reader.take(this.#digestBytes);
    const digest = Buffer.from(buffer, byteOffset, length).toString("hex") as VerityDigest;
    return { entry, digest };
  }

  #xattrs(): TarEntry["xattrs"] {
    const xattrs = new Map<ByteString, ByteString>();
    for (let left = this.#reader.read(limits.xattrs); left > 0; left--) {
      xattrs.set(this.#reader.readString(), this.#reader.readString());
    }
    return xattrs;
  }

  #segments(): number[] {
    const segments: number[] = [];
    let end = 0;
    for (let left = this.#reader.read(limits.sparseSegments); left > 0; left--) {
      const start = end + this.#reader.read();
      const length = this.#reader.read();
      segments.push(start, length);
      end = start + length;
    }
    return segments;
  }
}
