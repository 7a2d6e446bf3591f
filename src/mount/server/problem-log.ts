/**
 * The log of a mount: one line per problem, with its path; bounded, however often a reader tries.
 *
 * @module
 */
import { pathOf } from "../../fuse/path-finder.ts";
import type { Problem } from "../../fuse/session.ts";
import type { ImageSource } from "./image-source.ts";

/** The same problem is told again after this time. */
const REPEAT_MS = 60_000;
/** Lines in one such time; the rest is only counted. */
const MOST_LINES = 200;

/** Turns problems into lines. */
export class ProblemLog {
  readonly #images: Pick<ImageSource, "get">;
  readonly #write: (line: string) => void;
  readonly #now: () => number;
  #told = new Set<string>();
  #since = -Infinity;
  #untold = 0;

  constructor(
    images: Pick<ImageSource, "get">,
    write: (line: string) => void,
    now: () => number = Date.now,
  ) {
    this.#images = images;
    this.#write = write;
    this.#now = now;
  }

  add({ operation, nodeid, message }: Problem): void {
    const now = this.#now();
    if (now - this.#since >= REPEAT_MS) {
      this.flush();
      this.#since = now;
      this.#told = new Set();
    }
    // READ and OPEN of one bad object are one problem.
    const key = `${nodeid} ${message}`;
    if (this.#told.has(key)) return;
    if (this.#told.size >= MOST_LINES) {
      this.#untold += 1;
      return;
    }
    this.#told.add(key);
    this.#write(`${pathOf(this.#images.get(), nodeid)}: ${operation}: ${message}`);
  }

  /** Says how many lines were left out. */
  flush(): void {
    if (this.#untold > 0) this.#write(`${this.#untold} more problems, not shown`);
    this.#untold = 0;
  }
}
