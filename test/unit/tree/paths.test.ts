/** Paths as people type them. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ascii, fromText, printable, toByteString } from "../../../src/bytes/bytestring.ts";
import { UsageError } from "../../../src/errors.ts";
import { joinPath, parsePrintable, splitPath } from "../../../src/tree/paths.ts";

describe("what a listing prints", () => {
  test("is read back as the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = toByteString(bytes);
        expect(parsePrintable(printable(text))).toBe(text);
      }),
    );
  });

  test("shows UTF-8 as text and other bytes escaped", () => {
    expect(parsePrintable("/\u00e9t\u00e9")).toBe(fromText("/\u00e9t\u00e9"));
    expect(parsePrintable("\\xff\\x0A\\\\x")).toBe("\xff\n\\x");
  });

  test.each(["\\", "a\\", "\\x", "\\x4", "\\xg0", "\\n", "\\\\\\"])("%j is refused", (text) => {
    expect(() => parsePrintable(text)).toThrow(UsageError);
  });
});

test("slashes at the ends, doubled slashes and single dots are dropped; two dots stay", () => {
  expect(splitPath(ascii("//a/./b/../c/"))).toEqual(["a", "b", "..", "c"]);
  expect(splitPath(ascii("/"))).toEqual([]);
  expect(joinPath(ascii(""), ascii("a"))).toBe("/a");
});
