/** Numbers in options. */
import { expect, test } from "vitest";
import { byteCount } from "../../../src/cli/options/numbers.ts";

const parse = byteCount("--size", 8 * 1024 ** 3);

test.each([
  ["1", 1],
  ["4096", 4096],
  ["64K", 65_536],
  ["512m", 512 * 1024 ** 2],
  ["8G", 8 * 1024 ** 3],
  ["8GiB", 8 * 1024 ** 3],
  ["8gb", 8 * 1024 ** 3],
  ["100B", 100],
])("%s is so many bytes", (text, bytes) => {
  expect(parse(text)).toBe(bytes);
});

test.each(["", "0", "-1", "1.5G", "G", "8589934593", "9G", "1P", "8 G", "8Gi", "1e9", "x"])(
  "%j is refused with what was expected",
  (text) => {
    expect(() => parse(text)).toThrow("--size: expected bytes, such as 8G, up to 8.0 GiB, got");
  },
);
