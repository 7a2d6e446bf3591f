/** From bundle and bytes to a verified image: the verifier's steps 10 and 11, and the whole of it. */
import { beforeAll, describe, expect, test } from "vitest";
import { FormatError, TrustError } from "../../../src/errors.ts";
import {
  type SignedImage,
  imageFacts,
  signFacts,
  signImage,
} from "../../../src/sign/sign-image.ts";
import { VerifiedImage, verifyImageFile } from "../../../src/verify/verified-image.ts";
import { formatEnvelope } from "../../../src/trust/bundle.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import { formatStatement } from "../../../src/trust/statement.ts";
import { ANY_NAME } from "../../../src/trust/verify-bundles.ts";
import { parseVerityDigest } from "../../../src/verity/verity-digest.ts";
import { goldenImage } from "../../support/golden-images.ts";
import {
  alice,
  envelopeOf,
  keyring,
  mallory,
  name,
  now,
  refusal,
  testKey,
  utf8,
} from "../../support/trust.ts";

const image = goldenImage("ext-basic.v1").bytes;
const other = goldenImage("ext-1-byte.v1").bytes;
const times = {
  version: 7,
  created: new Date("2026-09-01T00:00:00Z"),
  expires: new Date("2027-09-01T00:00:00Z"),
};
const sign = (bytes = image, key = alice, as = name) =>
  signImage(bytes, { name: as, key, ...times });
let signed: SignedImage;
beforeAll(() => {
  signed = sign();
});

function verify(bytes: Uint8Array, bundles: Uint8Array[], keys = keyring, as = name) {
  return verifyImageFile({ bytes, bundles, trust: keys, name: as, now });
}

/** The error that verifying gives. */
function refused(bytes: Uint8Array, bundles: Uint8Array[], keys = keyring): TrustError {
  try {
    verify(bytes, bundles, keys);
  } catch (error) {
    if (error instanceof TrustError) return error;
    throw error;
  }
  throw new Error("accepted");
}

test("a signed image is verified", () => {
  const verified = verify(image, [signed.bundle]);
  expect(verified).toBeInstanceOf(VerifiedImage);
  expect(verified.keyId).toBe(alice.publicKey.id);
  expect(verified.nameChecked).toBe(true);
  expect(verified.statement).toEqual(signed.statement);
  expect(verified.bytes).toEqual(image);
  expect(verified.image.root.mode & 0o170000).toBe(0o040000);
  expect(verified.statement.objects).toEqual({ count: 1, bytes: 12345 });
});

test("without a name asked for, the result says that no name was checked", () => {
  const bundles = [signed.bundle];
  const verified = verifyImageFile({ bytes: image, bundles, trust: keyring, name: ANY_NAME, now });
  expect(verified.nameChecked).toBe(false);
});

test("the same input gives the same bundle", () => {
  expect(sign().bundle).toEqual(signed.bundle);
});

test("each refusal has a code and a message of its own", () => {
  const refusals = [
    refused(image, []),
    refused(image, [utf8("{}")]),
    refused(image, [sign(image, mallory).bundle]),
    refused(image, [sign(image, alice, "registry.example/app:1.1").bundle]),
    refused(image, [sign(other).bundle]),
    refused(image, [flip(signed.bundle, indexOf(signed.bundle, '"payload":"') * 8 + 11 * 8)]),
  ];
  expect(refusals.map(({ code }) => code)).toEqual([
    "NO_BUNDLE",
    "BAD_BUNDLE",
    "UNTRUSTED_KEY",
    "WRONG_NAME",
    "WRONG_IMAGE",
    "BAD_SIGNATURE",
  ]);
  expect(new Set(refusals.map(({ message }) => message)).size).toBe(refusals.length);
});

describe("the image's identity", () => {
  const facts = imageFacts(image);
  const about = (change: Partial<typeof facts>) => {
    const { bundle } = signFacts({ ...facts, ...change }, { name, key: alice, ...times });
    return refused(image, [bundle]);
  };

  test("is all of size, SHA-256 and fs-verity digest; in-toto asks for any one", () => {
    const strange = imageFacts(other);
    expect(about({ size: facts.size + 1 })).toMatchObject({ code: "WRONG_IMAGE" });
    expect(about({ size: facts.size + 1 }).message).toContain("size");
    expect(about({ sha256: strange.sha256 })).toMatchObject({ code: "WRONG_IMAGE" });
    expect(about({ sha256: strange.sha256 }).message).toContain("sha256");
    expect(about({ verityDigest: strange.verityDigest })).toMatchObject({ code: "WRONG_IMAGE" });
    expect(about({ verityDigest: strange.verityDigest }).message).toContain("fs-verity");
    const wide = parseVerityDigest("ab".repeat(64));
    expect(about({ verityDigest: wide })).toMatchObject({ code: "WRONG_IMAGE" });
  });

  test("may be a SHA-512 fs-verity digest", () => {
    const wide = imageFacts(image, "sha512");
    const { bundle } = signFacts(wide, { name, key: alice, ...times });
    expect(verify(image, [bundle]).digest).toHaveLength(128);
  });

  test("is not that of a shorter, longer or swapped file", () => {
    for (const bytes of [
      image.subarray(0, image.length - 1),
      image.subarray(0, 4096),
      new Uint8Array(0),
      new Uint8Array([...image, 0]),
      other,
    ]) {
      expect(refused(bytes, [signed.bundle]).code).toBe("WRONG_IMAGE");
    }
  });

  test("is not that of a file with any bit flipped", () => {
    const step = process.env["SLOW"] ? 1 : 521;
    for (let bit = 0; bit < image.length * 8; bit += step) {
      expect(refused(flip(image, bit), [signed.bundle]).code).toBe("WRONG_IMAGE");
    }
  });
});

