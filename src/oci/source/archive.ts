/**
 * An archive (tar) of a layout as a set of files that are read where they lie: one pass over the
 * headers finds each file's offset, its content is skipped.
 *
 * @module
 */
import { type ByteString, fromText, printable } from "../../bytes/bytestring.ts";
import { FormatError, IntegrityError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { TarEntry } from "../../tar/entry.ts";
import { type BlobRange, type LayoutFiles, partOf } from "../blob.ts";
import { memberName } from "./member-name.ts";
import { hasSameBytes } from "../../fs/same-bytes.ts";
import { scanTar } from "./tar-scan.ts";

interface StoredFile {
  readonly kind: "file";
  readonly offset: number;
  readonly size: number;
}

type Single =
  | StoredFile
  | { readonly kind: "link"; readonly target: ByteString; readonly hard: boolean }
  /** Something that is neither file nor link. */
  | { readonly kind: "bad"; readonly reason: string };

type Member =
  | Single
  /** Stored more than once. */
  | { readonly kind: "copies"; readonly copies: Single[] };

/** The members of an archive by name. `close` closes the archive. */
export class ArchiveFiles implements LayoutFiles {
  readonly label: string;
  readonly #range: BlobRange;
  readonly #members: Map<ByteString, Member>;

  private constructor(label: string, range: BlobRange, members: Map<ByteString, Member>) {
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
    return this.#members.has(memberName(fromText(path)));
  }

  open(path: string): BlobRange {
    const asked = memberName(fromText(path));
    let name = asked;
    for (let links = 0; links <= limits.archiveLinks; links++) {
      const member = this.#single(name);
      if (member === undefined) {
        const via = name === asked ? "" : ` (by way of ${path})`;
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
    const most = `expected at most ${limits.archiveLinks} links on the way`;
    throw new FormatError("LIMIT", `${this.label}: ${path}: ${most}, got more`);
  }

  close(): void {
    this.#range.close();
  }

  /** What is stored under a name; copies of it have to be the same. */
  #single(name: ByteString): Single | undefined {
    const member = this.#members.get(name);
    if (member?.kind !== "copies") return member;
    const [first, ...others] = member.copies as [Single, ...Single[]];
    for (const other of others) {
      if (this.#isCopy(name, first, other)) continue;
      const message = `${this.label}: ${printable(name)} is stored twice, with different content`;
      throw new FormatError("AMBIGUOUS", message, {
        hint: "tools differ about which of them counts: make the archive again",
      });
    }
    this.#members.set(name, first);
    return first;
  }

  #isCopy(name: ByteString, first: Single, other: Single): boolean {
    // What GNU tar writes of a file that it is given twice.
    if (other.kind === "link" && other.hard && memberName(other.target) === name) return true;
    if (first.kind === "file" && other.kind === "file") {
      const [a, b] = [first, other].map(({ offset, size }) => partOf(this.#range, offset, size));
      return hasSameBytes(a!, b!);
    }
    if (first.kind !== "link" || other.kind !== "link") return false;
    return first.target === other.target && first.hard === other.hard;
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
  let count = 0;
  const entry = (found: TarEntry) => {
    if (found.type === "directory") return 0;
    if (++count > limits.archiveMembers) {
      const message = `${label}: expected at most ${limits.archiveMembers} files, got more`;
      throw new FormatError("LIMIT", message, { hint: "tar:FILE takes it as one layer" });
    }
    add(members, found);
    return 0;
  };
  scanTar(range, { entry }, label);
  return members;
}

function add(members: Map<ByteString, Member>, entry: TarEntry): void {
  const { length } = entry.path;
  if (length > limits.pathBytes) {
    const message = `a name: expected at most ${limits.pathBytes} bytes, got ${length}`;
    throw new FormatError("LIMIT", message);
  }
  const name = memberName(entry.path);
  const [before, member] = [members.get(name), memberOf(entry)];
  if (before === undefined) members.set(name, member);
  else if (before.kind === "copies") before.copies.push(member);
  else members.set(name, { kind: "copies", copies: [before, member] });
}

function memberOf(entry: TarEntry): Single {
  if (entry.segments !== undefined) return { kind: "bad", reason: "a sparse file" };
  if (entry.type === "file") return { kind: "file", offset: entry.dataOffset, size: entry.size };
  if (entry.type === "symlink") return { kind: "link", target: entry.linkPath, hard: false };
  if (entry.type === "hardlink") return { kind: "link", target: entry.linkPath, hard: true };
  return { kind: "bad", reason: `a ${entry.type}` };
}
