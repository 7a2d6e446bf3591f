import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asSize, optionalString, stringMap, verifyOnce } from "../../../src/bytes/json-fields.ts";
import {
  type JsonObject,
  type JsonOptions,
  type JsonValue,
  parseJson,
  repeatedNames,
} from "../../../src/bytes/json.ts";
import { FormatError } from "../../../src/errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string, options?: JsonOptions) => parseJson(bytes(text), options);

/** The result as JSON.parse would give it. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, JsonValue>)];
    return Object.fromEntries(entries.map(([name, entry]) => [name, plain(entry)]));
  }
  return Array.isArray(value) ? (value as readonly JsonValue[]).map(plain) : value;
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
  return undefined;
}

const runs = process.env["SLOW"] ? 20_000 : 500;

test("agrees with JSON.parse on what JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      const value = JSON.parse(text) as unknown;
      let ours: JsonValue;
      try {
        ours = parse(text);
      } catch (error) {
        // Doubles of 17 and more digits without a point are integers that we refuse.
        expect((error as FormatError).code).toBe("OUT_OF_RANGE");
        return;
      }
      expect(JSON.stringify(plain(ours))).toBe(JSON.stringify(value));
    }),
    { numRuns: runs },
  );
});

test("reads any bytes or throws FormatError, and accepts nothing that JSON.parse refuses", () => {
  const alphabet = fc.constantFrom(
    ...Array.from('{}[]":,\\u0eE+-.12tfn '),
    "true",
    "null",
    '"a"',
    "\ud800",
    "é",
  );
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
      const text = new TextDecoder().decode(bytes(parts.join("")));
      if (codeOf(() => parse(text)) === undefined) {
        expect(plain(parse(text))).toEqual(JSON.parse(text));
      }
    }),
    { numRuns: runs * 4 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (raw) => {
      codeOf(() => parseJson(raw));
    }),
    { numRuns: runs },
  );
});

test("objects are maps, and __proto__ is a name like any other", () => {
  const value = parse('{"__proto__":{"polluted":true},"constructor":1,"toString":null}');
  expect(value).toBeInstanceOf(Map);
  expect([...(value as Map<string, JsonValue>).keys()]).toEqual([
    "__proto__",
    "constructor",
    "toString",
  ]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

describe("refuses", () => {
  test.each([
    ["a name given twice", '{"a":1,"a":1}', "AMBIGUOUS"],
    ["a name given twice by escape", '{"a":1,"\\u0061":2}', "AMBIGUOUS"],
    ["data after the value", "{} {}", "MALFORMED"],
    ["a NUL after the value", "{}\0", "MALFORMED"],
    ["an empty document", "", "TRUNCATED"],
    ["an open object", '{"a":1', "TRUNCATED"],
    ["an open string", '"abc', "TRUNCATED"],
    ["a cut escape", '"\\', "TRUNCATED"],
    ["a trailing comma", "[1,]", "MALFORMED"],
    ["a comment", "/* */ 1", "MALFORMED"],
    ["single quotes", "{'a':1}", "MALFORMED"],
    ["a name without quotes", "{a:1}", "MALFORMED"],
    ["NaN", "NaN", "MALFORMED"],
    ["Infinity", "-Infinity", "MALFORMED"],
    ["a leading zero", "01", "MALFORMED"],
    ["a leading plus", "+1", "MALFORMED"],
    ["hexadecimal", "0x10", "MALFORMED"],
    ["a bare point", "1.", "MALFORMED"],
    ["a control character in a string", '"a\nb"', "MALFORMED"],
    ["an unknown escape", '"\\x41"', "MALFORMED"],
    ["a short unicode escape", '"\\u12"', "MALFORMED"],
    ["a lone surrogate", '"\\ud800"', "MALFORMED"],
    ["swapped surrogates", '"\\udc00\\ud800"', "MALFORMED"],
    ["a non-breaking space", "\u00a01", "MALFORMED"],
    ["an integer over 2^53 - 1", "9007199254740992", "OUT_OF_RANGE"],
    ["a negative one", "-9007199254740992", "OUT_OF_RANGE"],
    ["a number over the largest double", "1e400", "OUT_OF_RANGE"],
  ])("%s", (_, text, code) => {
    expect(codeOf(() => parse(text))).toBe(code);
  });

  test("a byte order mark, UTF-16 and bytes that are not UTF-8", () => {
    for (const raw of [
      [0xef, 0xbb, 0xbf, 0x7b, 0x7d],
      [0xff, 0xfe, 0x7b, 0x00],
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ]) {
      expect(codeOf(() => parseJson(Uint8Array.from(raw)))).toBe("MALFORMED");
    }
  });

  test("one byte and one level over the limits, naming the document", () => {
    expect(parse("[[1]]", { maxDepth: 2, maxBytes: 5 })).toEqual([[1]]);
    expect(codeOf(() => parse("[[1]]", { maxDepth: 1 }))).toBe("LIMIT");
    expect(codeOf(() => parse("[[1]]", { maxBytes: 4 }))).toBe("LIMIT");
    expect(() => parse("[[1]]", { maxDepth: 1, what: "index.json" })).toThrow(/^index\.json: /);
    expect(codeOf(() => parse("[".repeat(1_000_000)))).toBe("LIMIT");
  });
});

