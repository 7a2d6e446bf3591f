/**
 * What one run of a command prints, as much of it as the user wants to see.
 *
 * @module
 */
import { setImmediate, setTimeout } from "node:timers/promises";
import { formatElapsed } from "./units.ts";
import type { Channels, Io } from "./io.ts";
import { Bar, type Progress, ProgressLines, silentProgress } from "./progress.ts";

export const progressStyles = ["auto", "plain", "none"] as const;

/** What the user wants to see besides results and errors. */
export interface OutputWishes {
  /** No log lines and no progress. */
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  /** `auto`: a bar on a terminal, lines elsewhere. */
  readonly progress?: (typeof progressStyles)[number] | undefined;
}

/** How long to wait for the reader of a pipe that is full. */
const FULL_PIPE_MS = 5;

/** The result of a command as JSON, with what went wrong, when something did. */
interface Document {
  readonly value: object;
  readonly indent: number;
}

/** The channels of a command. */
export class Output implements Io {
  readonly #channels: Channels;
  readonly #start: number;
  #wishes: OutputWishes = {};
  #bar: Bar | undefined;
  #document: Document | undefined;
  #hasResult = false;

  constructor(channels: Channels) {
    this.#channels = channels;
    this.#start = channels.clock.now();
  }

  /** Says what to show from now on. */
  wish(wishes: OutputWishes): void {
    this.#wishes = wishes;
  }

  get isVerbose(): boolean {
    return this.#wishes.verbose === true;
  }

  print(line: string): void {
    this.#hasResult = true;
    this.#bar?.end();
    this.#channels.print(line);
  }

  write(bytes: Uint8Array): void {
    this.#hasResult = true;
    this.#channels.write(bytes);
  }

  async writeUntil(signal: AbortSignal, bytes: Uint8Array): Promise<void> {
    this.#hasResult = true;
    for (let at = 0; at < bytes.length;) {
      const written = this.#channels.writeSome(bytes.subarray(at));
      at += written;
      if (written > 0) await setImmediate(undefined, { signal });
      else await setTimeout(FULL_PIPE_MS, undefined, { signal });
    }
  }

  document(value: object, indent = 0): void {
    this.#document = { value, indent };
  }

  log(line: string): void {
    if (this.#wishes.quiet !== true) this.complain(line);
  }

  detail(line: string): void {
    if (this.isVerbose) this.complain(line);
  }

  /** A line about an error, which is never left out. */
  complain(line: string): void {
    this.#bar?.end();
    this.#channels.log(line);
  }

  progress(label: string, total?: number): Progress {
    const { quiet = false, progress = "auto" } = this.#wishes;
    const { draw, clock } = this.#channels;
    if (quiet || progress === "none") return silentProgress;
    if (progress === "plain" || draw === undefined) {
      return new ProgressLines((line) => this.log(line), clock, label, total);
    }
    const bar = new Bar(draw, clock, label, total);
    this.#bar = bar;
    return bar;
  }

  /** Prints the document, after the command has done its work. */
  end(): void {
    if (this.#document !== undefined) this.#printDocument(this.#document);
    const seconds = (this.#channels.clock.now() - this.#start) / 1000;
    this.detail(
      `took ${seconds < 60 ? `${seconds.toFixed(1)} s` : formatElapsed(Math.round(seconds))}`,
    );
  }

  /**
   * Prints the document of a command that failed: as far as there is a result, and the error. When
   * another result is on stdout already, it goes to stderr: what is there stays what it was.
   */
  fail(error: object): void {
    const { value = {}, indent = 0 } = this.#document ?? {};
    if (this.#hasResult) this.#channels.log(JSON.stringify(error));
    else
      this.#printDocument({ value: Array.isArray(value) ? error : { ...value, ...error }, indent });
  }

  #printDocument({ value, indent }: Document): void {
    this.#channels.print(JSON.stringify(value, undefined, indent));
  }
}
