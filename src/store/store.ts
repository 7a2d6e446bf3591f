/**
 * One store: a directory with objects, images, names and bundles (see {@link ./layout.ts}).
 * Nothing in it is trusted; what is read is checked by its reader.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { FormatError, NotFoundError, SystemError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import {
  type BundleFile,
  type StoredBundle,
  bundleFiles,
  readBundles,
  readBundlesFor,
} from "./bundles.ts";
import { defined } from "../optional.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { HeldDirectory } from "../fs/held-directory.ts";
import type { OpenFile } from "../fs/regular-file.ts";
import { readFully } from "../fs/descriptor-io.ts";
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
import { foreignOwner, lockMode } from "./ownership.ts";

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

export interface StoreOptions {
  /** Whether root writes to it also when it belongs to somebody else, or others can write to it. */
  readonly foreignOwner?: boolean | undefined;
}

/** A store on this machine. */
export class Store implements LocalObjects {
  /** The directory, and all that is done in it. */
  readonly files: HeldDirectory;
  readonly algorithm: VerityAlgorithm;
  readonly objects: ObjectStore;
  readonly images: ImageIndex;
  /** Which other tool made it; such a store is only read. Undefined for one of sealfs. */
  readonly foreign: ForeignKind | undefined;
  readonly #leaves: LeafCache;
  readonly #options: StoreOptions;

  private constructor(
    files: HeldDirectory,
    { algorithm, ...foreign }: Pick<ForeignStore, "algorithm"> & Partial<ForeignStore>,
    options: StoreOptions,
  ) {
    this.files = files;
    this.#options = options;
    this.algorithm = algorithm;
    this.foreign = foreign.kind;
    this.objects = new ObjectStore(files, foreign.objects ?? "objects");
    this.images = new ImageIndex(files);
    this.#leaves = new LeafCache(files);
  }

  /** Absolute. */
  get path(): string {
    return this.files.path;
  }

