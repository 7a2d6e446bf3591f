/** TOML as the files of settings of other programs are written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue } from "../../../src/bytes/json.ts";
import { parseToml } from "../../../src/bytes/toml.ts";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";

const parse = (text: string) => plain(parseToml(Buffer.from(text), "x.conf"));

function plain(value: JsonValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

describe("is read", () => {
  const cases: [text: string, value: unknown][] = [
    ["", {}],
    ["\ufeffa = 1", { a: 1 }],
    ["# only\r\n\r\n", {}],
    ["a = 'x' # why\nb = true\nc = false", { a: "x", b: true, c: false }],
    ["a-b_1 = 1\n\"c d\" = 2\n'e.f' = 3", { "a-b_1": 1, "c d": 2, "e.f": 3 }],
    ["a.b.c = 1\na.b.d = 2", { a: { b: { c: 1, d: 2 } } }],
    ["[a]\nx = 1\n[a.b]\ny = 2", { a: { x: 1, b: { y: 2 } } }],
    ["[a.b]\ny = 2\n[a]\nx = 1", { a: { x: 1, b: { y: 2 } } }],
    ['[ a . "b" ]\nx=1', { a: { b: { x: 1 } } }],
    ["[[r]]\nx = 1\n[[r]]\nx = 2", { r: [{ x: 1 }, { x: 2 }] }],
    [
      "[[r]]\n[[r.m]]\nx = 1\n[[r.m]]\nx = 2\n[[r]]\n[[r.m]]\nx = 3",
      { r: [{ m: [{ x: 1 }, { x: 2 }] }, { m: [{ x: 3 }] }] },
    ],
    ["a = [\n  'x', # one\n  \"y\",\n]\nb = []", { a: ["x", "y"], b: [] }],
    ["a = { b = 1, 'c' = [ { d = 2 } ] }\ne = {}", { a: { b: 1, c: [{ d: 2 }] }, e: {} }],
    ['a = "\\t\\"\\\\\\u00e9\\U0001F600"', { a: '\t"\\é😀' }],
    ["a = '''\nx\n'y' '''", { a: "x\n'y' " }],
    ['a = """\nx \\\n   y "z" """', { a: 'x y "z" ' }],
    ["a = 'C:\\x'", { a: "C:\\x" }],
    ["a = [1_000, -2, 0xff, 0o17, 0b11, 1.5, 1e3]", { a: [1000, -2, 255, 15, 3, 1.5, 1000] }],
    ["__proto__ = 1", Object.fromEntries([["__proto__", 1]])],
  ];
  test.each(cases)("%j", (text, value) => {
    expect(parse(text)).toEqual(value);
  });
});

test.each([
  ["a =", 1],
  ["\na = 1 b = 2", 2],
  ["a = 1\na = 2", 2],
  ["[[a]]\n[a]", 2],
  ["a = 'x", 1],
])("%j is refused, with the line", (text, line) => {
  expect(() => parse(text)).toThrow(FormatError);
  expect(() => parse(text)).toThrow(
    new RegExp(`^x\\.conf: line ${line}: Invalid TOML document: .+$`),
  );
});

test("a date is a string", () => {
  expect(parse("a = 2020-01-01")).toEqual({ a: "2020-01-01" });
});

test("values are nested up to the limit", () => {
  const nested = (depth: number) => `a = ${"[".repeat(depth)}${"]".repeat(depth)}`;
  parse(nested(limits.jsonDepth));
  expect(() => parse(nested(limits.jsonDepth + 1))).toThrow(FormatError);
});

test("any text is a table or a FormatError", () => {
  const piece = fc.constantFrom(
    "[",
    "]",
    "a",
    ".",
    "=",
    "'",
    '"',
    "\n",
    "{",
    "}",
    ",",
    "1",
    "\\",
    "#",
    " ",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        expect(parseToml(Buffer.from(pieces.join("")), "x")).toBeInstanceOf(Map);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
  expect(() => parseToml(Buffer.from([0xff]), "x")).toThrow(FormatError);
});
