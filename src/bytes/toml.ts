/**
 * TOML, as far as files of settings go: tables, arrays of tables, strings of all four kinds,
 * numbers, booleans, arrays and inline tables. Dates are refused. The values are those of
 * `json.ts`, so that `json-fields.ts` reads them.
 *
 * Spec: TOML 1.0.0.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { JsonObject, JsonValue } from "./json.ts";

type Table = Map<string, JsonValue>;

/**
 * @throws {@link FormatError} `MALFORMED` with the line of what is wrong; `LIMIT` for values nested
 *   too deeply
 */
export function parseToml(bytes: Uint8Array, what: string): JsonObject {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("MALFORMED", `${what}: expected TOML in UTF-8`, { cause });
  }
  return new TomlReader(text, what).document();
}

const BLANK = /[ \t]*/y;
/** Everything between values: blanks, line ends, comments. */
const SPACE = /(?:[ \t\r\n]|#[^\n]*)*/y;
const LINE_END = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
const BASIC = /"((?:[^"\\\n\r]|\\.)*)"/y;
const LITERAL = /'([^'\n\r]*)'/y;
const LONG_BASIC = /"""(?:\r?\n)?((?:[^"\\]|\\[^]|"(?!"")|"(?="""))*)"""/y;
const LONG_LITERAL = /'''(?:\r?\n)?((?:[^']|'(?!'')|'(?='''))*)'''/y;
const SCALAR = /[A-Za-z0-9_+.:-]+/y;
const NUMBER =
  /^(?:[+-]?(?:0|[1-9](?:_?\d)*)(?:\.\d(?:_?\d)*)?(?:[eE][+-]?\d(?:_?\d)*)?|0x[\dA-Fa-f](?:_?[\dA-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*)$/;
const ESCAPE = /\\(?:u([\dA-Fa-f]{4})|U([\dA-Fa-f]{8})|[ \t]*\r?\n[ \t\r\n]*|([^]))/g;
const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  '"': '"',
  "\\": "\\",
};

class TomlReader {
  readonly #text: string;
  readonly #what: string;
  #at = 0;
  readonly #root: Table = new Map();
  /** Tables that have a header of their own, or are written inline: they have no second one. */
  readonly #closed = new Set<JsonValue>();
  readonly #listed = new Set<JsonValue>();

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  document(): JsonObject {
    let table = this.#root;
    for (;;) {
      this.#take(SPACE);
      if (this.#at === this.#text.length) return this.#root;
      if (this.#skip("[[")) table = this.#header("]]");
      else if (this.#skip("[")) table = this.#header("]");
      else this.#pair(table);
      if (this.#take(LINE_END) === undefined) throw this.#bad("the end of the line");
    }
  }

  #header(close: "]" | "]]"): Table {
    const path = this.#keys();
    this.#take(BLANK);
    if (!this.#skip(close)) throw this.#bad(close);
    const last = path.pop()!;
    const parent = this.#descend(this.#root, path);
    const found = parent.get(last);
    if (close === "]]") {
      const list = found ?? [];
      if (!Array.isArray(list) || (found !== undefined && !this.#listed.has(found))) {
        throw this.#bad(`no second ${last}`);
      }
      const table: Table = new Map();
      (list as JsonValue[]).push(table);
      this.#listed.add(list);
      parent.set(last, list);
      return table;
    }
    const table = found ?? new Map<string, JsonValue>();
    if (!(table instanceof Map) || this.#closed.has(table)) throw this.#bad(`no second ${last}`);
    this.#closed.add(table);
    parent.set(last, table);
    return table as Table;
  }

  /** The table at a path, made where it is not there; of an array of tables the last one. */
  #descend(from: Table, path: readonly string[]): Table {
    let table = from;
    for (const key of path) {
      let next = table.get(key);
      if (next === undefined) {
        next = new Map<string, JsonValue>();
        table.set(key, next);
      }
      if (Array.isArray(next) && this.#listed.has(next)) next = next.at(-1);
      if (!(next instanceof Map)) throw this.#bad(`no value under ${key}`);
      table = next as Table;
    }
    return table;
  }

  #pair(table: Table, depth = 0): void {
    const path = this.#keys();
    this.#take(BLANK);
    if (!this.#skip("=")) throw this.#bad("=");
    this.#take(BLANK);
    const last = path.pop()!;
    const parent = this.#descend(table, path);
    if (parent.has(last)) throw this.#bad(`no second ${last}`);
    parent.set(last, this.#value(depth));
  }

  #keys(): string[] {
    const keys: string[] = [];
    do {
      this.#take(BLANK);
      const key = this.#take(BARE_KEY)?.[0] ?? this.#shortString();
      if (key === undefined) throw this.#bad("a key");
      keys.push(key);
      this.#take(BLANK);
    } while (this.#skip("."));
    return keys;
  }

  #value(depth: number): JsonValue {
    if (depth > limits.jsonDepth) {
      const message = `${this.#what}: expected at most ${limits.jsonDepth} levels of values, got more`;
      throw new FormatError("LIMIT", message);
    }
    if (this.#skip("[")) return this.#array(depth);
    if (this.#skip("{")) return this.#inlineTable(depth);
    const text = this.#longString() ?? this.#shortString();
    if (text !== undefined) return text;
    const start = this.#at;
    const scalar = this.#take(SCALAR)?.[0] ?? "";
    if (scalar === "true" || scalar === "false") return scalar === "true";
    if (NUMBER.test(scalar)) return Number(scalar.replaceAll("_", ""));
    this.#at = start;
    throw this.#bad("a string, number, boolean, array or table");
  }

  #array(depth: number): JsonValue {
    const values: JsonValue[] = [];
    for (;;) {
      this.#take(SPACE);
      if (this.#skip("]")) return values;
      values.push(this.#value(depth + 1));
      this.#take(SPACE);
      if (!this.#skip(",")) {
        if (this.#skip("]")) return values;
        throw this.#bad(", or ]");
      }
    }
  }

  #inlineTable(depth: number): JsonValue {
    const table: Table = new Map();
    this.#closed.add(table);
    this.#take(BLANK);
    if (this.#skip("}")) return table;
    do {
      this.#pair(table, depth + 1);
      this.#take(BLANK);
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#bad(", or }");
    return table;
  }

  #longString(): string | undefined {
    const literal = this.#take(LONG_LITERAL)?.[1];
    if (literal !== undefined) return literal;
    const basic = this.#take(LONG_BASIC)?.[1];
    return basic === undefined ? undefined : this.#unescape(basic);
  }

  #shortString(): string | undefined {
    const literal = this.#take(LITERAL)?.[1];
    if (literal !== undefined) return literal;
    const basic = this.#take(BASIC)?.[1];
    return basic === undefined ? undefined : this.#unescape(basic);
  }

  #unescape(text: string): string {
    return text.replace(ESCAPE, (whole, four?: string, eight?: string, letter?: string) => {
      const code = four ?? eight;
      if (code !== undefined) {
        const point = parseInt(code, 16);
        if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) throw this.#bad("a character");
        return String.fromCodePoint(point);
      }
      if (letter === undefined) return ""; // an escaped line end
      const known = ESCAPES[letter];
      if (known === undefined) throw this.#bad(`an escape, not ${whole}`);
      return known;
    });
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  #skip(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #bad(expected: string): FormatError {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    const found = /[^\n]{0,40}/y;
    found.lastIndex = this.#at;
    const got = found.exec(this.#text)?.[0].trim() || "the end of the line";
    return new FormatError(
      "MALFORMED",
      `${this.#what}: line ${line}: expected ${expected}, got ${JSON.stringify(got)}`,
    );
  }
}
