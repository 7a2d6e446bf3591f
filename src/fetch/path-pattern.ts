/**
 * Patterns of paths in an image, as shells have them: `*` and `?` stay within one name, `**` does
 * not; everything else stands for itself, and `\*` for a star. A pattern that matches a directory
 * means everything below it as well.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { fromText } from "../bytes/bytestring.ts";
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";

const MANY = Symbol("*");
const ONE = Symbol("?");
const DEEP = Symbol("**");
/** A name of a pattern: characters, and what stands for others. */
type NamePart = readonly (string | typeof MANY | typeof ONE)[];

/** Characters that one byte of a path may have in a pattern. */
const LONGEST_BYTE = "\\xhh".length;

/** A pattern of absolute paths. */
export class PathPattern {
  readonly #names: readonly (NamePart | typeof DEEP)[];

  /**
   * `text` is UTF-8 with `\xhh` for bytes that are not UTF-8, as listings print paths; a leading
   * slash may be omitted.
   *
   * @throws {@link UsageError} for a backslash that escapes nothing, and a pattern longer than a
   *   path
   */
  constructor(text: string) {
    if (text.length > LONGEST_BYTE * limits.pathBytes) throw tooLong(`${text.length} characters`);
    const names = text.split("/").filter((name) => name !== "" && name !== ".");
    this.#names = names.map((name) => (name === "**" ? DEEP : parseName(name, text)));
    const bytes = this.#names.reduce((sum, name) => sum + (name === DEEP ? 2 : name.length), 0);
    const slashes = Math.max(0, names.length - 1);
    if (bytes + slashes > limits.pathBytes) throw tooLong(`${bytes + slashes}`);
  }

  /** Whether the pattern matches the path, or a directory that it lies in. */
  matches(path: ByteString): boolean {
    const names = path.split("/").filter((name) => name !== "");
    // Every place in the pattern that the names so far may have led to.
    let places = this.#enter(new Set([0]));
    if (places.has(this.#names.length)) return true;
    for (const name of names) {
      const next = new Set<number>();
      for (const at of places) {
        const part = this.#names[at];
        if (part === DEEP) next.add(at);
        else if (part !== undefined && matchesName(part, name)) next.add(at + 1);
      }
      if (next.size === 0) return false;
      places = this.#enter(next);
      if (places.has(this.#names.length)) return true;
    }
    return false;
  }

  /** `**` may stand for no name at all. */
  #enter(places: Set<number>): Set<number> {
    for (const at of places) if (this.#names[at] === DEEP) places.add(at + 1);
    return places;
  }
}

function tooLong(got: string): UsageError {
  const message = `pattern: expected at most ${limits.pathBytes} bytes, got ${got}`;
  return new UsageError("USAGE", message);
}

function parseName(name: string, whole: string): NamePart {
  const parts: NamePart[number][] = [];
  for (const [part] of name.matchAll(/\\x[0-9a-fA-F]{2}|\\[\\*?]|\*+|[^]/gu)) {
    if (part.startsWith("\\x")) parts.push(String.fromCharCode(parseInt(part.slice(2), 16)));
    else if (part.startsWith("\\")) {
      if (part.length === 1) {
        throw new UsageError(
          "USAGE",
          `${whole}: expected \\\\, \\*, \\? or \\xhh after a backslash`,
        );
      }
      parts.push(part.slice(1));
    } else if (part.startsWith("*")) parts.push(MANY);
    else if (part === "?") parts.push(ONE);
    else parts.push(...fromText(part).split("")); // a character may be several bytes
  }
  return parts;
}

/** Time in proportion to the product of the lengths, whatever the pattern. */
function matchesName(pattern: NamePart, name: string): boolean {
  let places = new Set([0]);
  const enter = () => {
    for (const at of places) if (pattern[at] === MANY) places.add(at + 1);
  };
  enter();
  for (const char of name) {
    const next = new Set<number>();
    for (const at of places) {
      const part = pattern[at];
      if (part === MANY) next.add(at);
      else if (part === ONE || part === char) next.add(at + 1);
    }
    if (next.size === 0) return false;
    places = next;
    enter();
  }
  return places.has(pattern.length);
}
