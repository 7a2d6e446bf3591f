/**
 * How long one request may take.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";

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
