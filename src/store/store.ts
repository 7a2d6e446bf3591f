/**
 * One store: a directory with objects, images, names and bundles (see {@link ./layout.ts}).
 * Nothing in it is trusted; what is read is checked by its reader.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, readdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FormatError, NotFoundError, SealfsError, SystemError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import { type StoredBundle, readBundles, readBundlesFor } from "./bundles.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { readRegular } from "../fs/regular-file.ts";
import { readFully } from "../fs/descriptor-io.ts";
import { openNewFile } from "../fs/new-file.ts";
import { ImageIndex } from "./images.ts";
import { makeDirectory } from "../fs/directory.ts";
import { syncPath } from "../fs/sync.ts";
import { createFileIfAbsent } from "../fs/atomic-file.ts";
import {
  type ForeignKind,
  type ForeignStore,
  foreignNames,
  isComposefsRepository,
  recogniseForeign,
} from "./foreign.ts";
import { GATE_FILE, LOCK_FILE, META_FILE, fanOut, storeDirectories } from "./layout.ts";
import { LeafCache } from "./leaves.ts";
import { STORE_VERSION, formatMeta, parseMeta } from "./meta.ts";
import { ObjectStore } from "./objects.ts";

const META_BYTES = 64 * 1024;

/** Where objects can be opened: one store, or several in order. */
export interface LocalObjects {
  /**
   * Opens an object for reading; the content is unchecked, the caller closes the descriptor.
   *
   * @throws {@link NotFoundError} `NO_OBJECT`
   * @throws {@link IntegrityError} `WRONG_TYPE` when it is no regular file
   */
  open(digest: VerityDigest): number;
  /** Unchecked leaf hashes of an object; undefined when none are kept. */
  readLeaves(digest: VerityDigest): Uint8Array | undefined;
  /** Keeps checked leaf hashes for the next reader, where that is possible. */
  writeLeaves(digest: VerityDigest, leaves: Uint8Array): boolean;
}

/** A store on this machine. */
export class Store implements LocalObjects {
  /** Absolute path. */
  readonly path: string;
  readonly algorithm: VerityAlgorithm;
  readonly objects: ObjectStore;
  readonly images: ImageIndex;
  /** Which other tool made it; such a store is only read. Undefined for one of sealfs. */
  readonly foreign: ForeignKind | undefined;
  readonly #leaves: LeafCache;

  private constructor(path: string, algorithm: VerityAlgorithm, foreign?: Partial<ForeignStore>) {
    this.path = path;
    this.algorithm = algorithm;
    this.foreign = foreign?.kind;
    this.objects = new ObjectStore(foreign?.objects ?? `${path}/objects`);
    this.images = new ImageIndex(path);
    this.#leaves = new LeafCache(path);
  }

  /**
   * Opens a store for reading, and for writing where the file system allows it. Object directories
   * of other tools are opened too, for reading only (see {@link foreign}).
   *
   * @throws {@link NotFoundError} `NO_STORE`
   * @throws {@link FormatError} `UNSUPPORTED` when a newer version made it, or ostree
   * @throws {@link UsageError} when it is not a directory
   */
  static open(directory: string): Store {
    const path = resolve(directory);
    try {
      const { algorithm } = parseMeta(readRegular(`${path}/${META_FILE}`, META_BYTES, path));
      return new Store(
        path,
        algorithm,
        isComposefsRepository(path) ? { kind: "composefs-rs" } : {},
      );
    } catch (error) {
      if (error instanceof SealfsError) requireDirectory(path);
      if (!(error instanceof NotFoundError) || error.code !== "NO_FILE") throw error;
      const foreign = recogniseForeign(path);
      if (foreign !== undefined) return new Store(path, foreign.algorithm, foreign);
      throw new NotFoundError("NO_STORE", `${path}: no store there`, { cause: error });
    }
  }

  /**
   * Makes a store, or opens the one that exists. The directory may exist when it is empty or has
   * only what a store has (after an interrupted creation). `meta.json` is written last, so that a
   * directory with one is a whole store.
   *
   * @throws {@link UsageError} when the directory holds something else, or a store of another
   *   algorithm
   */
  static create(directory: string, options: { algorithm?: VerityAlgorithm } = {}): Store {
    const path = resolve(directory);
    requireDirectory(path);
    try {
      makeDirectory(path, storeMode());
      if (!readdirSync(path).includes(META_FILE)) makeStore(path, options.algorithm ?? "sha256");
    } catch (error) {
      throw failure(`store ${path}`, error);
    }
    const store = Store.open(path);
    if (options.algorithm !== undefined && store.algorithm !== options.algorithm) {
      throw new UsageError(
        "USAGE",
        `store ${path}: has ${store.algorithm} objects, asked for ${options.algorithm}`,
        { hint: "every store has one digest algorithm: use another store" },
      );
    }
    return store;
  }

