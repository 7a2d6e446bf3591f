/**
 * Tar archives compressed in all the ways that layers are, made here so that no tool is needed:
 * what pigz, pgzip and stargz write differs from gzip in how it is cut.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import { crc32 } from "node:zlib";

/** Bytes that compress like a mixture of programs, texts and archives; the same for a seed. */
export function mixedBytes(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const words = Array.from({ length: 300 }, () =>
    random()
      .toString(36)
      .slice(0, 2 + (random() % 6)),
  );
  for (let at = 0; at < size;) {
    const length = Math.min(size - at, 1000 + (random() % 60_000));
    const kind = random() % 4;
    if (kind === 0) for (let i = 0; i < length; i++) bytes[at + i] = random();
    else if (kind === 1) bytes.fill(random() & 1 ? 0 : 0x41, at, at + length);
    else {
      for (let i = 0; i < length;) {
        i += bytes.write(`${words[random() % words.length]!} `, at + i, length - i, "latin1") || 1;
      }
    }
    at += length;
  }
  return bytes;
}

function gzipHeader(flags = 0): Buffer {
  return Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
}

function gzipTrailer(bytes: Uint8Array): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length % 2 ** 32, 4);
  return trailer;
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const parts = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return parts;
}

/**
 * One member made of blocks that were compressed apart, as pigz does (128 KiB) and pgzip (1 MiB): each
 * ends at a byte with an empty stored block.
 */
export function parallelGzip(bytes: Buffer, block: number, primed: boolean, level = 6): Buffer {
  const parts = cut(bytes, block).map((part, i, all) => {
    const before = bytes.subarray(Math.max(0, i * block - 32768), i * block);
    return deflateRawSync(part, {
      level,
      ...(primed && i > 0 ? { dictionary: before } : {}),
      finishFlush: i === all.length - 1 ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    });
  });
  return Buffer.concat([gzipHeader(), ...parts, gzipTrailer(bytes)]);
}

/** A member whose header has every optional field. */
function gzipWithFields(bytes: Uint8Array): Buffer {
  const fields = Buffer.concat([
    gzipHeader(0x1f),
    Buffer.from([5, 0, 0x41, 0x42, 1, 0, 0xff]),
    Buffer.from("name\0comment\0", "latin1"),
  ]);
  const crc = Buffer.alloc(2);
  crc.writeUInt16LE(crc32(fields) & 0xffff);
  return Buffer.concat([fields, crc, deflateRawSync(bytes), gzipTrailer(bytes)]);
}

/** Members one after the other, with different headers, sizes and levels, one of them empty. */
export function multiMemberGzip(bytes: Buffer, size: number): Buffer {
  const parts = cut(bytes, size).map((part, i) =>
    i % 3 === 2 ? gzipWithFields(part) : gzipSync(part, { level: (i * 4) % 10 }),
  );
  return Buffer.concat([gzipSync(Buffer.alloc(0)), ...parts]);
}

/** A file in the table of contents of an eStargz blob. */
interface Stargz {
  readonly name: string;
  readonly type: "reg" | "chunk";
  readonly size?: number;
  readonly offset: number;
  readonly chunkOffset?: number;
  readonly chunkSize?: number;
  readonly digest?: string;
}

/**
 * An eStargz blob, by its specification (containerd/stargz-snapshotter, estargz.md): members of
 * their own for headers, for each file's content (in chunks), for the table of contents, and a footer.
 * `files` are [name, offset of the content, size] of the archive `tar`, whose end marker is left out.
 */
export function estargz(
  tar: Buffer,
  files: readonly (readonly [name: string, offset: number, size: number])[],
  tocEntry: (json: Buffer) => Buffer,
  chunk = 64 * 1024,
): Buffer {
  const members: Buffer[] = [];
  let offset = 0;
  let end = 0;
  const add = (bytes: Uint8Array) => {
    if (bytes.length === 0) return;
    const member = gzipSync(bytes, { level: 9 });
    members.push(member);
    offset += member.length;
  };
  const entries: Stargz[] = [];
  for (const [name, start, size] of files) {
    add(tar.subarray(end, start));
    for (let at = 0; at < size; at += chunk) {
      const part = tar.subarray(start + at, start + Math.min(size, at + chunk));
      const digest = `sha256:${createHash("sha256").update(part).digest("hex")}`;
      const place = { name, offset, chunkOffset: at, chunkSize: part.length, digest };
      entries.push(at === 0 ? { ...place, type: "reg", size } : { ...place, type: "chunk" });
      add(part);
    }
    end = start + size;
  }
  add(tar.subarray(end, tar.length - 1024));
  const tocOffset = offset;
  const toc = Buffer.from(JSON.stringify({ version: 1, entries }, undefined, "\t"));
  add(Buffer.concat([tocEntry(toc), Buffer.alloc(1024)]));
  const extra = Buffer.concat([
    Buffer.from([0x53, 0x47, 22, 0]),
    Buffer.from(`${tocOffset.toString(16).padStart(16, "0")}STARGZ`, "latin1"),
  ]);
  const length = Buffer.from([extra.length, 0]);
  const empty = Buffer.from([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([...members, gzipHeader(4), length, extra, empty]);
}

/** A zstd frame whose blocks are stored, or runs of one byte: enough for what cuts at frames. */
function storedZstdFrame(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58])]; // window 2 MiB
  const block = (last: boolean, type: number, size: number) =>
    Buffer.from([(last ? 1 : 0) | (type << 1) | ((size & 31) << 3), size >> 5, size >> 13]);
  const size = 100_000;
  for (let at = 0; at < bytes.length || at === 0; at += size) {
    const part = bytes.subarray(at, at + size);
    const last = at + size >= bytes.length;
    const isRun = part.length > 0 && part.every((byte) => byte === part[0]);
    parts.push(block(last, isRun ? 1 : 0, part.length), isRun ? part.subarray(0, 1) : part);
  }
  return Buffer.concat(parts);
}

/** Frames one after the other, with skippable ones between them and at the end. */
export function multiFrameZstd(bytes: Buffer, size: number): Buffer {
  const skippable = Buffer.concat([
    Buffer.from("502a4d1806000000", "hex"),
    Buffer.from("table!", "latin1"),
  ]);
  const frames = cut(bytes, size).flatMap((part, i) =>
    i % 5 === 4 ? [storedZstdFrame(part), skippable] : [storedZstdFrame(part)],
  );
  return Buffer.concat([...frames, skippable]);
}
