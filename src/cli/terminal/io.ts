/**
 * Where a command's words go: results to stdout, everything else to stderr, progress only on a
 * terminal.
 *
 * @module
 */
import { writeSync } from "node:fs";

/** The outside of a command, so that tests can stand in for a terminal. */
export interface Io {
  /** One line of result on stdout. */
  print(line: string): void;
  /** Raw bytes of result on stdout. */
  write(bytes: Uint8Array): void;
  /** One line for the person on stderr. */
  log(line: string): void;
  /** A progress bar on a terminal; nothing elsewhere. `total` is in the unit of `update`. */
  progress(label: string, total?: number): Progress;
}

/** A running progress bar. */
export interface Progress {
  /** `note` is shown at the end of the line. */
  update(done: number, total?: number, note?: string): void;
  /** Removes the bar. */
  end(): void;
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
    print: (line) => writeAll(1, Buffer.from(`${line}\n`)),
    write: (bytes) => writeAll(1, bytes),
    log: (line) => writeAll(2, Buffer.from(`${line.replace(CONTROLS, "\ufffd")}\n`)),
    progress: (label, total) => (process.stderr.isTTY ? new Bar(label, total) : silent),
  };
}

/** What moves a terminal's cursor or turns text around: messages quote what strangers have sent. */
// oxlint-disable-next-line eslint/no-control-regex
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const silent: Progress = { update() {}, end() {} };
const REDRAW_MS = 100;
const BAR_CELLS = 24;

/** One redrawn line: label, bar, share, amount, rate and time left (amounts in bytes). */
class Bar implements Progress {
  readonly #label: string;
  readonly #start = Date.now();
  #total: number | undefined;
  #drawn = 0;

  constructor(label: string, total?: number) {
    this.#label = label;
    this.#total = total;
  }

  update(done: number, total = this.#total, note?: string): void {
    this.#total = total;
    const now = Date.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const line = barLine(this.#label, done, total, now - this.#start);
    process.stderr.write(`\r\x1b[K${line}${note === undefined ? "" : `, ${note}`}`);
  }

  end(): void {
    if (this.#drawn > 0) process.stderr.write("\r\x1b[K");
  }
}

/** The text of a progress line; `total` undefined draws no bar. */
export function barLine(
  label: string,
  done: number,
  total: number | undefined,
  elapsedMs: number,
): string {
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const amount = `${formatBytes(done)} ${formatBytes(rate)}/s`;
  if (total === undefined || total <= 0) return `${label} ${amount}`;
  const share = Math.min(1, done / total);
  const filled = Math.round(share * BAR_CELLS);
  const bar = "#".repeat(filled) + "-".repeat(BAR_CELLS - filled);
  const left = rate > 0 ? ` ${formatSeconds((total - done) / rate)} left` : "";
  return `${label} [${bar}] ${Math.floor(share * 100)}% ${amount}${left}`;
}

/** Bytes with a binary unit: `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
}
