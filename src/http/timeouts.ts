/**
 * How long one request may take.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";

/** What a server has, in milliseconds, from one step of a request to the next. */
export const timeouts = {
  /** To accept a connection, TLS included; to connect it on, for a proxy. */
  connectMs: 10_000,
  /** From the request to the end of the answer's headers; for each redirect again. */
  headersMs: 10_000,
  /** The same for a registry, when there is nobody else to ask. */
  registryMs: 60_000,
  /** To end a body of which every byte has come. */
  endMs: 500,
  /** To send the rest of a short answer that is not wanted, so that its connection can be kept. */
  restMs: 1_000,
  /** To say in its own words what was wrong. */
  wordsMs: 5_000,
} as const;

/** A body is too slow that brings fewer bytes a second while it is waited for that long. */
export interface Pace {
  readonly bytesPerSecond: number;
  readonly windowMs: number;
}

/** The pace of ostree's fetcher, too. */
export const usualPace: Pace = { bytesPerSecond: 1000, windowMs: 30_000 };

/** The deadlines of one request. */
export class Timers {
  readonly #what: string;
  readonly #abort: (error: unknown) => void;
  #deadline: NodeJS.Timeout | undefined;
  #headers: NodeJS.Timeout | undefined;

  constructor(what: string, abort: (error: unknown) => void) {
    this.#what = what;
    this.#abort = abort;
  }

  deadline(ms: number): void {
    this.#deadline = this.#in(ms, "no whole answer");
  }

  /** Begins the time for the answer's headers, again when it was under way. */
  headers(ms: number): void {
    clearTimeout(this.#headers);
    this.#headers = this.#in(ms, "no answer");
  }

  headersCame(): void {
    clearTimeout(this.#headers);
  }

  end(): void {
    clearTimeout(this.#headers);
    clearTimeout(this.#deadline);
  }

  #in(ms: number, missed: string): NodeJS.Timeout {
    const message = `${this.#what}: ${missed} within ${Math.round(ms)} ms`;
    return setTimeout(() => this.#abort(new NetworkError("TIMEOUT", message)), Math.max(0, ms));
  }
}
