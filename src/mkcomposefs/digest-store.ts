/**
 * The store of `mkcomposefs --digest-store`: content files named by their digest, nothing else. New
 * objects are staged, synced once, and renamed into place; an existing object is verified and, when
 * it is wrong, replaced.
 *
 * @module
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { IntegrityError } from "../errors.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { openNewFile } from "../fs/new-file.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { type OpenFile, openRegular } from "../fs/regular-file.ts";
import { FileSystemSync } from "../sys/syncfs.ts";
import { type VerityDigest, algorithmOf, objectPath } from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";

const READ_BYTES = 1 << 20;
const OBJECT_MODE = 0o644;

/**
 * A digest store that is being written to. Only `publish` adds objects to it; `close` discards all
 * others.
 */
export class DigestStore {
  readonly #root: string;
  readonly #sync: FileSystemSync;
  readonly #staging: string;
  /** Staged objects by their digest. */
  readonly #staged = new Map<VerityDigest, string>();
  /** Objects that were there, and are right. */
  readonly #present = new Set<VerityDigest>();
  readonly #fanOuts = new Set<string>();
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  /** @throws {@link SystemError} when the directory cannot be made or written to */
  constructor(root: string) {
    this.#root = root;
    try {
      mkdirSync(root, { recursive: true });
      this.#staging = mkdtempSync(join(root, ".tmp"));
      this.#sync = new FileSystemSync(root);
    } catch (error) {
      throw failure(`digest store ${root}`, error);
    }
  }

  /** Whether the store has the object, or will have it. One that is wrong does not count. */
  has(digest: VerityDigest, size: number): boolean {
    if (this.#staged.has(digest) || this.#present.has(digest)) return true;
    if (!this.#isRight(join(this.#root, objectPath(digest)), digest, size)) return false;
    this.#present.add(digest);
    return true;
  }

  /** Stages an object whose content is at hand. */
  put(digest: VerityDigest, content: Uint8Array): void {
    const path = this.#stage(digest);
    try {
      const fd = openNewFile(path, OBJECT_MODE);
      try {
        writeFully(fd, content);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw failure(path, error);
    }
  }

  /**
   * Stages a copy of a file, which shares its blocks where the file system can do that.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` when the copy does not have this digest
   */
  copy(digest: VerityDigest, source: Uint8Array, size: number): void {
    const path = this.#stage(digest);
    try {
      const from = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
      copyFileSync(from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      chmodSync(path, OBJECT_MODE);
    } catch (error) {
      throw failure(path, error);
    }
    if (!this.#isRight(path, digest, size)) {
      throw new IntegrityError("DIGEST_MISMATCH", `object ${digest}: the file changed meanwhile`);
    }
  }

  /**
   * Moves all staged objects into their places; when it returns they are on the disk.
   *
   * @throws {@link SystemError} when the system could not write; objects may be missing then, none
   *   is wrong
   */
  publish(): void {
    if (this.#staged.size === 0) return;
    try {
      this.#sync.sync();
      for (const [digest, path] of this.#staged) {
        const place = join(this.#root, objectPath(digest));
        this.#makeFanOut(digest.slice(0, 2));
        renameSync(path, place);
      }
      this.#sync.sync();
    } catch (error) {
      throw failure(`digest store ${this.#root}`, error);
    }
    this.#staged.clear();
  }

  /** Removes what was not published. */
  close(): void {
    this.#sync.close();
    rmSync(this.#staging, { recursive: true, force: true });
  }

  #stage(digest: VerityDigest): string {
    const path = join(this.#staging, String(this.#staged.size));
    this.#staged.set(digest, path);
    return path;
  }

  #makeFanOut(name: string): void {
    if (this.#fanOuts.has(name)) return;
    mkdirSync(join(this.#root, name), { recursive: true });
    this.#fanOuts.add(name);
  }

  /** Whether a regular file with this content is at `path`. */
  #isRight(path: string, digest: VerityDigest, size: number): boolean {
    let file: OpenFile;
    try {
      file = openRegular(path, `object ${digest}`);
    } catch {
      return false; // missing, or not a regular file: to be replaced
    }
    try {
      if (file.size !== size) return false;
      const hasher = new VerityHasher(algorithmOf(digest));
      for (;;) {
        const got = readSync(file.fd, this.#buffer, 0, READ_BYTES, null);
        if (got === 0) break;
        hasher.update(this.#buffer.subarray(0, got));
      }
      return hasher.digest() === digest;
    } catch (error) {
      if (errnoOf(error) === "EIO") return false; // a damaged disk block
      throw failure(path, error);
    } finally {
      closeSync(file.fd);
    }
  }
}