describe("several bundles", () => {
  test("need one good bundle among them", () => {
    const bad = [sign(image, mallory).bundle, utf8("nonsense"), sign(other).bundle];
    const verified = verify(image, [...bad, signed.bundle]);
    expect(verified.keyId).toBe(alice.publicKey.id);
  });

  test("that all fail are listed with the reason of each", () => {
    const error = refused(image, [sign(image, mallory).bundle, utf8("x"), sign(other).bundle]);
    expect(error.code).toBe("NO_GOOD_BUNDLE");
    expect(error.message).toContain("bundle 1: signed by");
    expect(error.message).toContain("bundle 2: expected a value");
    expect(error.message).toContain("bundle 3: image: sha256");
    expect((error.cause as AggregateError).errors).toHaveLength(3);
  });

  test("of other names are no reason, however many they are", () => {
    const others = Array.from({ length: 20 }, (_, i) => sign(image, alice, `app:${i}`).bundle);
    const late = { ...times, expires: new Date("2026-09-30T00:00:00Z") };
    const expired = signImage(image, { name, key: alice, ...late }).bundle;
    const bundles = [...others, expired];
    for (const order of [bundles, bundles.toReversed()]) {
      const error = refused(image, order);
      expect(error.code).toBe("EXPIRED");
      expect(error.message).toBe(
        "statement: expired 2026-09-30T00:00:00Z, now is 2026-10-01T00:00:00Z",
      );
      expect(error.hint).toBe("ask the signer for a new signature");
    }
    const two = refused(image, [...others, expired, sign(image, mallory).bundle]);
    expect(two.message).toMatch(/^image: none of 2 bundles is good: [^;]*expired[^;]*; [^;]*$/);
  });

  test("of other names only are told together, after a stranger's for this name", () => {
    const others = Array.from({ length: 9 }, (_, i) => sign(image, alice, `app:${i}`).bundle);
    const error = refused(image, others);
    expect(error.code).toBe("WRONG_NAME");
    expect(error.message).toContain(`expected the name "${name}", signed as "app:0", "app:1"`);
    expect(error.message).toMatch(/"app:7", and 1 more$/);
    const stranger = refused(image, [...others, sign(image, mallory).bundle]);
    expect(stranger.code).toBe("UNTRUSTED_KEY");
    expect(stranger.message).toMatch(/^bundle 10: signed by /);
  });

  test("that fail alike keep the code", () => {
    const { bundle } = sign(image, mallory);
    expect(refused(image, [bundle, bundle]).code).toBe("UNTRUSTED_KEY");
  });
});

test("an envelope with several signatures is read as well", () => {
  const payload = formatStatement(signed.statement);
  const file = formatEnvelope(envelopeOf(payload, [testKey(9), alice]));
  const verified = verify(image, [file]);
  expect(verified.keyIds).toEqual([alice.publicKey.id]);
  expect(verified.unverified).toEqual([testKey(9).publicKey.id]);
  const both = new Keyring([testKey(9).publicKey, alice.publicKey]);
  expect(verify(image, [file], both).keyIds).toHaveLength(2);
});

test("a signed file that is not a valid image is refused with the rule it breaks", () => {
  const broken = new Uint8Array(4096).fill(1);
  const facts = { ...imageFacts(image), size: broken.length };
  const identity = factsOf(broken);
  const { bundle } = signFacts({ ...facts, ...identity }, { name, key: alice, ...times });
  expect(() => verify(broken, [bundle])).toThrow(FormatError);
});

test("the signer signs no file that a verifier would refuse", () => {
  expect(() => sign(new Uint8Array(4096))).toThrow(FormatError);
  expect(refusal(() => sign(image, alice, "two words"))).toBe("BAD_STATEMENT");
  expect(refusal(() => sign(image, alice, ""))).toBe("BAD_STATEMENT");
});

/** The digests alone, of bytes that need not be an image. */
function factsOf(bytes: Uint8Array) {
  const error = refused(bytes, [
    signFacts({ ...imageFacts(image), size: bytes.length }, { name, key: alice, ...times }).bundle,
  ]);
  const sha256 = /got ([0-9a-f]{64})/.exec(error.message)![1]!;
  const { bundle } = signFacts(
    { ...imageFacts(image), size: bytes.length, sha256 },
    { name, key: alice, ...times },
  );
  const verity = /got ([0-9a-f]{64})/.exec(refused(bytes, [bundle]).message)![1]!;
  return { sha256, verityDigest: parseVerityDigest(verity) };
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

function indexOf(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes).indexOf(text);
}
