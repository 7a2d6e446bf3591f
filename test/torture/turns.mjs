// Readers and writers take turns: any number of readers, or one writer. The calls block.
import { openSync, writeFileSync } from "node:fs";
import { loadLibc } from "../../dist/sys/koffi.js";

const [LOCK_SH, LOCK_EX, LOCK_UN] = [1, 2, 8];
const flock = loadLibc().func("int flock(int fd, int operation)");

/** The two files of {@link Turns}. */
export function makeTurns(path) {
  for (const file of [path, `${path}.gate`]) writeFileSync(file, "");
}

export class Turns {
  #files;

  /** Without a path nobody waits. */
  constructor(path) {
    this.#files =
      path === "" ? undefined : [path, `${path}.gate`].map((file) => openSync(file, "r"));
  }

  read() {
    this.#take(LOCK_SH);
  }

  write() {
    this.#take(LOCK_EX);
  }

  end() {
    if (this.#files !== undefined) flock(this.#files[0], LOCK_UN);
  }

  /** Who waits holds the gate, so that those who come later cannot keep it waiting. */
  #take(kind) {
    if (this.#files === undefined) return;
    const [turn, gate] = this.#files;
    flock(gate, kind);
    flock(turn, kind);
    flock(gate, LOCK_UN);
  }
}
