/**
 * The log of a mount's server: a file that was asked for, standard error in the foreground, and
 * otherwise a file of its own in the run directory, which is bounded and goes with the mount.
 *
 * @module
 */
import { appendFileSync, rmSync, writeSync } from "node:fs";
import { harmless } from "../../bytes/harmless.ts";
import type { ServerInput } from "./server-input.ts";
import { newLogPath } from "../table/run-state.ts";

/** Bytes of a log in the run directory, which is memory. */
const MOST_BYTES = 4 * 1024 * 1024;

/** Writes lines; never throws, because a full disk or a closed terminal must not end a mount. */
export class ServerLog {
  #path: string | undefined;
  #isOwn = false;
  #isOpen = false;
  #isKept = false;
  #bytes = 0;
  readonly #early: string[] = [];

  constructor({ log, foreground }: Pick<ServerInput, "log" | "foreground">) {
    this.#path = log;
    this.#isOpen = log !== undefined || foreground;
  }

  /** The file; undefined for standard error. */
  get path(): string | undefined {
    return this.#path;
  }

  /** Gives it a file of its own where it needs one. */
  open(device: string): void {
    if (!this.#isOpen) {
      this.#path = newLogPath(device, process.pid);
      this.#isOwn = true;
      this.#isOpen = true;
    }
    for (const line of this.#early.splice(0)) this.write(line);
  }

  write(line: string): void {
    if (!this.#isOpen) {
      this.#early.push(line);
      return;
    }
    const text = `${new Date().toISOString()} sealfs: ${harmless(line)}\n`;
    if (this.#isOwn && this.#bytes > MOST_BYTES) return;
    this.#bytes += text.length;
    const last = this.#isOwn && this.#bytes > MOST_BYTES ? "the log ends here: it is full\n" : "";
    try {
      if (this.#path === undefined) writeSync(2, text);
      else appendFileSync(this.#path, text + last, { mode: 0o600 });
    } catch {
      // said above
    }
  }

  /** From now on its own file is worth keeping: it says why the mount has ended. */
  keep(): void {
    this.#isKept = true;
  }

  /** Removes a file of its own, and writes no other, unless it is worth keeping. */
  remove(): void {
    if (!this.#isOwn || this.#isKept || this.#path === undefined) return;
    rmSync(this.#path, { force: true });
    this.#isOpen = false;
  }
}