  /**
   * Opens a store for reading, and for writing where the file system allows it. Object directories
   * of other tools are opened too, for reading only (see {@link foreign}).
   *
   * @throws {@link NotFoundError} `NO_STORE`
   * @throws {@link FormatError} `UNSUPPORTED` when a newer version made it, or ostree
   * @throws {@link UsageError} when it is not a directory
   */
  static open(directory: string, options: StoreOptions = {}): Store {
    const files = openDirectory(resolve(directory));
    try {
      const { algorithm } = parseMeta(files.readRegular(META_FILE, limits.metaBytes, files.path));
      const kind = isComposefsRepository(files) ? ("composefs-rs" as const) : undefined;
      return new Store(files, defined({ algorithm, kind }), options);
    } catch (error) {
      if (!(error instanceof NotFoundError) || error.code !== "NO_FILE") throw error;
      const foreign = recogniseForeign(files);
      if (foreign !== undefined) return new Store(files, foreign, options);
      throw new NotFoundError("NO_STORE", `${files.path}: no store there`, { cause: error });
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
  static create(
    directory: string,
    options: StoreOptions & { readonly algorithm?: VerityAlgorithm } = {},
  ): Store {
    const path = resolve(directory);
    try {
      makeDirectory(path, storeMode());
      const files = openDirectory(path);
      try {
        if (files.stat(META_FILE) === undefined) {
          requireOwner(files, options);
          makeStore(files, options.algorithm ?? "sha256");
        }
      } finally {
        files.close();
      }
    } catch (error) {
      throw cannotOpen(path, error);
    }
    const store = Store.open(path, options);
    if (options.algorithm !== undefined && store.algorithm !== options.algorithm) {
      throw new UsageError(
        "USAGE",
        `store ${path}: has ${store.algorithm} objects, asked for ${options.algorithm}`,
        { hint: "every store has one digest algorithm: use another store" },
      );
    }
    return store;
  }

  /** Lets go of the directory; its file system can be unmounted then. */
  close(): void {
    this.files.close();
  }

  open(digest: VerityDigest): number {
    return this.objects.open(digest);
  }

  readLeaves(digest: VerityDigest): Uint8Array | undefined {
    return this.#leaves.read(digest);
  }

  /**
   * Opens the leaf hashes of an object; unchecked.
   *
   * @throws as {@link HeldDirectory.openRegular}
   */
  openLeaves(digest: VerityDigest): OpenFile {
    return this.#leaves.openFile(digest);
  }

  writeLeaves(digest: VerityDigest, leaves: Uint8Array): boolean {
    return this.#isWritable() && this.#leaves.write(digest, leaves);
  }

  #isWritable(): boolean {
    if (this.foreign !== undefined) return false;
    return this.#options.foreignOwner === true || foreignOwner(this.files) === undefined;
  }

  /**
   * @throws {@link SystemError} `READ_ONLY` for a store of another tool; `PERMISSION` for root when
   *   others can change the store, unless that is accepted
   */
  requireWritable(): void {
    if (this.foreign === undefined) {
      requireOwner(this.files, this.#options);
      return;
    }
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
    return [...this.eachBundle(id, onProblem)];
  }

  /** The same one by one: there may be any number of them. */
  eachBundle(
    id: VerityDigest,
    onProblem?: (error: Error) => void,
  ): Generator<StoredBundle, void, undefined> {
    return readBundles(this.bundleFiles(id), onProblem);
  }

  /** The files of the bundles about an image, not read yet. */
  bundleFiles(id: VerityDigest): BundleFile[] {
    return bundleFiles(this.files, id);
  }

  /** The bundles about a name, of whatever image, unchecked. */
  readBundlesFor(name: string): StoredBundle[] {
    return readBundlesFor(this.files, name);
  }
}

/** @throws {@link SystemError} `PERMISSION` */
function requireOwner(files: HeldDirectory, options: StoreOptions): void {
  if (options.foreignOwner === true) return;
  const owner = foreignOwner(files);
  if (owner === undefined) return;
  throw new SystemError("PERMISSION", `store ${files.path}: ${owner}, and this is root`, {
    hint: "to write to it all the same, add --foreign-store; or run as its owner. Reading needs neither",
  });
}

/** Everything but `meta.json` first, then that: the directory becomes a store in one step. */
function makeStore(files: HeldDirectory, algorithm: VerityAlgorithm): void {
  const known = new Set<string>([...storeDirectories, LOCK_FILE, GATE_FILE, "streams"]);
  const foreign = files.names().find((name) => !known.has(name));
  if (foreign !== undefined) {
    throw new UsageError(
      "USAGE",
      `store ${files.path}: has ${foreign}, which is not part of a store`,
      { hint: "name a new or an empty directory" },
    );
  }
  const mode = storeMode();
  for (const directory of storeDirectories) files.makeDirectory(directory, mode);
  // All of the fan-out now: a directory made later would need a sync of its own.
  for (const name of fanOut) files.makeDirectory(`objects/${name}`, mode);
  for (const file of [LOCK_FILE, GATE_FILE]) createEmpty(files, file, lockMode(files));
  for (const directory of ["objects", "images", ""]) files.sync(directory);
  syncParent(files.path);
  writeMeta(files, algorithm);
}

function createEmpty(files: HeldDirectory, name: string, mode: number): void {
  try {
    closeSync(files.newFile(name, mode));
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function writeMeta(files: HeldDirectory, algorithm: VerityAlgorithm): void {
  const meta = formatMeta({ version: STORE_VERSION, algorithm });
  // Where it exists, another process made the same store just now.
  files.at(META_FILE, (path) =>
    files.at(`tmp/meta-${randomUUID()}`, (temporary) =>
      createFileIfAbsent(path, meta, { mode: 0o644, ignoreUmask: true, sync: true, temporary }),
    ),
  );
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

/**
 * @throws {@link NotFoundError} `NO_STORE`; {@link UsageError} when the path leads to something else
 *   than a directory
 */
function openDirectory(path: string): HeldDirectory {
  try {
    return HeldDirectory.open(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw cannotOpen(path, error);
    throw new NotFoundError("NO_STORE", `${path}: no store there`, { cause: error });
  }
}

function cannotOpen(path: string, error: unknown): Error {
  if (errnoOf(error) !== "ENOTDIR") return failure(`store ${path}`, error);
  return new UsageError("USAGE", `store ${path}: expected a directory, got something else`);
}

/**
 * The mode of a new store's directories: its owner has all rights, others those that the umask
 * leaves, but never to write.
 */
function storeMode(): number {
  return (0o755 & ~process.umask()) | 0o700;
}
