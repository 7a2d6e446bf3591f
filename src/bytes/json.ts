/**
 * A JSON reader for untrusted input: RFC 8259 without the cases in which parsers differ. Refused are duplicate names, a byte order mark, bytes that are not UTF-8, lone
 * surrogates, anything after the value, and integers that a double cannot hold exactly. Objects are
 * `Map`s, so that `__proto__` is a name like any other. Nothing that is signed is read laxly.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";

/** An object in the order of the document. */
export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonArray = readonly JsonValue[];
/** What {@link parseJson} returns. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;

export interface JsonOptions {
  /** Bytes of the document; {@link limits.manifestBytes} when not given. */
  readonly maxBytes?: number;
  /** Arrays and objects inside one another; {@link limits.jsonDepth} when not given. */
  readonly maxDepth?: number;
  /** Refuse numbers with a sign, a fraction or an exponent: `1.0e0` is not `1`, `-0` is not `0`. */
  readonly plainIntegers?: boolean;
  /**
   * For documents of which few fields are used, and that other tools wrote: names given twice have
   * the last value ({@link repeatedNames} tells them), what is no Unicode is U+FFFD, and numbers are
   * rounded, as Go's decoder does with what nobody asks for.
   */
  readonly lax?: boolean;
  /** What the document is, for messages: `index.json`, `manifest sha256:…`. */
  readonly what?: string;
}

/**
 * The value of a whole document.
 *
 * @throws {@link FormatError} `LIMIT` over `maxBytes` or `maxDepth`; `AMBIGUOUS` for a name given
 *   twice; `OUT_OF_RANGE` for a number without an exact value; `TRUNCATED` when the document ends
 *   early; `MALFORMED` for everything else
 */
export function parseJson(bytes: Uint8Array, options: JsonOptions = {}): JsonValue {
  const what = options.what ?? "JSON";
  const maxBytes = options.maxBytes ?? limits.manifestBytes;
  if (bytes.length > maxBytes) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${maxBytes} bytes, got ${bytes.length}`,
    );
  }
  return new JsonParser(decodeText(bytes, what, options.lax !== true), what, options).parse();
}

const repeated = new WeakMap<JsonObject, Set<string>>();
const NO_NAMES: ReadonlySet<string> = new Set();

/** The names that an object of a document that was read laxly gives more than once. */
export function repeatedNames(object: JsonObject): ReadonlySet<string> {
  return repeated.get(object) ?? NO_NAMES;
}

function decodeText(bytes: Uint8Array, what: string, fatal: boolean): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new FormatError("MALFORMED", `${what}: starts with a byte order mark`);
  }
  try {
    return new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("MALFORMED", `${what}: not UTF-8`, { cause });
  }
}

// Sticky expressions: each matches at lastIndex only. RFC 8259, sections 2, 6 and 7.
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[ !#-[\]-\u{10ffff}]*/uy; // all but quote, backslash and control characters
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const HEX = /[0-9a-fA-F]{4}/y;
const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATES = /\p{Surrogate}/gu;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** @returns the error that says so */
export function givenTwice(name: string, what: string): FormatError {
  return new FormatError("AMBIGUOUS", `${what}: name given twice: ${JSON.stringify(name)}`);
}

class JsonParser {
  readonly #text: string;
  readonly #what: string;
  readonly #maxDepth: number;
  readonly #plainIntegers: boolean;
  readonly #lax: boolean;
  #at = 0;

  constructor(text: string, what: string, options: JsonOptions) {
    this.#text = text;
    this.#what = what;
    this.#maxDepth = options.maxDepth ?? limits.jsonDepth;
    this.#plainIntegers = options.plainIntegers ?? false;
    this.#lax = options.lax ?? false;
  }

  parse(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return value;
  }

  #value(depth: number): JsonValue {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(this.#deeper(depth));
      case "[":
        return this.#array(this.#deeper(depth));
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #deeper(depth: number): number {
    if (depth < this.#maxDepth) return depth + 1;
    throw new FormatError(
      "LIMIT",
      `${this.#what}: expected at most ${this.#maxDepth} levels of nesting, got more`,
    );
  }

  #object(depth: number): JsonObject {
    const object = new Map<string, JsonValue>();
    this.#at++;
    if (this.#skip("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#unexpected("a name");
      const name = this.#string();
      if (object.has(name)) this.#repeat(object, name);
      if (!this.#skip(":")) throw this.#unexpected("':'");
      object.set(name, this.#value(depth));
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#unexpected("',' or '}'");
    return object;
  }

  #repeat(object: JsonObject, name: string): void {
    if (!this.#lax) throw givenTwice(name, this.#what);
    const names = repeated.get(object) ?? new Set<string>();
    repeated.set(object, names.add(name));
  }

  #array(depth: number): JsonArray {
    const array: JsonValue[] = [];
    this.#at++;
    if (this.#skip("]")) return array;
    do array.push(this.#value(depth));
    while (this.#skip(","));
    if (!this.#skip("]")) throw this.#unexpected("',' or ']'");
    return array;
  }

  #string(): string {
    const start = this.#at++;
    let text = "";
    for (;;) {
      text += this.#match(PLAIN)![0];
      const char = this.#text[this.#at];
      if (char === '"') break;
      if (char !== "\\") throw this.#unexpected("a string without control characters");
      this.#at++;
      text += this.#escape();
    }
    this.#at++;
    if (LONE_SURROGATE.test(text)) {
      if (this.#lax) return text.replace(LONE_SURROGATES, "\ufffd");
      throw new FormatError("MALFORMED", `${this.#what}: lone surrogate in string at ${start}`);
    }
    return text;
  }

  #escape(): string {
    const char = this.#text[this.#at];
    if (char === "u") {
      this.#at++;
      const digits = this.#match(HEX);
      if (!digits) throw this.#unexpected("four hexadecimal digits");
      return String.fromCharCode(Number.parseInt(digits[0], 16));
    }
    const plain = char === undefined ? undefined : ESCAPES.get(char);
    if (plain === undefined) throw this.#unexpected("an escape");
    this.#at++;
    return plain;
  }

  #number(): number {
    const start = this.#at;
    const match = this.#match(NUMBER);
    if (!match) throw this.#unexpected("a value");
    if (this.#plainIntegers && !/^[0-9]+$/.test(match[0])) {
      const shown = match[0].slice(0, 40);
      throw new FormatError(
        "MALFORMED",
        `${this.#what}: expected a plain integer at ${start}, got ${shown}`,
      );
    }
    const value = Number(match[0]);
    if (this.#lax) return value;
    const integer = match[1] === undefined && match[2] === undefined;
    if (integer ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
      const shown = match[0].slice(0, 40);
      throw new FormatError(
        "OUT_OF_RANGE",
        `${this.#what}: number ${shown} at ${start} is too large`,
      );
    }
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected("a value");
    this.#at += word.length;
    return value;
  }

  /** Passes over white space and `char`; false, past the white space, when something else follows. */
  #skip(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#text);
    if (match) this.#at = expression.lastIndex;
    return match;
  }

  #unexpected(wanted: string): FormatError {
    if (this.#at >= this.#text.length) {
      return new FormatError("TRUNCATED", `${this.#what}: expected ${wanted}, got the end`);
    }
    const got = JSON.stringify(this.#text[this.#at]);
    return new FormatError(
      "MALFORMED",
      `${this.#what}: expected ${wanted} at ${this.#at}, got ${got}`,
    );
  }
}
