/**
 * The store of `mkcomposefs --digest-store`: content files named by their digest, nothing else. New
 * objects are staged, synced once, and renamed into place; an existing object is verified and, when
 * it is wrong, replaced.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, copyFileSync, fchmodSync, mkdirSync, readSync } from "node:fs";
import { IntegrityError } from "../errors.ts";
import { writeFully } from "../fs/descriptor-io.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { HeldDirectory } from "../fs/held-directory.ts";
import type { OpenFile } from "../fs/regular-file.ts";
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
  readonly #root: HeldDirectory;
  readonly #sync: FileSystemSync;
  /** The name of the directory for what is not published yet. */
  readonly #staging = `.tmp${randomBytes(6).toString("hex")}`;
  /** Names of staged objects by their digest. */
  readonly #staged = new Map<VerityDigest, string>();
  /** Objects that were there, and are right. */
  readonly #present = new Set<VerityDigest>();
  readonly #fanOuts = new Set<string>();
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  /** @throws {@link SystemError} when the directory cannot be made or written to */
  constructor(root: string) {
    try {
      mkdirSync(root, { recursive: true });
      this.#root = HeldDirectory.open(root);
      this.#root.newDirectory(this.#staging, 0o700);
      this.#sync = new FileSystemSync(this.#root.openDirectory(""), root);
    } catch (error) {
      throw failure(`digest store ${root}`, error);
    }
  }

  /** Whether the store has the object, or will have it. One that is wrong does not count. */
  has(digest: VerityDigest, size: number): boolean {
    if (this.#staged.has(digest) || this.#present.has(digest)) return true;
    if (!this.#isRight(objectPath(digest), digest, size)) return false;
    this.#present.add(digest);
    return true;
  }

  /** Stages an object whose content is at hand. */
  put(digest: VerityDigest, content: Uint8Array): void {
    const name = this.#stage(digest);
    try {
      const fd = this.#root.newFile(name, OBJECT_MODE);
      try {
        writeFully(fd, content);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw failure(this.#root.pathOf(name), error);
    }
  }

  /**
   * Stages a copy of a file, which shares its blocks where the file system can do that.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` when the copy does not have this digest
   */
  copy(digest: VerityDigest, source: Uint8Array, size: number): void {
    const name = this.#stage(digest);
    try {
      const from = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
      const { COPYFILE_EXCL, COPYFILE_FICLONE } = constants;
      this.#root.at(name, (path) => copyFileSync(from, path, COPYFILE_EXCL | COPYFILE_FICLONE));
      this.#setMode(name);
    } catch (error) {
      throw failure(this.#root.pathOf(name), error);
    }
    if (!this.#isRight(name, digest, size)) {
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
      for (const [digest, name] of this.#staged) {
        this.#makeFanOut(digest.slice(0, 2));
        this.#root.rename(name, objectPath(digest));
      }
      this.#sync.sync();
    } catch (error) {
      throw failure(`digest store ${this.#root.path}`, error);
    }
    this.#staged.clear();
  }

  /** Removes what was not published. */
  close(): void {
    this.#sync.close();
    this.#root.removeTree(this.#staging);
    this.#root.close();
  }

  #stage(digest: VerityDigest): string {
    const name = `${this.#staging}/${this.#staged.size}`;
    this.#staged.set(digest, name);
    return name;
  }

  #makeFanOut(name: string): void {
    if (this.#fanOuts.has(name)) return;
    this.#root.makeDirectory(name);
    this.#fanOuts.add(name);
  }

  #setMode(name: string): void {
    const fd = this.#root.open(name, constants.O_RDONLY);
    try {
      fchmodSync(fd, OBJECT_MODE);
    } finally {
      closeSync(fd);
    }
  }

  /** Whether a regular file with this content is under a name. */
  #isRight(name: string, digest: VerityDigest, size: number): boolean {
    let file: OpenFile;
    try {
      file = this.#root.openRegular(name, `object ${digest}`);
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
      throw failure(this.#root.pathOf(name), error);
    } finally {
      closeSync(file.fd);
    }
  }
}
