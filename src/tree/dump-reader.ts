/**
 * Reader of composefs dump files, as `mkcomposefs --from-file` takes them, quirks included.
 *
 * Spec: docs/image-format.md, "Dump files".
 *
 * @module
 */
import { type ByteString, toByteString, toBytes } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type VerityAlgorithm,
  type VerityDigest,
  verityAlgorithms,
} from "../verity/verity-digest.ts";
import { cutAtNul } from "./dump-fields.ts";
import { CONTENT, DumpLine, GID, NLINK, PATH, PAYLOAD, RDEV, SIZE, UID } from "./dump-line.ts";
import { DumpTree } from "./dump-paths.ts";
import { XattrReader } from "./dump-xattrs.ts";
import {
  type Directory,
  Inode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  isDirectory,
} from "./inode.ts";

/** How a dump file is read. */
export interface DumpOptions {
  /** As with CFS_PARSE_STRICT: last newline, zero RDEV and exact symlink fields are required. */
  readonly strict?: boolean;
  /** Which digests the DIGEST column holds; sha256 by default, as in mkcomposefs. */
  readonly algorithm?: VerityAlgorithm;
}

/** mkcomposefs checks the last newline per buffer, and misses it in a file of exactly this size. */
const STRICT_EXCEPTION_BYTES = 65536;
const TYPES = new Set([S_IFREG, S_IFDIR, S_IFLNK, S_IFBLK, S_IFCHR, S_IFSOCK, S_IFIFO]);

/**
 * The tree that a dump file describes. Chunks may end anywhere.
 *
 * @throws {@link FormatError} `MALFORMED` or `LIMIT`, with the number of the line
 */
export function parseDump(
  source: Uint8Array | Iterable<Uint8Array>,
  options: DumpOptions = {},
): Directory {
  const reader = new DumpReader(options);
  for (const chunk of source instanceof Uint8Array ? [source] : source) reader.write(chunk);
  return reader.end();
}

/**
 * Bytes that become one string; names and values are slices of it. From about 1 MB on Node makes
 * strings outside the heap, whose characters are several times slower to read.
 */
const SLICE_BYTES = 1 << 18;
const NEWLINE = 0x0a;

/** Push reader: `write` chunks, then `end`. */
class DumpReader {
  readonly #strict: boolean;
  /** Hex digits of a digest. */
  readonly #digits: number;
  readonly #xattrs = new XattrReader();
  readonly #line = new DumpLine();
  #tree: DumpTree | undefined;
  #lines = 0;
  #bytes = 0;
  /** The start of a line whose end is still to come. */
  #rest = "";

  constructor({ strict = false, algorithm = "sha256" }: DumpOptions = {}) {
    this.#strict = strict;
    this.#digits = verityAlgorithms[algorithm].digestSize * 2;
  }

