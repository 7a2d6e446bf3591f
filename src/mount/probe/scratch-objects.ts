/**
 * A directory for the objects of a trial, in the store if that can be written to: there fs-verity can
 * be tried as well.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { SystemError } from "../../errors.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import { objectPath } from "../../verity/index.ts";
import { guardDirectory } from "../guard/directory-guard.ts";
import { type ProbeFile, probeContents, probeDigest } from "./probe-image.ts";

export class ScratchObjects {
  readonly path: string;
  readonly #store: string;
  readonly #isInStore: boolean;
  readonly #dismissGuard: () => void;

  private constructor(path: string, store: string, isInStore: boolean, dismissGuard: () => void) {
    this.path = path;
    this.#store = store;
    this.#isInStore = isInStore;
    this.#dismissGuard = dismissGuard;
  }

  /**
   * Makes the directory, with the object of the good file. It goes with {@link ScratchObjects.remove}, or with this process.
   *
   * @param store a store, or any directory of its file system
   * @throws {@link SystemError} when it can be made nowhere
   */
  static make(store: string): ScratchObjects {
    let problem: unknown;
    const inStore = [`${store}/tmp`, store];
    for (const parent of [...inStore, tmpdir()]) {
      const path = `${parent}/probe-${randomUUID()}`;
      const dismissGuard = guardDirectory(path);
      const scratch = new ScratchObjects(path, store, inStore.includes(parent), dismissGuard);
      try {
        mkdirSync(path, { mode: 0o700 });
        scratch.put("good", probeContents.good);
        return scratch;
      } catch (error) {
        scratch.remove();
        problem = error;
      }
    }
    throw failure("probe", problem);
  }

  /** Writes an object, unless it is there: with fs-verity it could not be written to. */
  put(name: ProbeFile, content: Uint8Array): void {
    const path = this.#pathOf(name);
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeFileSync(path, content, { mode: 0o444, flag: "wx" });
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }

  /** Writes the image beside the objects, and opens it for reading. */
  putImage(bytes: Uint8Array): number {
    writeFileSync(`${this.path}/image`, bytes, { mode: 0o444 });
    return this.openImage();
  }

  openImage(): number {
    return openSync(`${this.path}/image`, "r");
  }

  /**
   * Opens an object for fs-verity, which has to be tried in the store itself: another file system would
   * tell nothing.
   *
   * @throws {@link SystemError} `READ_ONLY` where the store cannot be written to
   */
  openInStore(name: ProbeFile): number {
    if (!this.#isInStore) {
      throw new SystemError("READ_ONLY", `${this.#store}: not writable, so fs-verity is not tried`);
    }
    return openSync(this.#pathOf(name), "r");
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    this.#dismissGuard();
  }

  #pathOf(name: ProbeFile): string {
    return `${this.path}/${objectPath(probeDigest(name))}`;
  }
}
