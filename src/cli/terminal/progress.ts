/**
 * A progress bar.
 *
 * @module
 */
import { harmless } from "../../bytes/harmless.ts";
import { formatBytes, formatElapsed } from "./units.ts";

/** A running progress bar. */
export interface Progress {
  /** `note` is shown at the end of the line. */
  update(done: number, total?: number, note?: string): void;
  /** Removes the bar. */
  end(): void;
}

/** A bar on a terminal, nothing elsewhere. */
export function progressOn(stream: NodeJS.WriteStream, label: string, total?: number): Progress {
  return stream.isTTY ? new Bar(stream, label, total) : silent;
}

const silent: Progress = { update() {}, end() {} };
const REDRAW_MS = 100;
const BAR_CELLS = 24;

/** One redrawn line: label, bar, share, amount, rate and time left (amounts in bytes). */
class Bar implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #label: string;
  readonly #start = Date.now();
  #total: number | undefined;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream, label: string, total: number | undefined) {
    this.#stream = stream;
    this.#label = label;
    this.#total = total;
  }

  update(done: number, total = this.#total, note?: string): void {
    this.#total = total;
    const now = Date.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const line = barLine(this.#label, done, total, now - this.#start);
    this.#stream.write(`\r\x1b[K${line}${note === undefined ? "" : `, ${harmless(note)}`}`);
  }

  end(): void {
    if (this.#drawn > 0) this.#stream.write("\r\x1b[K");
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
  const seconds = Math.max(0, Math.round((total - done) / rate));
  const left = rate > 0 ? ` ${formatElapsed(seconds)} left` : "";
  return `${label} [${bar}] ${Math.floor(share * 100)}% ${amount}${left}`;
}
