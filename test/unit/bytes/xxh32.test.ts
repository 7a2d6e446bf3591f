import { expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { xxh32 } from "../../../src/bytes/xxh32.ts";

// xxHash's published sanity values for short inputs, and a text of more than one stripe.
test.each([
  ["", 0, 0x02cc5d05],
  ["", 0x9e3779b1, 0x36b78ae7],
  ["a", 0, 0x550d7456],
  ["abc", 0, 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0, 0xe2293b2f],
])("xxh32 of %j with seed %i", (text, seed, hash) => {
  expect(xxh32(ascii(text), seed)).toBe(hash);
});

// docs/image-format.md, "Name filter": name, prefix index, hash, bit of the name filter.
test.each([
  ["overlay.opaque", 4, 0x4ce0a7f4, 20],
  ["overlay.metacopy", 4, 0xdbe5e05f, 31],
  ["overlay.redirect", 4, 0x887ec271, 17],
  ["selinux", 6, 0x9490146b, 11],
  ["capability", 6, 0x8c47ac5d, 29],
  ["", 2, 0x0857597e, 30],
  ["", 3, 0x59eeabb5, 21],
  ["a", 1, 0x371a8cd5, 21],
  ["system.nfs4_acl", 0, 0x4fa0248a, 10],
  ["overlay.opaque", 1, 0xf8dc99ea, 10],
])("filter hash of %j with index %i", (name, index, hash, bit) => {
  const got = xxh32(ascii(name), 0x25bbe08f + index);
  expect(got).toBe(hash);
  expect(got & 31).toBe(bit);
});
