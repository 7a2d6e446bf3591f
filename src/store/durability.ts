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
import { syncPath } from "../fs/sync.ts";

export const durabilities = ["transaction", "object", "none"] as const;
export type Durability = (typeof durabilities)[number];

/** The syncs of one transaction. A sync that fails ends the transaction and is not tried again. */
export class Syncs {
  readonly durability: Durability;
  readonly #fileSystem: FileSystemSync;
  readonly #syncAll: () => void;

  /**
   * `directory` is any directory of the file system; `syncAll` replaces the sync of all of it, in
   * tests.
   *
   * @throws {@link SystemError} when the directory cannot be opened
   */
  constructor(directory: string, durability: Durability, syncAll?: () => void) {
    this.durability = durability;
    // Before the first write, so that no failed write goes unreported: see FileSystemSync.
    this.#fileSystem = new FileSystemSync(directory);
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
    for (const directory of directories) syncPath(directory);
  }

  /** After one name, `path`, was made that must be on the disk before the next one is. */
  name(path: string): void {
    if (this.durability !== "none") syncPath(dirname(path));
  }

  close(): void {
    this.#fileSystem.close();
  }
}