describe("read laxly, as Go reads what nobody asks for", () => {
  const lax = (text: string) => plain(parse(text, { lax: true }));

  test("names given twice have the last value, and are remembered", () => {
    const value = parse('{"a":1,"b":{"c":1,"c":2},"a":[3]}', { lax: true }) as JsonObject;
    expect(plain(value)).toEqual({ a: [3], b: { c: 2 } });
    expect([...repeatedNames(value)]).toEqual(["a"]);
    const inner = value.get("b") as JsonObject;
    expect([...repeatedNames(inner)]).toEqual(["c"]);
    expect(() => verifyOnce(value, ["b", "x"], "doc")).not.toThrow();
    expect(codeOf(() => verifyOnce(value, ["b", "a"], "doc"))).toBe("AMBIGUOUS");
    expect(repeatedNames(parse('{"a":1}', { lax: true }) as JsonObject).size).toBe(0);
  });

  test("what is no Unicode is U+FFFD", () => {
    expect(lax('"a\\ud800b\\udc00"')).toBe("a\ufffdb\ufffd");
    expect(lax('"\\ud83d\\ude00"')).toBe("😀");
    const latin = Uint8Array.from([0x22, 0x4a, 0xe9, 0x72, 0x22]);
    expect(parseJson(latin, { lax: true })).toBe("J\ufffdr");
  });

  test("numbers are rounded", () => {
    expect(lax("[18446744073709551615,-9007199254740993,1e400]")).toEqual([
      2 ** 64,
      -(2 ** 53),
      Infinity,
    ]);
    expect(() => asSize(parse("9007199254740993", { lax: true }), "size")).toThrow("size");
  });

  test("all other rules stay", () => {
    for (const text of ["{} {}", "[1,]", "01", "{a:1}", '"a\nb"', "\ufeff{}", "NaN", '"\\x41"']) {
      expect(codeOf(() => lax(text))).toBe("MALFORMED");
    }
    expect(codeOf(() => lax("[".repeat(1000)))).toBe("LIMIT");
    expect(codeOf(() => parse("[[]]", { lax: true, maxBytes: 3 }))).toBe("LIMIT");
  });
});

test("the largest safe integers, surrogate pairs and all escapes are read", () => {
  expect(parse("[9007199254740991,-9007199254740991,1e3,-0.5]")).toEqual([
    9007199254740991, -9007199254740991, 1000, -0.5,
  ]);
  expect(parse('"\\ud83d\\ude00 \\"\\\\\\/\\b\\f\\n\\r\\t\\u0000"')).toBe('😀 "\\/\b\f\n\r\t\0');
});

test("fields of a wrong type say which", () => {
  const object = parse('{"size":-1,"name":5,"none":null}') as ReadonlyMap<string, JsonValue>;
  expect(() => asSize(object.get("size"), "layer 2: size")).toThrow(
    "layer 2: size: expected a non-negative integer, got -1",
  );
  expect(() => optionalString(object, "name", "config")).toThrow(
    "config: name: expected a string, got 5",
  );
  expect(optionalString(object, "none", "config")).toBeUndefined();
  expect(() => stringMap(object, "annotations")).toThrow('annotations: "size": expected a string');
});
