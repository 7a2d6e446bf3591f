/** The attributes by which overlayfs finds content: digest and redirect have to agree. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ByteString, toByteString } from "../../../src/bytes/bytestring.ts";
import { METACOPY_SHA256, METACOPY_SHA512 } from "../../../src/erofs/format.ts";
import {
  hasDigest,
  isRedirectTo,
  metacopyDigest,
  redirectOf,
} from "../../../src/erofs/overlay-xattrs.ts";

const metacopy = fc
  .tuple(
    fc.constantFrom([METACOPY_SHA256, 32] as const, [METACOPY_SHA512, 64] as const),
    fc.uint8Array({ minLength: 64, maxLength: 64 }),
  )
  .map(([[header, size], digest]) =>
    toByteString(Buffer.concat([header, digest.subarray(0, size)])),
  );

test("a redirect matches a digest exactly when no character differs", () => {
  fc.assert(
    fc.property(
      metacopy,
      fc.nat(140),
      fc.constantFrom("0", "a", "A", "/", ""),
      (value, at, text) => {
        const redirect = redirectOf(metacopyDigest(value)!);
        expect(isRedirectTo(redirect, value)).toBe(true);
        const changed = (redirect.slice(0, at) + text + redirect.slice(at + 1)) as ByteString;
        expect(isRedirectTo(changed, value)).toBe(changed === redirect);
        expect(isRedirectTo(`${redirect}0` as ByteString, value)).toBe(false);
      },
    ),
  );
});

test("only values of the two known forms hold a digest", () => {
  fc.assert(
    fc.property(metacopy, fc.nat(3), fc.nat(255), (value, at, byte) => {
      expect(hasDigest(value)).toBe(true);
      const other = (value.slice(0, at) + String.fromCharCode(byte) + value.slice(at + 1)) as ByteString; // prettier-ignore
      expect(hasDigest(other)).toBe(other === value);
      expect(hasDigest(value.slice(1) as ByteString)).toBe(false);
    }),
  );
});
