/**
 * Many lines of result, written in large pieces.
 *
 * @module
 */
import { harmless } from "../../bytes/harmless.ts";
import type { Io } from "./io.ts";

const PIECE_LENGTH = 1 << 16;

/** Writes lines to stdout as they come, some tens of kilobytes at a time. */
export class LineWriter {
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  /** Writes one line per item. */
  writeAll<T>(items: Iterable<T>, format: (item: T) => string): void {
    let text = "";
    for (const item of items) {
      text += `${format(item)}\n`;
      if (text.length < PIECE_LENGTH) continue;
      this.#io.write(Buffer.from(text));
      text = "";
    }
    if (text !== "") this.#io.write(Buffer.from(text));
  }

  /** Writes a JSON array, one element per line. */
  writeArray<T>(items: Iterable<T>, format: (item: T) => unknown): void {
    let separator = "[";
    this.writeAll(items, (item) => {
      const text = `${separator}${harmless(JSON.stringify(format(item)))}`;
      separator = ",";
      return text;
    });
    this.#io.print(separator === "[" ? "[]" : "]");
  }
}
