/**
 * Content of objects with promise `block`: no byte leaves this module that was not compared with
 * the signed digest after it had been copied into this process (fs-verity kernel documentation,
 * "Merkle tree").
 *
 * What is read as a whole is checked as a whole. For parts of an object its leaf hashes are needed
 * first: from the threads' shared memory, from the store's cache (checked against the digest), or by
 * hashing the object once.
 *
 * @module
 */
import type { ByteRange } from "../store/partial-objects.ts";
import { closeSync, readSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../errors.ts";
import {
  VERITY_BLOCK_SIZE,
  VerityHasher,
  type VerityDigest,
  algorithmOf,
  digestOfLeaves,
  leavesSize,
  verifyBlocks,
  verityDigestOf,
} from "../verity/index.ts";
import { Counters, type FailureCause } from "./counters.ts";
import { LEAVES_ABOVE } from "../store/leaves.ts";
import { OpenFiles } from "./open-files.ts";
import type { SharedLeaves } from "./shared-leaves.ts";

/** A place that may have objects; nothing that comes from it is trusted. */
export interface ObjectPlace {
  /** For messages: where it is. */
  readonly path: string;
  /** Opens a regular file, not through a symlink and without blocking; throws when it cannot. */
  openFile(digest: VerityDigest): { readonly fd: number; readonly size: number };
  /** Leaf hashes kept from earlier, unchecked. */
  readLeaves(digest: VerityDigest): Uint8Array | undefined;
  /** Keeps leaf hashes for the next mount; false where that is not possible. */
  writeLeaves(digest: VerityDigest, leaves: Uint8Array): boolean;
}

/** A file of the image whose content is an object. */
export interface ObjectFile {
  /** The file's number in the image. */
  readonly nid: number;
  readonly digest: VerityDigest;
  /** Bytes, as the image says. */
  readonly size: number;
}

/** No place has the content as signed; it may still be fetched. */
export class ObjectUnavailable extends IntegrityError {
  readonly file: ObjectFile;
  /** The bytes that were to be read; undefined when the object was to be opened. */
  readonly range: ByteRange | undefined;
  /** What was wrong, in one word. */
  readonly reason: FailureCause;

  constructor(file: ObjectFile, range: ByteRange | undefined, problems: readonly PlaceProblem[]) {
    const told = problems.map(({ where, error }) => `${where}: ${error.message}`);
    super("DIGEST_MISMATCH", `object ${file.digest}: ${[...new Set(told)].join("; ")}`);
    this.file = file;
    this.range = range;
    this.reason = worstOf(problems.map(({ error }) => reasonOf(error)));
  }
}

/** Why a place did not give the content. */
export interface PlaceProblem {
  readonly where: string;
  readonly error: Error;
}

function reasonOf(error: Error): FailureCause {
  if (error instanceof NotFoundError) return "missing";
  if (!(error instanceof IntegrityError)) return "storage";
  if (error.code === "DIGEST_MISMATCH") return "content";
  return error.code === "SIZE_MISMATCH" ? "size" : "storage";
}

/** A wrong object says more than a missing one. */
function worstOf(reasons: readonly FailureCause[]): FailureCause {
  const order: readonly FailureCause[] = ["content", "size", "storage"];
  return order.find((reason) => reasons.includes(reason)) ?? "missing";
}

export type { ByteRange } from "../store/partial-objects.ts";

const HASH_BYTES = 1024 * 1024;
/** Leaves that this thread keeps to itself when the shared memory is full, in bytes. */
const OWN_LEAVES_BYTES = 64 * 1024 * 1024;
/** Of larger objects there will be another read: the descriptor is kept. */
const KEEP_OPEN_ABOVE = 128 * 1024;
/** Descriptors that one thread holds at most. */
const OPEN_FILES = 24;

/** Opens and reads objects from places in order, checking everything. */
export class ObjectReader {
  readonly #places: readonly ObjectPlace[];
  readonly #shared: SharedLeaves;
  readonly #counters: Counters;
  readonly #open = new OpenFiles(OPEN_FILES);
  readonly #own = new Map<number, Uint8Array>();
  #ownBytes = 0;
  #scratch: Buffer | undefined;

  constructor(places: readonly ObjectPlace[], shared: SharedLeaves, counters = new Counters()) {
    this.#places = places;
    this.#shared = shared;
    this.#counters = counters;
  }

  /** Whether the object has been hashed before, or need not be before it is read. */
  isKnown({ nid, size }: ObjectFile): boolean {
    return size <= VERITY_BLOCK_SIZE || this.#shared.get(nid) !== undefined || this.#own.has(nid);
  }

  /**
   * Makes sure that the object can be read: it is there, regular, as long as the image says, and if
   * it is larger than a block its leaf hashes are known.
   *
   * @throws {@link ObjectUnavailable} with what is wrong at each place
   */
  prepare(file: ObjectFile): void {
    const problems: PlaceProblem[] = [];
    for (const place of this.#places) {
      const fd = this.#openAt(place, file, problems, file.size > VERITY_BLOCK_SIZE);
      if (fd === undefined) continue;
      this.#keepOpen(file, fd);
      return;
    }
    throw new ObjectUnavailable(file, undefined, problems);
  }

  /**
   * Reads and checks `length` bytes from `position`, a multiple of 4096, on into `out` at `at`;
   * the range ends within the file, at a multiple of 4096 or with the file. When a descriptor that
   * was kept turns out to be of a bad object, every place is asked once more: the object may have
   * been repaired.
   *
   * @throws {@link ObjectUnavailable} when no place has the right bytes; `out` must not be used
   *   then
   */
  read(file: ObjectFile, position: number, out: Uint8Array, at: number, length: number): void {
    const problems: PlaceProblem[] = [];
    const held = this.#open.get(file.nid);
    if (held !== undefined) {
      if (this.#readFrom("the open file", file, held, position, out, at, length, problems)) return;
      this.#open.drop(file.nid);
    }
    for (const place of this.#places) {
      const fd = this.#openAt(place, file, problems, length < file.size);
      if (fd === undefined) continue;
      if (this.#readFrom(place.path, file, fd, position, out, at, length, problems)) {
        this.#keepOpen(file, fd);
        return;
      }
      closeSync(fd);
    }
    throw new ObjectUnavailable(file, { start: position, end: position + length }, problems);
  }

  #keepOpen(file: ObjectFile, fd: number): void {
    if (file.size > KEEP_OPEN_ABOVE) this.#open.add(file.nid, fd);
    else closeSync(fd);
  }

  #openAt(
    place: ObjectPlace,
    file: ObjectFile,
    problems: PlaceProblem[],
    needsLeaves: boolean,
  ): number | undefined {
    let fd: number | undefined;
    try {
      const opened = place.openFile(file.digest);
      this.#counters.openedObject();
      fd = opened.fd;
      if (opened.size !== file.size) {
        throw new IntegrityError(
          "SIZE_MISMATCH",
          `expected ${file.size} bytes, got ${opened.size}`,
        );
      }
      if (needsLeaves) this.#leavesOf(file, fd, place);
      return fd;
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      problems.push({ where: place.path, error: error as Error });
      return undefined;
    }
  }

  #readFrom(
    where: string,
    file: ObjectFile,
    fd: number,
    position: number,
    out: Uint8Array,
    at: number,
    length: number,
    problems: PlaceProblem[],
  ): boolean {
    try {
      for (let done = 0; done < length;) {
        const got = readSync(fd, out, at + done, length - done, position + done);
        if (got === 0) {
          throw new IntegrityError("SIZE_MISMATCH", `the file ends at ${position + done}`);
        }
        done += got;
      }
      this.#check(file, fd, position, out.subarray(at, at + length));
      return true;
    } catch (error) {
      problems.push({ where, error: error as Error });
      return false;
    }
  }

  /** @throws {@link IntegrityError} when `data`, which was read from `position` on, is not as signed */
  #check(file: ObjectFile, fd: number, position: number, data: Uint8Array): void {
    const algorithm = algorithmOf(file.digest);
    this.#counters.verified(Math.ceil(data.length / VERITY_BLOCK_SIZE));
    if (data.length === file.size) {
      const got = verityDigestOf(data, algorithm);
      if (got !== file.digest) throw new IntegrityError("DIGEST_MISMATCH", `content has ${got}`);
      return;
    }
    const leaves = this.#leavesOf(file, fd);
    const bad = verifyBlocks(data, position / VERITY_BLOCK_SIZE, leaves, algorithm);
    if (bad >= 0) throw new IntegrityError("DIGEST_MISMATCH", `block ${bad} is not as signed`);
  }

  /** The leaf hashes of a file, verified. */
  #leavesOf(file: ObjectFile, fd: number, place?: ObjectPlace): Uint8Array {
    const held = this.#shared.get(file.nid) ?? this.#own.get(file.nid);
    if (held !== undefined) return held;
    const kept = this.#keptLeaves(file);
    const leaves = kept ?? this.#hash(file, fd);
    if (!this.#shared.add(file.nid, leaves)) this.#keepOwn(file.nid, leaves);
    if (kept === undefined && file.size > LEAVES_ABOVE) {
      for (const taker of place === undefined ? this.#places : [place, ...this.#places]) {
        if (taker.writeLeaves(file.digest, leaves)) break;
      }
    }
    return leaves;
  }

  #keptLeaves(file: ObjectFile): Uint8Array | undefined {
    if (file.size <= LEAVES_ABOVE) return undefined;
    const algorithm = algorithmOf(file.digest);
    for (const place of this.#places) {
      const leaves = place.readLeaves(file.digest);
      if (leaves?.length !== leavesSize(file.size, algorithm)) continue;
      if (digestOfLeaves(leaves, file.size, algorithm) === file.digest) return leaves;
    }
    return undefined;
  }

  /** Reads all of an object once. */
  #hash(file: ObjectFile, fd: number): Uint8Array {
    const scratch = (this.#scratch ??= Buffer.allocUnsafeSlow(HASH_BYTES));
    const hasher = new VerityHasher(algorithmOf(file.digest), { keepLeaves: true });
    for (let position = 0; position < file.size;) {
      const got = readSync(fd, scratch, 0, HASH_BYTES, position);
      if (got === 0) throw new IntegrityError("SIZE_MISMATCH", `the file ends at ${position}`);
      hasher.update(scratch.subarray(0, Math.min(got, file.size - position)));
      position += got;
    }
    const got = hasher.digest();
    this.#counters.hashed(file.size);
    if (got !== file.digest) throw new IntegrityError("DIGEST_MISMATCH", `content has ${got}`);
    return hasher.leaves();
  }

  #keepOwn(nid: number, leaves: Uint8Array): void {
    this.#own.set(nid, leaves);
    this.#ownBytes += leaves.length;
    for (const [oldest, bytes] of this.#own) {
      if (this.#ownBytes <= OWN_LEAVES_BYTES || oldest === nid) break;
      this.#own.delete(oldest);
      this.#ownBytes -= bytes.length;
    }
  }
}
