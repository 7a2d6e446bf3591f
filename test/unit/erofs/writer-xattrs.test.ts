/** The table of an image's xattrs has room for so many keys and pairs, and for values of 16 bits. */
import { expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { XattrTable } from "../../../src/erofs/writer-xattrs.ts";
import { limits } from "../../../src/limits.ts";

const limit = expect.objectContaining({ code: "LIMIT" });

test("as many keys as the limit are taken, not one more", () => {
  const table = new XattrTable();
  for (let i = 0; i < limits.xattrKeys; i++) table.pair(ascii(`user.${i}`), ascii(""));
  expect(() => table.pair(ascii("user.x"), ascii(""))).toThrow(limit);
  table.pair(ascii("user.1"), ascii("another value"));
});

test("as many pairs as the limit are taken, not one more", () => {
  const table = new XattrTable();
  for (let i = 0; i < limits.xattrPairs; i++) table.pair(ascii("user.x"), ascii(String(i)));
  table.pair(ascii("user.x"), ascii("1")); // known
  expect(() => table.pair(ascii("user.x"), ascii("x"))).toThrow(limit);
});

test("a value of as many bytes as the limit is taken, not one more", () => {
  const table = new XattrTable();
  const value = (length: number) => ascii("v".repeat(length));
  expect(table.pair(ascii("user.x"), value(limits.xattrValueBytes)).value.length).toBe(65_535);
  expect(() => table.pair(ascii("user.x"), value(limits.xattrValueBytes + 1))).toThrow(limit);
});

test("sets of any size are sorted by their keys", () => {
  for (const size of [3, 16, 17, 5000]) {
    const table = new XattrTable();
    const keys = Array.from({ length: size }, (_, i) => ascii(`user.${(i * 7919) % size}`));
    const { pairs } = table.setOf(keys.map((key) => table.pair(key, ascii(""))));
    expect(pairs.map(({ key }) => key.key)).toEqual([...keys].sort());
  }
});
