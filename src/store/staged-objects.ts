/**
 * The objects of one transaction before they are published. Here alone it is decided what is a
 * duplicate, what the store has already, and what stands in an object's place but is wrong.
 *
 * @module
 */
import { renameSync, unlinkSync } from "node:fs";
import { basename } from "node:path";
import type { VerityDigest } from "../verity/digest.ts";
import { errnoOf } from "./failure.ts";
import type { ObjectState, ObjectStore } from "./objects.ts";
import { Presence } from "./presence.ts";
import { StagedFile } from "./staged-file.ts";

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
  /** No more bytes; `digest` is what the caller has computed of them. */
  finish(digest: VerityDigest): void;
  /** Lets go of the file; the transaction removes it. */
  abandon(): void;
}

/** Small: there may be millions of them. */
interface Entry {
  /** Its file in the staging directory; {@link PRESENT} when the store has a good one. */
  readonly number: number;
  readonly size: number;
  /** Whether something wrong stands under its name. */
  readonly replaces: boolean;
}

const PRESENT = -1;

/** Objects by digest, each in the staging directory or known to be in the store. */
export class StagedObjects {
  readonly #objects: ObjectStore;
  readonly #directory: string;
  readonly #presence: Presence;
  readonly #entries = new Map<VerityDigest, Entry>();
  readonly #umask = process.umask();
  #next = 0;

  constructor(objects: ObjectStore, directory: string) {
    this.#objects = objects;
    this.#directory = directory;
    this.#presence = new Presence(objects.directory);
  }

  has(digest: VerityDigest): boolean {
    return this.#entries.has(digest);
  }

  /** Stages an object whose content is at hand and has this digest. */
  put(digest: VerityDigest, content: Uint8Array): void {
    if (this.#entries.has(digest)) return;
    const state: ObjectState = this.#presence.mayHave(digest)
      ? this.#objects.compare(digest, content)
      : "absent";
    let number = PRESENT;
    if (state !== "good") {
      number = this.#next++;
      const file = new StagedFile(this.#pathOf(number), this.#umask);
      file.write(content);
      file.close();
    }
    this.#entries.set(digest, { number, size: content.length, replaces: state === "wrong" });
  }

  stage(): StagedObject {
    const number = this.#next++;
    const file = new StagedFile(this.#pathOf(number), this.#umask);
    return {
      write: (chunk) => file.write(chunk),
      abandon: () => file.abandon(),
      finish: (digest) => {
        file.close();
        this.#add(digest, number, file.size);
      },
    };
  }

  /** Takes over a file of this file system whose content has this digest. */
  adopt(path: string, digest: VerityDigest, size: number): void {
    const number = this.#next++;
    renameSync(path, this.#pathOf(number));
    this.#add(digest, number, size);
  }

  /** Renames the wanted objects to their names; wrong ones in their place go to `quarantine`. */
  publish(wanted: ReadonlySet<VerityDigest> | undefined, quarantine: string): Published {
    let added = 0;
    let addedBytes = 0;
    let present = 0;
    const replaced: VerityDigest[] = [];
    for (const [digest, { number, size, replaces }] of this.#entries) {
      if (wanted !== undefined && !wanted.has(digest)) continue;
      if (number === PRESENT) {
        present += 1;
        continue;
      }
      const target = this.#objects.path(digest);
      if (replaces) {
        moveAway(target, `${quarantine}/${digest}.${basename(this.#directory)}`);
        replaced.push(digest);
      }
      renameSync(this.#pathOf(number), target);
      added += 1;
      addedBytes += size;
    }
    return { added, addedBytes, present, replaced };
  }

  #pathOf(number: number): string {
    return `${this.#directory}/${number.toString(36)}`;
  }

  #add(digest: VerityDigest, number: number, size: number): void {
    const known = this.#entries.has(digest);
    const state: ObjectState =
      !known && this.#presence.mayHave(digest) ? this.#objects.state(digest, size) : "absent";
    if (known || state === "good") unlinkSync(this.#pathOf(number));
    if (known) return;
    this.#entries.set(digest, {
      number: state === "good" ? PRESENT : number,
      size,
      replaces: state === "wrong",
    });
  }
}

/** Moves what stands at `path` away, whatever it is. */
function moveAway(path: string, to: string): void {
  try {
    renameSync(path, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error; // another writer has done it
  }
}
