/**
 * Patterns of image names in a trust policy. `*` matches any number of characters other than `/`,
 * also none; `**` any number of any characters; every other character matches itself. So
 * `registry.example/app:*` is every tag of one image, and `registry.example/**` everything in a
 * registry.
 *
 * Spec: docs/policy.md, "Name patterns".
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";

type Token = string | typeof WITHIN | typeof ACROSS;
const WITHIN = Symbol("*");
const ACROSS = Symbol("**");

/** A pattern that names match or do not. */
export class NamePattern {
  readonly text: string;
  readonly #tokens: readonly Token[];

  /**
   * @throws {@link TrustError} `BAD_POLICY` for a pattern that no name can match, and for
   *   characters that other pattern languages give a meaning
   */
  constructor(text: string, what = "pattern") {
    const shown = JSON.stringify(text.slice(0, 100));
    if (text.length > limits.referenceBytes) {
      throw new TrustError(
        "BAD_POLICY",
        `${what}: expected at most ${limits.referenceBytes} bytes, got ${text.length}: ${shown}`,
      );
    }
    if (!/^[\x21-\x7e]+$/.test(text)) {
      throw new TrustError("BAD_POLICY", `${what}: no image name can match ${shown}`);
    }
    if (/[?[\]{}\\!^$|]|\*{3}/.test(text)) {
      throw new TrustError("BAD_POLICY", `${what}: expected only * and ** beside names: ${shown}`);
    }
    this.text = text;
    this.#tokens = (text.match(/\*\*|[^]/g) ?? []).map((part) =>
      part === "*" ? WITHIN : part === "**" ? ACROSS : part,
    );
  }

  /** Whether the whole name matches; takes time in proportion to the lengths of both. */
  matches(name: string): boolean {
    const tokens = this.#tokens;
    // Every place in the pattern that the name so far may have led to.
    let places = this.#enter(new Set([0]));
    for (const char of name) {
      const next = new Set<number>();
      for (const at of places) {
        const token = tokens[at];
        if (takes(token, char)) next.add(at);
        else if (token === char) next.add(at + 1);
      }
      if (next.size === 0) return false;
      places = this.#enter(next);
    }
    return places.has(tokens.length);
  }

  /** Whether both can match one name; takes time in proportion to the product of the lengths. */
  overlaps(other: NamePattern): boolean {
    const [tokens, others] = [this.#tokens, other.#tokens];
    const width = others.length + 1;
    const seen = new Set([0]);
    // Every pair of places to which some beginning of a name leads; see #enter about sets.
    for (const pair of seen) {
      const [i, j] = [Math.floor(pair / width), pair % width];
      const [a, b] = [tokens[i], others[j]];
      if (a === undefined && b === undefined) return true;
      if (typeof a === "symbol" || (a !== undefined && takes(b, a))) seen.add(pair + width);
      if (typeof b === "symbol" || (b !== undefined && takes(a, b))) seen.add(pair + 1);
      if (typeof a === "string" && a === b) seen.add(pair + width + 1);
    }
    return false;
  }

  /** A wildcard may stand for nothing: the place behind it is reached as well. */
  #enter(places: Set<number>): Set<number> {
    // Iterating over a set also yields the elements that are added meanwhile.
    for (const at of places) {
      if (typeof this.#tokens[at] === "symbol") places.add(at + 1);
    }
    return places;
  }
}

/** Whether a wildcard may stand for a character. */
function takes(token: string | symbol | undefined, char: string): boolean {
  return token === ACROSS || (token === WITHIN && char !== "/");
}
