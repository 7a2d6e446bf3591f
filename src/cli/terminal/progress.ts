/**
 * How far a command is: a bar that is drawn again on a terminal, or a line now and then.
 *
 * @module
 */
import { harmless } from "../../bytes/harmless.ts";
import { formatBytes, formatElapsed } from "./units.ts";

/** What goes on, as far as it is told. */
export interface Progress {
  /** `note` is shown at the end of the line. */
  update(done: number, total?: number, note?: string): void;
  /** Removes the bar, and ends the lines. */
  end(): void;
}

/** A clock, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since some time in the past. */
  now(): number;
  /** Calls `run` again and again, and returns what ends that. It keeps no process alive. */
  every(ms: number, run: () => void): () => void;
}

export const silentProgress: Progress = { update() {}, end() {} };

/** How often a line is printed. */
export const LINE_MS = 10_000;
const REDRAW_MS = 100;
const BAR_CELLS = 24;
const CLEAR = "\r\x1b[K";

/** One redrawn line: label, bar, share, amount, rate and time left (amounts in bytes). */
export class Bar implements Progress {
  readonly #draw: (text: string) => void;
  readonly #clock: Clock;
  readonly #label: string;
  readonly #start: number;
  #total: number | undefined;
  #drawn = -REDRAW_MS;
  #isShown = false;

  constructor(
    draw: (text: string) => void,
    clock: Clock,
    label: string,
    total: number | undefined,
  ) {
    this.#draw = draw;
    this.#clock = clock;
    this.#label = label;
    this.#total = total;
    this.#start = clock.now();
  }

  update(done: number, total = this.#total, note?: string): void {
    this.#total = total;
    const now = this.#clock.now();
    if (now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    this.#isShown = true;
    const line = barLine(this.#label, done, total, now - this.#start);
    this.#draw(`${CLEAR}${line}${note === undefined ? "" : `, ${harmless(note)}`}`);
  }

  /** Makes room for a line; the next update draws the bar again. */
  end(): void {
    if (this.#isShown) this.#draw(CLEAR);
    this.#isShown = false;
  }
}

/**
 * A line every ten seconds, for logs. It comes with an update, or by the clock where none comes, so
 * that nobody takes the command for dead.
 */
export class ProgressLines implements Progress {
  readonly #log: (line: string) => void;
  readonly #clock: Clock;
  readonly #label: string;
  readonly #stop: () => void;
  #printed: number;
  #done = 0;
  #total: number | undefined;
  #note: string | undefined;

  constructor(log: (line: string) => void, clock: Clock, label: string, total: number | undefined) {
    this.#log = log;
    this.#clock = clock;
    this.#label = label;
    this.#total = total;
    this.#printed = clock.now();
    this.#stop = clock.every(LINE_MS, () => this.#printWhenDue());
  }

  update(done: number, total = this.#total, note?: string): void {
    this.#done = done;
    this.#total = total;
    this.#note = note;
    this.#printWhenDue();
  }

  end(): void {
    this.#stop();
  }

  #printWhenDue(): void {
    const now = this.#clock.now();
    if (now - this.#printed < LINE_MS) return;
    this.#printed = now;
    this.#log(progressLine(this.#label, this.#done, this.#total, this.#note));
  }
}

/** The text of a line in a log: what, how much is done, of how much, in per cent. */
export function progressLine(
  label: string,
  done: number,
  total: number | undefined,
  note?: string,
): string {
  const isKnown = total !== undefined && total > 0;
  const whole = isKnown ? ` of ${formatBytes(total)}, ${percent(done, total)}%` : "";
  return `${label}: ${formatBytes(done)}${whole}${note === undefined ? "" : `, ${note}`}`;
}

function percent(done: number, total: number): number {
  return Math.floor(Math.min(1, done / total) * 100);
}

/** The text of a bar; `total` undefined draws none. */
export function barLine(
  label: string,
  done: number,
  total: number | undefined,
  elapsedMs: number,
): string {
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const amount = `${formatBytes(done)} ${formatBytes(rate)}/s`;
  if (total === undefined || total <= 0) return `${label} ${amount}`;
  const filled = Math.round(Math.min(1, done / total) * BAR_CELLS);
  const bar = "#".repeat(filled) + "-".repeat(BAR_CELLS - filled);
  const seconds = Math.max(0, Math.round((total - done) / rate));
  const left = rate > 0 ? ` ${formatElapsed(seconds)} left` : "";
  return `${label} [${bar}] ${percent(done, total)}% ${amount}${left}`;
}
