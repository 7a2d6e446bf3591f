/**
 * What a command prints: results to stdout, everything else to stderr, progress only on a terminal.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { harmless } from "../../bytes/harmless.ts";
import { type Progress, progressOn } from "./progress.ts";

/** A command's terminal, so that tests can stand in for one. */
export interface Io {
  /** One line of result on stdout. */
  print(line: string): void;
  /** Raw bytes of result on stdout. */
  write(bytes: Uint8Array): void;
  /** One line on stderr. */
  log(line: string): void;
  /** A progress bar on a terminal; nothing elsewhere. `total` is in the unit of `update`. */
  progress(label: string, total?: number): Progress;
}

/** Writes all of `bytes` to a descriptor, also when it is a pipe that is full for the moment. */
function writeAll(fd: number, bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Standard output and standard error of this process. */
export function processIo(): Io {
  return {
    print: (line) => writeAll(1, Buffer.from(`${harmless(line)}\n`)),
    write: (bytes) => writeAll(1, bytes),
    log: (line) => writeAll(2, Buffer.from(`${harmless(line)}\n`)),
    progress: (label, total) => progressOn(process.stderr, label, total),
  };
}
