/**
 * The objects of one transaction before they are published. Only this module decides which of them
 * are duplicates, which the store has already, and which the store has with wrong content.
 *
 * @module
 */
import { closeSync, constants, copyFileSync, fchmodSync, fstatSync, fsyncSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";
import { errnoOf } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { QUARANTINE } from "./layout.ts";
import { type ObjectState, hashFile } from "./objects.ts";
import { Presence } from "./presence.ts";
import { LEAVES_ABOVE, leavesNameOf } from "./leaves.ts";
import type { FreeSpace } from "./space.ts";
import { StagedFile, writeStagedFile } from "../fs/staged-file.ts";
import { StagedVerity } from "./staged-verity.ts";
import type { StagingDirectory } from "./staging.ts";
import type { Store } from "./store.ts";

/** What became of the objects of a transaction. */
export interface Published {
  /** Objects that the store did not have, and their bytes. */
  readonly added: number;
  readonly addedBytes: number;
  /** Objects that the store had already. */
  readonly present: number;
  /** Objects whose content was wrong: now in `quarantine/`, and replaced. */
  readonly replaced: readonly VerityDigest[];
}

/** An object whose content arrives in parts. */
export interface StagedObject {
  /** @throws {@link SystemError} `NO_SPACE`, `IO`, … */
  write(chunk: Uint8Array): void;
  /**
   * Ends the object; `digest` is what the caller has computed of its bytes. `leaves`, when given,
   * are kept for readers of parts of the object.
   */
  finish(digest: VerityDigest, leaves?: Uint8Array): void;
  /** Closes the file; the transaction removes it. */
  abandon(): void;
}

/** Small: there may be millions of them. */
interface Entry {
  /** Its file in the staging directory; {@link PRESENT} when the store has the object already. */
  readonly number: number;
  readonly size: number;
  /** Whether the store has wrong content under its name. */
  readonly replaces: boolean;
}

const PRESENT = -1;
const MODE = 0o444;
/** Error numbers of a file system that cannot clone, or not from that source. */
const CANNOT_CLONE = new Set(["EOPNOTSUPP", "ENOTSUP", "ENOTTY", "ENOSYS", "EXDEV", "EINVAL"]);

export interface StagingOptions {
  /** Asked before anything is written. */
  readonly space: Pick<FreeSpace, "take">;
  /** Whether each file is synced by itself. */
  readonly sync: boolean;
}

/** Objects by digest, each in the staging directory or known to be in the store. */
export class StagedObjects {
  readonly #store: Store;
  readonly #staging: StagingDirectory;
  readonly #presence: Presence;
  readonly #entries = new Map<VerityDigest, Entry>();
  /** Files with leaf hashes. */
  readonly #leaves = new Map<VerityDigest, number>();
  readonly #options: StagingOptions;
  #next = 0;

  /** The directories of the store in which objects were published. */
  readonly directories = new Set<string>();

  constructor(store: Store, staging: StagingDirectory, options: StagingOptions) {
    this.#store = store;
    this.#staging = staging;
    this.#options = options;
    this.#presence = new Presence(store.files, store.objects.name);
  }

  get #files(): HeldDirectory {
    return this.#staging.files;
  }

  has(digest: VerityDigest): boolean {
    return this.#entries.has(digest);
  }

  /** Bytes of those objects, by digest and size, that are neither staged nor in the store. */
  bytesOfAbsent(objects: ReadonlyMap<VerityDigest, number>): number {
    let bytes = 0;
    for (const [digest, size] of objects) {
      if (!this.#entries.has(digest) && !this.#presence.mayHave(digest)) bytes += size;
    }
    return bytes;
  }

  /**
   * Takes for there what the store has as a file of the right size, its content unread. Returns those
   * of the objects that are neither there nor staged.
   */
  trust(objects: ReadonlyMap<VerityDigest, number>): VerityDigest[] {
    const others = new Map([...objects].filter(([digest]) => !this.#entries.has(digest)));
    const lacking = this.#store.objects.lacking(others);
    for (const digest of lacking) others.delete(digest);
    for (const [digest, size] of others) {
      this.#entries.set(digest, { number: PRESENT, size, replaces: false });
    }
    return lacking;
  }

  /** Stages an object whose content is at hand and has this digest. */
  put(digest: VerityDigest, content: Uint8Array): void {
    if (this.#entries.has(digest)) return;
    const state: ObjectState = this.#presence.mayHave(digest)
      ? this.#store.objects.compare(digest, content)
      : "absent";
    let number = PRESENT;
    if (state !== "good") {
      number = this.#next++;
      this.#options.space.take(content.length);
      writeStagedFile(this.#files, nameOf(number), content, this.#options.sync);
    }
    this.#entries.set(digest, { number, size: content.length, replaces: state === "wrong" });
  }

  stage(): StagedObject {
    const number = this.#next++;
    const file = new StagedFile(this.#files, nameOf(number));
    return {
      write: (chunk) => file.write(chunk, (bytes) => this.#options.space.take(bytes)),
      abandon: () => file.abandon(),
      finish: (digest, leaves) => {
        file.close(this.#options.sync);
        const isNew = this.#add(digest, number, file.size);
        if (isNew && leaves !== undefined && file.size > LEAVES_ABOVE)
          this.#putLeaves(digest, leaves);
      },
    };
  }

  /**
   * Stages a file as a clone that shares its blocks, and computes its digest from the clone.
   * Undefined where the file systems cannot do that; nothing was staged then.
   */
  clone(source: number, algorithm: VerityAlgorithm): VerityDigest | undefined {
    const number = this.#next++;
    const name = nameOf(number);
    const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
    try {
      this.#files.at(name, (path) =>
        copyFileSync(`/proc/self/fd/${source}`, path, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE),
      );
    } catch (error) {
      this.#files.removeTree(name);
      if (CANNOT_CLONE.has(errnoOf(error) ?? "")) return undefined;
      throw error;
    }
    const fd = this.#files.open(name, constants.O_RDONLY);
    try {
      fchmodSync(fd, MODE);
      const { size } = fstatSync(fd);
      const hasher = new VerityHasher(algorithm, { keepLeaves: size > LEAVES_ABOVE });
      const digest = hashFile(fd, hasher);
      if (this.#options.sync) fsyncSync(fd);
      if (this.#add(digest, number, size) && size > LEAVES_ABOVE) {
        this.#putLeaves(digest, hasher.leaves());
      }
      return digest;
    } finally {
      closeSync(fd);
    }
  }

  /** Takes over a file of the store whose content has this digest. */
  adopt(name: string, digest: VerityDigest, size: number): void {
    const number = this.#next++;
    this.#store.files.rename(name, nameOf(number), this.#files);
    if (this.#options.sync) this.#files.sync(nameOf(number));
    this.#add(digest, number, size);
  }

  /** Turns fs-verity on for the wanted objects, where the file system has it. */
  protect(wanted: ReadonlySet<VerityDigest> | undefined): void {
    const verity = new StagedVerity();
    for (const [digest, { number }] of this.#entries) {
      if (number === PRESENT || (wanted !== undefined && !wanted.has(digest))) continue;
      if (!verity.protect(this.#files, nameOf(number), digest)) return;
    }
  }

  /** Renames the wanted objects to their names; wrong ones in their place go to quarantine. */
  publish(wanted: ReadonlySet<VerityDigest> | undefined): Published {
    const { files, objects } = this.#store;
    let added = 0;
    let addedBytes = 0;
    let present = 0;
    const replaced: VerityDigest[] = [];
    for (const [digest, { number, size, replaces }] of this.#entries) {
      if (wanted !== undefined && !wanted.has(digest)) continue;
      const target = objects.nameOf(digest);
      if (number === PRESENT) {
        present += 1;
        this.#syncPresent(target);
        continue;
      }
      if (replaces) {
        moveAway(files, target, `${QUARANTINE}/${digest}.${basename(this.#staging.name)}`);
        replaced.push(digest);
      }
      this.#files.rename(nameOf(number), target, files);
      this.directories.add(dirname(target));
      added += 1;
      addedBytes += size;
      this.#publishLeaves(digest);
    }
    return { added, addedBytes, present, replaced };
  }

  /** The process that published it may have died before it was on the disk. */
  #syncPresent(name: string): void {
    if (!this.#options.sync) return; // the sync of the file system covers it
    this.#store.files.sync(name);
    this.directories.add(dirname(name));
  }

  /** Returns whether the file is needed; otherwise it was removed. */
  #add(digest: VerityDigest, number: number, size: number): boolean {
    const known = this.#entries.has(digest);
    const state = known ? "absent" : this.#compare(digest, number, size);
    if (known || state === "good") this.#files.unlink(nameOf(number));
    if (known) return false;
    this.#entries.set(digest, {
      number: state === "good" ? PRESENT : number,
      size,
      replaces: state === "wrong",
    });
    return state !== "good";
  }

  /** What the store has in the place of a staged file. */
  #compare(digest: VerityDigest, number: number, size: number): ObjectState {
    if (!this.#presence.mayHave(digest)) return "absent";
    const fd = this.#files.open(nameOf(number), constants.O_RDONLY);
    try {
      return this.#store.objects.compareFile(digest, fd, size);
    } finally {
      closeSync(fd);
    }
  }

  #putLeaves(digest: VerityDigest, leaves: Uint8Array): void {
    const number = this.#next++;
    writeStagedFile(this.#files, nameOf(number), leaves, this.#options.sync);
    this.#leaves.set(digest, number);
  }

  #publishLeaves(digest: VerityDigest): void {
    const number = this.#leaves.get(digest);
    if (number === undefined) return;
    const target = leavesNameOf(digest);
    const directory = dirname(target);
    this.#store.files.makeDirectory(directory);
    this.#files.rename(nameOf(number), target, this.#store.files);
    this.directories.add(directory).add(dirname(directory));
  }
}

/** The name of a staged file. */
function nameOf(number: number): string {
  return number.toString(36);
}

/** Moves a file or directory away. */
function moveAway(files: HeldDirectory, name: string, to: string): void {
  try {
    files.rename(name, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error; // another writer has done it
  }
}
