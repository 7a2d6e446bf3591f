/**
 * Which object names a store had when a transaction came to look, from one listing per fan-out
 * directory instead of one lookup per object: in a new store nearly every lookup would be in vain.
 *
 * @module
 */
import { opendirSync } from "node:fs";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";

/** A directory with more names is not held in memory; all of its names count as possible. */
const MAX_NAMES = 2048;

/** Answers from listings made on demand; what is published meanwhile is not seen. */
export class Presence {
  readonly #files: HeldDirectory;
  readonly #directory: string;
  readonly #names = new Map<string, ReadonlySet<string> | "many">();

  /** `directory` is the name of an `objects/`. */
  constructor(files: HeldDirectory, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  /** False when the object was not there; true when it may be. */
  mayHave(digest: VerityDigest): boolean {
    const fan = digest.slice(0, 2);
    let names = this.#names.get(fan);
    if (names === undefined) {
      names = list(this.#files, `${this.#directory}/${fan}`);
      this.#names.set(fan, names);
    }
    return names === "many" || names.has(digest.slice(2));
  }
}

function list(files: HeldDirectory, name: string): ReadonlySet<string> | "many" {
  try {
    return files.inside(name, namesIn);
  } catch (error) {
    throw failure(`store ${files.pathOf(name)}`, error);
  }
}

function namesIn(path: string): ReadonlySet<string> | "many" {
  const directory = opendirSync(path);
  try {
    const names = new Set<string>();
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      names.add(entry.name);
      if (names.size > MAX_NAMES) return "many";
    }
    return names;
  } finally {
    directory.closeSync();
  }
}
