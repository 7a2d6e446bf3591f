/**
 * The folder in which the kernel is tried: objects of the probe's image, in the store where that can be
 * written to, or else among the temporary files.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, constants } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { SystemError } from "../../errors.ts";
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { HeldDirectory } from "../../fs/held-directory.ts";
import { objectPath } from "../../verity/index.ts";
import { TMP } from "../../store/layout.ts";
import { guardDirectory } from "../guard/directory-guard.ts";
import { type ProbeFile, probeContents, probeDigest } from "./probe-image.ts";

/** The folder, once it is made. */
interface Place {
  readonly files: HeldDirectory;
  /** What it is in, and its name there. */
  readonly parent: HeldDirectory;
  readonly name: string;
  readonly isInStore: boolean;
  /** Ends the guard that removes the folder if this process is killed. */
  readonly dismiss: () => void;
}

export class ScratchObjects {
  readonly #store: string;
  readonly #place: Place | Error;

  private constructor(store: string, place: Place | Error) {
    this.#store = store;
    this.#place = place;
  }

  /** Makes the folder. Where none can be made, what needs it says why. */
  static create(store: string): ScratchObjects {
    return new ScratchObjects(store, makePlace(store));
  }

  /**
   * A descriptor of the folder.
   *
   * @throws {@link SystemError} when none could be made
   */
  openDirectory(): number {
    return this.#made().files.openDirectory("");
  }

  /** Puts content under an object's name, unless it has some: a file with fs-verity cannot be written. */
  put(name: ProbeFile, content: Uint8Array): void {
    const { files } = this.#made();
    const object = objectPath(probeDigest(name));
    if (files.stat(dirname(object)) === undefined) files.newDirectory(dirname(object), 0o700);
    if (files.stat(object) === undefined) this.write(object, content);
  }

  /** Writes another file. */
  write(name: string, bytes: Uint8Array): void {
    const fd = this.#made().files.newFile(name, 0o444);
    try {
      writeFully(fd, bytes);
    } finally {
      closeSync(fd);
    }
  }

  /** Opens a file for reading. */
  open(name: string): number {
    return this.#made().files.open(name, constants.O_RDONLY);
  }

  /**
   * Opens an object for reading, with its own content if it has none yet.
   *
   * @throws {@link SystemError} `READ_ONLY` when the folder is not in the store: another file system
   *   says nothing about the store's
   */
  openInStore(name: ProbeFile): number {
    if (!this.#made().isInStore) {
      throw new SystemError("READ_ONLY", `${this.#store}: not writable, so fs-verity is not tried`);
    }
    this.put(name, probeContents[name]);
    return this.open(objectPath(probeDigest(name)));
  }

  /** Removes the folder with all that is in it. */
  remove(): void {
    if (this.#place instanceof Error) return;
    const { files, parent, name, dismiss } = this.#place;
    files.close();
    parent.removeTree(name);
    parent.close();
    dismiss();
  }

  #made(): Place {
    if (this.#place instanceof Error) throw this.#place;
    return this.#place;
  }
}

function makePlace(store: string): Place | Error {
  let problem: unknown;
  const open = (path: string) => HeldDirectory.open(path);
  const places: readonly [parent: () => HeldDirectory, isInStore: boolean][] = [
    [() => openBelow(store, TMP), true],
    [() => open(store), true],
    [() => open(tmpdir()), false],
  ];
  for (const [openParent, isInStore] of places) {
    try {
      return { ...makeIn(openParent()), isInStore };
    } catch (error) {
      problem = error;
    }
  }
  return failure("probe", problem);
}

function openBelow(path: string, name: string): HeldDirectory {
  const directory = HeldDirectory.open(path);
  try {
    return directory.below(name);
  } finally {
    directory.close();
  }
}

function makeIn(parent: HeldDirectory): Omit<Place, "isInStore"> {
  const name = `probe-${randomUUID()}`;
  const dismiss = guardDirectory(parent, name);
  try {
    parent.newDirectory(name, 0o700);
    return { files: parent.below(name), parent, name, dismiss };
  } catch (error) {
    dismiss();
    parent.close();
    throw error;
  }
}