  open(digest: VerityDigest): number {
    return this.objects.open(digest);
  }

  readLeaves(digest: VerityDigest): Uint8Array | undefined {
    return this.#leaves.read(digest);
  }

  /** Where leaf hashes of an object are, or would be. */
  leavesPath(digest: VerityDigest): string {
    return this.#leaves.path(digest);
  }

  writeLeaves(digest: VerityDigest, leaves: Uint8Array): boolean {
    return this.foreign === undefined && this.#leaves.write(digest, leaves);
  }

  /** @throws {@link SystemError} `READ_ONLY` for a store of another tool */
  requireOwn(): void {
    if (this.foreign === undefined) return;
    throw new SystemError(
      "READ_ONLY",
      `store ${this.path}: ${foreignNames[this.foreign]}, which is only read`,
      { hint: "name a store of sealfs first, and this one after it" },
    );
  }

  /**
   * The bytes of an image, unchecked.
   *
   * @throws {@link NotFoundError} `NO_OBJECT`; {@link FormatError} `LIMIT`
   */
  readImage(id: VerityDigest): Uint8Array {
    const { fd, size } = this.objects.openFile(id);
    try {
      if (size > limits.imageBytes) {
        throw new FormatError(
          "LIMIT",
          `image ${id}: expected at most ${limits.imageBytes} bytes, got ${size}`,
        );
      }
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, readFully(fd, bytes, 0));
    } catch (error) {
      throw failure(`image ${id}`, error);
    } finally {
      closeSync(fd);
    }
  }

  /** The bundles about an image, unchecked; `onProblem` is told of files that cannot be read. */
  readBundles(id: VerityDigest, onProblem?: (error: Error) => void): StoredBundle[] {
    return readBundles(this.path, id, onProblem);
  }

  /** The bundles about a name, of whatever image, unchecked. */
  readBundlesFor(name: string): StoredBundle[] {
    return readBundlesFor(this.path, name);
  }
}

/** Everything but `meta.json` first, then that: the directory becomes a store in one step. */
function makeStore(path: string, algorithm: VerityAlgorithm): void {
  const known = new Set<string>([...storeDirectories, LOCK_FILE, GATE_FILE, "streams"]);
  const foreign = readdirSync(path).find((name) => !known.has(name));
  if (foreign !== undefined) {
    throw new UsageError("USAGE", `store ${path}: has ${foreign}, which is not part of a store`, {
      hint: "name a new or an empty directory",
    });
  }
  const mode = storeMode();
  for (const directory of storeDirectories) makeDirectory(`${path}/${directory}`, mode);
  // All of the fan-out now: a directory made later would need a sync of its own.
  for (const name of fanOut) makeDirectory(`${path}/objects/${name}`, mode);
  for (const file of [LOCK_FILE, GATE_FILE]) createEmpty(`${path}/${file}`);
  for (const directory of ["objects", "images", "."]) syncPath(`${path}/${directory}`);
  syncParent(path);
  writeMeta(path, algorithm);
}

function createEmpty(path: string): void {
  try {
    closeSync(openNewFile(path, 0o644));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function writeMeta(path: string, algorithm: VerityAlgorithm): void {
  const meta = formatMeta({ version: STORE_VERSION, algorithm });
  const temporary = `${path}/tmp/meta-${randomUUID()}`;
  // Where it exists, another process made the same store just now.
  createFileIfAbsent(`${path}/${META_FILE}`, meta, {
    mode: 0o644,
    ignoreUmask: true,
    sync: true,
    temporary,
  });
}

/** Syncs the store's own name: without this a crash may lose a new store as a whole. */
function syncParent(path: string): void {
  try {
    syncPath(dirname(path));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "EACCES" && errno !== "EPERM") throw error; // a parent that we may not read
  }
}

/** @throws {@link UsageError} when the path leads to something else than a directory */
function requireDirectory(path: string): void {
  let isDirectory: boolean | undefined;
  try {
    isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory();
  } catch (error) {
    if (errnoOf(error) !== "ENOTDIR") return; // opening it says what is wrong
    isDirectory = false;
  }
  if (isDirectory === false) {
    throw new UsageError("USAGE", `store ${path}: expected a directory, got something else`);
  }
}

/**
 * The mode of a new store's directories: its owner has all rights, others those that the umask
 * leaves, but never to write.
 */
function storeMode(): number {
  return (0o755 & ~process.umask()) | 0o700;
}