  /** @throws {@link FormatError} `MALFORMED` or `LIMIT` */
  write(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      this.#write(chunk.subarray(at, Math.min(at + SLICE_BYTES, chunk.length)));
    }
  }

  /** Takes a slice: the end of a line that has begun, whole lines, and the start of another. */
  #write(slice: Uint8Array): void {
    const end = slice.lastIndexOf(NEWLINE) + 1;
    let start = 0;
    if (end > 0 && this.#rest !== "") {
      start = slice.indexOf(NEWLINE) + 1;
      this.#requireLength(this.#rest.length + start - 1);
      const line = this.#rest + toByteString(slice, 0, start);
      this.#rest = "";
      this.#readLines(line);
    }
    this.#readLines(toByteString(slice, start, end));
    this.#rest += toByteString(slice, end);
    this.#requireLength(this.#rest.length);
  }

  /** Lines within a slice are shorter. */
  #requireLength(bytes: number): void {
    if (bytes <= limits.dumpLineBytes) return;
    const message = `expected at most ${limits.dumpLineBytes} bytes, got ${bytes} or more`;
    throw new FormatError("LIMIT", `dump line ${this.#lines + 1}: ${message}`);
  }

  /** The tree. @throws {@link FormatError} `MALFORMED` or `LIMIT` */
  end(): Directory {
    if (this.#rest !== "") {
      if (this.#strict && this.#bytes !== STRICT_EXCEPTION_BYTES) {
        throw malformed(`dump line ${this.#lines + 1}: the last newline is missing`);
      }
      this.#readLines(`${this.#rest}\n`);
      this.#rest = "";
    }
    if (this.#tree === undefined) throw malformed("dump file: it has no lines");
    return this.#tree.finish();
  }

  /** Reads the lines of `text`, each with its newline. */
  #readLines(text: string): void {
    this.#line.load(text);
    for (let start = 0; start < text.length;) {
      const end = text.indexOf("\n", start);
      this.#lines += 1;
      try {
        this.#line.move(start, end);
        this.#readLine();
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        const message = `dump line ${this.#lines}: ${error.message}`;
        throw new FormatError(error.code, message, { cause: error.cause });
      }
      start = end + 1;
    }
  }

  #readLine(): void {
    const line = this.#line;
    const path = cutAtNul(line.string(PATH));
    if (path === "") throw malformed("the path is empty");
    const { linked } = line;
    const mode = line.mode();
    const type = mode & S_IFMT;
    if (!TYPES.has(type)) throw malformed(`unknown file type in mode ${mode.toString(8)}`);
    if ((path === "/") !== (this.#tree === undefined)) {
      throw malformed("the root must come first, and once");
    }
    if (linked) {
      if (type === S_IFDIR) throw malformed("a hard link with a directory's mode");
      const target = line.optional(PAYLOAD);
      if (target === undefined) throw malformed("a hard link without target");
      if (this.#tree === undefined) throw malformed("the root is not a directory");
      this.#tree.addLink(path, cutAtNul(target));
      return;
    }
    const inode = this.#inode(mode);
    if (this.#tree !== undefined) this.#tree.add(path, inode);
    else if (isDirectory(inode)) this.#tree = new DumpTree(inode);
    else throw malformed("the root is not a directory");
    if (this.#lines > limits.inodes) {
      throw new FormatError("LIMIT", `expected at most ${limits.inodes} entries, got more`);
    }
  }

  #inode(mode: number): Inode {
    const line = this.#line;
    const inode = new Inode(mode);
    const type = mode & S_IFMT;
    const size = line.u64(SIZE);
    inode.nlink = line.u32(NLINK);
    inode.uid = line.u32(UID);
    // mkcomposefs overlooks a bad GID or RDEV unless UID is 0.
    inode.gid = line.u32(GID, inode.uid !== 0);
    const rdev = line.u32(RDEV, inode.uid !== 0);
    if (type === S_IFCHR || type === S_IFBLK) inode.rdev = rdev;
    else if (this.#strict && rdev !== 0) throw malformed("RDEV of a file that is no device");
    const { seconds, nanoseconds } = line.time();
    inode.mtimeSeconds = seconds;
    inode.mtimeNanoseconds = nanoseconds;
    this.#data(inode, type, size);
    const xattrs = line.xattrs();
    if (xattrs !== "") inode.xattrs = this.#xattrs.read(xattrs);
    return inode;
  }

  /** SIZE, PAYLOAD, CONTENT and DIGEST, by type. */
  #data(inode: Inode, type: number, size: number | bigint): void {
    const line = this.#line;
    // Read for every type, since its escapes must be valid.
    const digest = line.digest(this.#digits);
    // A path that follows from the digest need not be kept.
    const follows = digest !== undefined && line.payloadFollows(digest);
    const payloadField = follows && type === S_IFREG ? undefined : line.optional(PAYLOAD);
    const payload = payloadField === undefined ? undefined : cutAtNul(payloadField);
    const content = line.optional(CONTENT);
    if (content !== undefined && content.length !== size) {
      throw malformed(`content of ${content.length} bytes, size ${size}`);
    }
    if (type === S_IFLNK) {
      inode.target = this.#target(payload);
      inode.size = BigInt(inode.target.length);
      if (this.#strict && (content !== undefined || size !== inode.target.length)) {
        throw malformed("a symlink with content or another size than its target's");
      }
      return;
    }
    if (content !== undefined && content.length > limits.inlineBytes) {
      const message = `content: expected at most ${limits.inlineBytes} bytes, got ${content.length}`;
      throw new FormatError("LIMIT", message);
    }
    if (payload !== undefined && payload.length > limits.dumpPayloadBytes) {
      throw new FormatError(
        "LIMIT",
        `payload: expected at most ${limits.dumpPayloadBytes} bytes, got ${payload.length}`,
      );
    }
    if (type === S_IFDIR) return;
    inode.size = BigInt(size);
    if (type !== S_IFREG || size === 0) return;
    if (content !== undefined) {
      inode.content = toBytes(content);
      return;
    }
    if (!follows) inode.payload = payload;
    if (digest === "") throw malformed(`digest: expected ${this.#digits} hex digits`);
    if (digest !== undefined) inode.digest = digest as VerityDigest;
  }

  #target(payload: ByteString | undefined): ByteString {
    if (payload === undefined || payload === "") throw malformed("a symlink without target");
    if (payload.length > limits.symlinkBytes) {
      throw new FormatError(
        "LIMIT",
        `symlink target: expected at most ${limits.symlinkBytes} bytes, got ${payload.length}`,
      );
    }
    return payload;
  }
}

function malformed(message: string): FormatError {
  return new FormatError("MALFORMED", message);
}
