/**
 * An archive (tar) of a layout as a set of files that are read where they lie: one pass over the
 * headers finds each file's offset, its content is skipped.
 *
 * @module
 */
import { type ByteString, fromText, printable } from "../../bytes/bytestring.ts";
import { FormatError, IntegrityError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import type { TarEntry } from "../../tar/entry.ts";
import { TarParser } from "../../tar/parser.ts";
import { type BlobRange, type LayoutFiles, partOf } from "../blob.ts";

type Member =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: ByteString; readonly hard: boolean }
  /** Stored twice, or something that is neither file nor link. */
  | { readonly kind: "bad"; readonly reason: string };

// Large enough for a run of small files, small enough to throw away at a large one.
const WINDOW = 64 * 1024;
const SKIP = new Uint8Array(1024 * 1024);
/** Links followed from one name. */
const MAX_LINKS = 8;

/** The members of an archive by name. `close` closes the archive. */
export class ArchiveFiles implements LayoutFiles {
  readonly label: string;
  readonly #range: BlobRange;
  readonly #members: ReadonlyMap<ByteString, Member>;

  private constructor(label: string, range: BlobRange, members: ReadonlyMap<ByteString, Member>) {
    this.label = label;
    this.#range = range;
    this.#members = members;
  }

  /**
   * Reads the headers of the archive in `range`, which it then owns.
   *
   * @throws {@link FormatError} when it is no tar archive that we accept
   */
  static open(range: BlobRange, label: string): ArchiveFiles {
    try {
      return new ArchiveFiles(label, range, readMembers(range, label));
    } catch (error) {
      range.close();
      throw error;
    }
  }

  has(path: string): boolean {
    return this.#members.has(fromText(path));
  }

  open(path: string): BlobRange {
    let name = fromText(path);
    for (let links = 0; links <= MAX_LINKS; links++) {
      const member = this.#members.get(name);
      if (member === undefined) {
        const via = name === fromText(path) ? "" : ` (by way of ${path})`;
        throw new NotFoundError("NO_FILE", `${this.label}: no ${printable(name)} in it${via}`);
      }
      if (member.kind === "file") return partOf(this.#range, member.offset, member.size);
      if (member.kind === "bad") {
        throw new IntegrityError(
          "WRONG_TYPE",
          `${this.label}: ${path}: expected a regular file, got ${member.reason}`,
        );
      }
      name = this.#resolve(name, member.target, member.hard);
    }
    throw new FormatError("LIMIT", `${this.label}: ${path}: over ${MAX_LINKS} links`);
  }

  close(): void {
    this.#range.close();
  }

  /** A link's target as a name in the archive; docker save writes `../<id>/layer.tar`. */
  #resolve(from: ByteString, target: ByteString, hard: boolean): ByteString {
    const base = hard ? [] : from.split("/").slice(0, -1);
    for (const part of target.split("/")) {
      if (part === "..") {
        if (base.pop() === undefined) throw this.#outside(from, target);
      } else if (part !== "." && part !== "") base.push(part);
    }
    if (!hard && target.startsWith("/")) throw this.#outside(from, target);
    return base.join("/") as ByteString;
  }

  #outside(from: ByteString, target: ByteString): FormatError {
    const link = `${printable(from)} -> ${printable(target)}`;
    return new FormatError("MALFORMED", `${this.label}: link leads out of the archive: ${link}`);
  }
}

function readMembers(range: BlobRange, label: string): Map<ByteString, Member> {
  const members = new Map<ByteString, Member>();
  let dataEnd = 0;
  const parser = new TarParser({
    entry(entry) {
      if (entry.type === "file" && entry.segments === undefined)
        dataEnd = entry.dataOffset + entry.size;
      if (entry.type !== "directory") add(members, entry, range.size, label);
      return undefined;
    },
  });
  const window = new Uint8Array(WINDOW);
  while (parser.offset < range.size) {
    // Content that nobody takes may as well be zeros: it need not be read to be passed over.
    while (dataEnd > parser.offset) {
      parser.write(SKIP.subarray(0, Math.min(SKIP.length, dataEnd - parser.offset)));
    }
    const length = Math.min(WINDOW, range.size - parser.offset);
    const got = readFully(range.fd, window.subarray(0, length), range.offset + parser.offset);
    if (got === 0) break;
    parser.write(window.subarray(0, got));
  }
  parser.end();
  return members;
}

function add(
  members: Map<ByteString, Member>,
  entry: TarEntry,
  archiveSize: number,
  label: string,
): void {
  const name = entry.path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/") as ByteString;
  if (members.size >= limits.archiveMembers) {
    throw new FormatError("LIMIT", `${label}: over ${limits.archiveMembers} members`);
  }
  members.set(name, members.has(name) ? { kind: "bad", reason: "it twice" } : memberOf(entry));
  const end = entry.dataOffset + entry.size;
  if (end > archiveSize) {
    const message = `${label}: ${printable(name)} ends at ${end}, the archive at ${archiveSize}`;
    throw new FormatError("TRUNCATED", message);
  }
}

function memberOf(entry: TarEntry): Member {
  if (entry.segments !== undefined) return { kind: "bad", reason: "a sparse file" };
  if (entry.type === "file") return { kind: "file", offset: entry.dataOffset, size: entry.size };
  if (entry.type === "symlink") return { kind: "link", target: entry.linkPath, hard: false };
  if (entry.type === "hardlink") return { kind: "link", target: entry.linkPath, hard: true };
  return { kind: "bad", reason: `a ${entry.type}` };
}
