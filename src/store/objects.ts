/**
 * The objects of one store: content under the name of its verity digest. A name proves nothing;
 * the opener of an object checks what is read from it.
 *
 * Spec: docs/store.md, "Objects".
 *
 * @module
 */
import { type Stats, closeSync, readSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../errors.ts";
import {
  type VerityAlgorithm,
  type VerityDigest,
  algorithmOf,
  objectPath,
} from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";
import { failure } from "../fs/failure.ts";
import { HeldDirectory } from "../fs/held-directory.ts";
import type { OpenFile } from "../fs/regular-file.ts";
import { readFully } from "../fs/descriptor-io.ts";
import { hasSameBytes } from "../fs/same-bytes.ts";

/** What stands under an object's name. */
export type ObjectState = "absent" | "good" | "wrong";

const READ_BYTES = 1024 * 1024;

/** The objects below one `objects/` directory. */
export class ObjectStore {
  readonly #files: HeldDirectory;
  /** The name of the `objects/` directory. */
  readonly name: string;

  /** `name` is where `ab/cdef…` are in `files`; empty for that directory itself. */
  constructor(files: HeldDirectory, name: string) {
    this.#files = files;
    this.name = name;
  }

  /** Objects below a directory that another thread of this process has opened with {@link hold}. */
  static held(directory: string, fd: number): ObjectStore {
    return new ObjectStore(HeldDirectory.shared({ path: directory, fd }), "");
  }

  /**
   * Opens the `objects/` directory: whatever happens to names above it later, objects are looked up
   * from there. The descriptor serves all threads of this process.
   *
   * @throws {@link SystemError} when it cannot be opened; {@link IntegrityError} `WRONG_TYPE`
   */
  hold(): number {
    try {
      return this.#files.openDirectory(this.name);
    } catch (error) {
      throw failure(this.directory, error);
    }
  }

  /** The same objects, looked up from their directory on: see {@link hold}. */
  holding(): ObjectStore {
    return this.name === "" ? this : new ObjectStore(this.#files.below(this.name), "");
  }

  /** The path of the `objects/` directory, the `basedir` of mount.composefs. */
  get directory(): string {
    return this.#files.pathOf(this.name);
  }

  /** The name of an object in the store. */
  nameOf(digest: VerityDigest): string {
    return this.name === "" ? objectPath(digest) : `${this.name}/${objectPath(digest)}`;
  }

  /** For messages: where the object is, or would be. */
  path(digest: VerityDigest): string {
    return this.#files.pathOf(this.nameOf(digest));
  }

  /** The size of the file under an object's name; undefined when there is none. */
  sizeOf(digest: VerityDigest): number | undefined {
    try {
      const stat = this.#files.stat(this.nameOf(digest));
      return stat?.isFile() === true ? stat.size : undefined;
    } catch {
      return undefined; // something else than a directory is on the way, or it is closed to us
    }
  }

  /**
   * Those of the objects, by digest and size, that are not there as files of that size; their content
   * is not looked at.
   */
  lacking(objects: ReadonlyMap<VerityDigest, number>): VerityDigest[] {
    const lacking: VerityDigest[] = [];
    const byFan = new Map<string, VerityDigest[]>();
    for (const digest of objects.keys()) {
      const fan = digest.slice(0, 2);
      const listed = byFan.get(fan);
      if (listed === undefined) byFan.set(fan, [digest]);
      else listed.push(digest);
    }
    for (const [fan, digests] of byFan) {
      const stats = this.#statsIn(fan, digests);
      for (const [at, digest] of digests.entries()) {
        const stat = stats[at];
        if (stat?.isFile() !== true || stat.size !== objects.get(digest)) lacking.push(digest);
      }
    }
    return lacking;
  }

  #statsIn(fan: string, digests: readonly VerityDigest[]): readonly (Stats | undefined)[] {
    const directory = this.name === "" ? fan : `${this.name}/${fan}`;
    const names = digests.map((digest) => digest.slice(2));
    try {
      return this.#files.stats(directory, names);
    } catch {
      return []; // something else than a directory is on the way, or it is closed to us
    }
  }

  /** Whether anything stands under an object's name. */
  has(digest: VerityDigest): boolean {
    return this.#files.stat(this.nameOf(digest)) !== undefined;
  }

  /**
   * Opens an object for reading; the content is unchecked. The caller closes the descriptor.
   *
   * @throws {@link NotFoundError} `NO_OBJECT`
   * @throws {@link IntegrityError} `WRONG_TYPE` when it is no regular file
   * @throws {@link SystemError} when the system cannot open it
   */
  open(digest: VerityDigest): number {
    return this.openFile(digest).fd;
  }

  /** As {@link open}, with the size that the file has. */
  openFile(digest: VerityDigest): OpenFile {
    const what = `object ${digest}`;
    try {
      return this.#files.openRegular(this.nameOf(digest), what);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      throw new NotFoundError("NO_OBJECT", `${what}: not in ${this.directory}`, { cause: error });
    }
  }

  /**
   * Reads an object and compares its digest with its name.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` or `WRONG_TYPE`; {@link NotFoundError}
   *   `NO_OBJECT`; {@link SystemError} when it cannot be read
   */
  verify(digest: VerityDigest): void {
    const fd = this.open(digest);
    try {
      const got = digestOfFile(fd, algorithmOf(digest));
      if (got !== digest) {
        throw new IntegrityError("DIGEST_MISMATCH", `object ${digest}: its content has ${got}`);
      }
    } catch (error) {
      throw failure(`object ${digest}`, error);
    } finally {
      closeSync(fd);
    }
  }

  /** What stands under the name of an object whose content the caller holds. */
  compare(digest: VerityDigest, content: Uint8Array): ObjectState {
    return this.#state(digest, ({ fd, size }) => {
      if (size !== content.length) return false;
      const bytes = Buffer.allocUnsafe(size);
      return readFully(fd, bytes, 0) === size && bytes.equals(content);
    });
  }

  /**
   * What stands under the name of an object whose content a descriptor reads: comparing takes less
   * than hashing.
   */
  compareFile(digest: VerityDigest, content: number, size: number): ObjectState {
    const wanted = { fd: content, offset: 0, size };
    return this.#state(digest, (file) => hasSameBytes({ ...file, offset: 0 }, wanted));
  }

  /** What stands under the name of an object of `size` bytes: it is read and hashed. */
  state(digest: VerityDigest, size?: number): ObjectState {
    return this.#state(
      digest,
      (file) =>
        (size === undefined || file.size === size) &&
        digestOfFile(file.fd, algorithmOf(digest)) === digest,
    );
  }

  #state(digest: VerityDigest, isGood: (file: OpenFile) => boolean): ObjectState {
    let file: OpenFile;
    try {
      file = this.openFile(digest);
    } catch (error) {
      if (error instanceof NotFoundError) return "absent";
      if (error instanceof IntegrityError) return "wrong";
      throw error;
    }
    try {
      return isGood(file) ? "good" : "wrong";
    } catch (error) {
      throw failure(`object ${digest}`, error);
    } finally {
      closeSync(file.fd);
    }
  }
}

/** The verity digest of what a descriptor reads, from its start. */
export function digestOfFile(fd: number, algorithm: VerityAlgorithm): VerityDigest {
  return hashFile(fd, new VerityHasher(algorithm));
}

/** The same with a hasher of the caller's, who may ask it for more. */
export function hashFile(fd: number, hasher: VerityHasher): VerityDigest {
  const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  for (let position = 0; ;) {
    const got = readSync(fd, bytes, 0, READ_BYTES, position);
    if (got === 0) return hasher.digest();
    hasher.update(bytes.subarray(0, got));
    position += got;
  }
}
