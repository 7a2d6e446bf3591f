/**
 * The folder in which the kernel is tried: objects of the probe's image, in the store where that can be
 * written to, or else among the temporary files.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { SystemError } from "../../errors.ts";
import { failure } from "../../fs/failure.ts";
import { objectPath } from "../../verity/index.ts";
import { guardDirectory } from "../guard/directory-guard.ts";
import { type ProbeFile, probeContents, probeDigest } from "./probe-image.ts";

/** The folder, once it is made. */
interface Place {
  readonly path: string;
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
   * The folder's path.
   *
   * @throws {@link SystemError} when none could be made
   */
  directory(): string {
    return this.#made().path;
  }

  /** Puts content under an object's name, unless it has some: a file with fs-verity cannot be written. */
  put(name: ProbeFile, content: Uint8Array): void {
    const path = this.#pathOf(name);
    if (existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o444 });
  }

  /** Writes another file; returns its path. */
  write(file: string, bytes: Uint8Array): string {
    const path = `${this.directory()}/${file}`;
    writeFileSync(path, bytes, { mode: 0o444 });
    return path;
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
    return openSync(this.#pathOf(name), "r");
  }

  /** Removes the folder with all that is in it. */
  remove(): void {
    if (this.#place instanceof Error) return;
    rmSync(this.#place.path, { recursive: true, force: true });
    this.#place.dismiss();
  }

  #made(): Place {
    if (this.#place instanceof Error) throw this.#place;
    return this.#place;
  }

  #pathOf(name: ProbeFile): string {
    return `${this.directory()}/${objectPath(probeDigest(name))}`;
  }
}

function makePlace(store: string): Place | Error {
  let problem: unknown;
  const inStore = [`${store}/tmp`, store];
  for (const parent of [...inStore, tmpdir()]) {
    const path = `${parent}/probe-${randomUUID()}`;
    const dismiss = guardDirectory(path);
    try {
      mkdirSync(path, { mode: 0o700 });
      return { path, isInStore: inStore.includes(parent), dismiss };
    } catch (error) {
      dismiss();
      problem = error;
    }
  }
  return failure("probe", problem);
}
