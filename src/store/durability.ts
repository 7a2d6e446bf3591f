/**
 * How a transaction brings what it writes to the disk.
 *
 * `transaction`: two syncs of the whole file system, however many objects there are. `object`: an
 * fsync of each file and of each directory in which names changed; slower by far with many objects,
 * but it does not wait for the writes of other programs. `none`: nothing, for tests and
 * measurements.
 *
 * Spec: docs/store.md, "Durability".
 *
 * @module
 */
import { dirname } from "node:path";
import { FileSystemSync } from "../sys/syncfs.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";

export const durabilities = ["transaction", "object", "none"] as const;
export type Durability = (typeof durabilities)[number];

/** The syncs of one transaction. A sync that fails ends the transaction and is not tried again. */
export class Syncs {
  readonly durability: Durability;
  readonly #files: HeldDirectory;
  readonly #fileSystem: FileSystemSync;
  readonly #syncAll: () => void;

  /**
   * `files` is the store; `syncAll` replaces the sync of its file system, in tests.
   *
   * @throws {@link SystemError} when the directory cannot be opened
   */
  constructor(files: HeldDirectory, durability: Durability, syncAll?: () => void) {
    this.durability = durability;
    this.#files = files;
    // Before the first write, so that no failed write goes unreported: see FileSystemSync.
    this.#fileSystem = fileSystemOf(files);
    this.#syncAll = syncAll ?? (() => this.#fileSystem.sync());
  }

  /** Whether each file is to be brought to the disk when it has been written. */
  get eachFile(): boolean {
    return this.durability === "object";
  }

  /** After all files were written: their content is on the disk. */
  contents(): void {
    if (this.durability === "transaction") this.#syncAll();
  }

  /** After files were renamed into these directories: their names are on the disk. */
  names(directories: Iterable<string>): void {
    if (this.durability === "transaction") this.#syncAll();
    if (this.durability !== "object") return;
    for (const directory of directories) this.#files.sync(directory);
  }

  /** After one name was made that must be on the disk before the next one is. */
  name(name: string): void {
    if (this.durability !== "none") this.#files.sync(dirname(name));
  }

  close(): void {
    this.#fileSystem.close();
  }
}

/** The file system of a store, to be waited for. */
export function fileSystemOf(files: HeldDirectory): FileSystemSync {
  return new FileSystemSync(files.openDirectory(""), files.path);
}
