/**
 * What a command prints: results to stdout, everything else to stderr.
 *
 * @module
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { harmless } from "../../bytes/harmless.ts";
import type { Clock, Progress } from "./progress.ts";

/** What a command talks through. */
export interface Io {
  /** One line of result on stdout. */
  print(line: string): void;
  /** Raw bytes of result on stdout. */
  write(bytes: Uint8Array): void;
  /** The same for many bytes, whose reader may be slow: signals are heard meanwhile. */
  writeUntil(signal: AbortSignal, bytes: Uint8Array): Promise<void>;
  /**
   * The result as JSON, for a program: the only thing on stdout. It is printed when the command
   * ends, so that it can say why when that is by an error.
   */
  document(value: object, indent?: number): void;
  /** One line on stderr. */
  log(line: string): void;
  /** One line on stderr for those who want to know more (`--verbose`). */
  detail(line: string): void;
  /** Shows how far it is, as the user wishes it. `total` is in the unit of `update`. */
  progress(label: string, total?: number): Progress;
}

/** Where the words of a command go, so that tests can stand in for a terminal. */
export interface Channels {
  /** One line on stdout. */
  print(line: string): void;
  /** Bytes on stdout. */
  write(bytes: Uint8Array): void;
  /** As many bytes on stdout as go there without a wait for their reader; how many that are. */
  writeSome(bytes: Uint8Array): number;
  /** One line on stderr. */
  log(line: string): void;
  /** Text on stderr as it is, where that is a terminal. */
  readonly draw: ((text: string) => void) | undefined;
  readonly clock: Clock;
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

/**
 * Writes without waiting. A pipe is opened once more for that: not to wait is a property of what is
 * open, which other processes may share.
 */
function someWriter(fd: number): Channels["writeSome"] {
  let own: number | undefined;
  const open = () => {
    if (!fstatSync(fd).isFIFO()) return fd;
    try {
      return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return fd; // without /proc, or another user's pipe
    }
  };
  return (bytes) => {
    own ??= open();
    try {
      return writeSync(own, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      return 0;
    }
  };
}

/** Standard output and standard error of this process. */
export function processChannels(): Channels {
  const { stderr } = process;
  return {
    print: (line) => writeAll(1, Buffer.from(`${harmless(line)}\n`)),
    write: (bytes) => writeAll(1, bytes),
    writeSome: someWriter(1),
    log: (line) => writeAll(2, Buffer.from(`${harmless(line)}\n`)),
    draw: stderr.isTTY ? (text) => void stderr.write(text) : undefined,
    clock: {
      now: () => performance.now(),
      every(ms, run) {
        const timer = setInterval(run, ms).unref();
        return () => clearInterval(timer);
      },
    },
  };
}
