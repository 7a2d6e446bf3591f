/** The xattrs of an image are bounded, by number and by bytes. */
import { expect, test } from "vitest";
import { type ByteString, ascii } from "../../../src/bytes/bytestring.ts";
import { XattrTotals } from "../../../src/build/xattr-totals.ts";
import { limits } from "../../../src/limits.ts";

test("as many xattrs as the limit are counted, not one more", () => {
  const thousand = new Map<ByteString, ByteString>();
  for (let i = 0; i < 1000; i++) thousand.set(ascii(`user.${i}`), ascii(""));
  const totals = new XattrTotals();
  for (let i = 0; i < limits.xattrs / 1000; i++) totals.add(thousand);
  totals.add(new Map());
  expect(() => totals.add(new Map([[ascii("a"), ascii("")]]))).toThrow(
    expect.objectContaining({ code: "LIMIT" }),
  );
});

test("as many bytes as the limit are counted, not one more", () => {
  const kibibytes = 32;
  const some = new Map([[ascii("k".repeat(24)), ascii("v".repeat(kibibytes * 1024 - 24))]]);
  const totals = new XattrTotals();
  for (let i = 0; i < limits.xattrBytes / (kibibytes * 1024); i++) totals.add(some);
  expect(() => totals.add(new Map([[ascii("a"), ascii("")]]))).toThrow(
    expect.objectContaining({ code: "LIMIT" }),
  );
});
