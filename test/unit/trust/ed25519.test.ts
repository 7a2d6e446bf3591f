/** Which signatures count, and which keys may be trusted at all. */
import { createHash, generateKeyPairSync, sign as nodeSign } from "node:crypto";
import { readFileSync } from "node:fs";
import { Point, verify } from "@noble/ed25519";
import { describe, expect, test, vi } from "vitest";
import { keyDefect } from "../../../src/trust/ed25519.ts";
import { PrivateKey } from "../../../src/trust/private-key.ts";
import { PublicKey } from "../../../src/trust/public-key.ts";
import { alice, hex, refusal, utf8 } from "../../support/trust.ts";

const readVectors = (file: string) =>
  JSON.parse(readFileSync(new URL(`../../vectors/trust/${file}`, import.meta.url), "utf8"));

/** Our whole judgement: the key is loaded, then the signature is checked. */
function accepts(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return keyDefect(key) === undefined && new PublicKey(key).verifies(message, signature);
}

/** The message of RFC 8032's TEST 1024 (1023 bytes), which Wycheproof has as case 83. */
const longMessage: string = readVectors("wycheproof-ed25519.json")
  .flatMap(({ tests }: { tests: [number, string][] }) => tests)
  .find(([id]: [number, string]) => id === 83)[1];

// RFC 8032, section 7.1: tests 1, 2, 3, 1024 and SHA(abc).
const rfc8032: readonly (readonly [string, string, string, string])[] = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
  [
    "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
    "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    longMessage,
    "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
  ],
  [
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    createHash("sha512").update("abc").digest("hex"),
    "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  ],
];

test.each(rfc8032)("signs and accepts RFC 8032 section 7.1: seed %s", (seed, pub, message, sig) => {
  const key = new PrivateKey(hex(seed));
  expect(Buffer.from(key.publicKey.bytes).toString("hex")).toBe(pub);
  expect(Buffer.from(key.sign(hex(message))).toString("hex")).toBe(sig);
  expect(accepts(key.publicKey.bytes, hex(message), hex(sig))).toBe(true);
});

test("agrees with all of Wycheproof", () => {
  const mismatches: number[] = [];
  let count = 0;
  for (const { key, tests } of readVectors("wycheproof-ed25519.json")) {
    for (const [id, message, signature, valid] of tests) {
      count++;
      if (accepts(hex(key), hex(message), hex(signature)) !== valid) mismatches.push(id);
    }
  }
  expect({ count, mismatches }).toEqual({ count: 150, mismatches: [] });
});

test("accepts none of the twelve cases about which verifiers disagree", () => {
  const accepted = readVectors("speccheck.json").map((v: Record<string, string>) =>
    accepts(hex(v["key"]!), hex(v["message"]!), hex(v["signature"]!)),
  );
  expect(accepted).toEqual(Array.from({ length: 12 }, () => false));
});

test("accepts only the one of the 914 CCTV vectors about which all verifiers agree", () => {
  const accepted: [number, string][] = [];
  const tried = new Set<number>();
  for (const { key, tests } of readVectors("cctv-ed25519.json")) {
    for (const [number, message, signature, flags] of tests) {
      tried.add(number);
      if (accepts(hex(key), utf8(message), hex(signature))) accepted.push([number, flags]);
    }
  }
  expect(tried.size).toBe(914);
  expect(accepted).toEqual([[305, ""]]);
});

// The 14 encodings of the 8 points of small order: canonical, then not.
const ff = (count: number) => "ff".repeat(count);
const zero = (count: number) => "00".repeat(count);
const smallOrder = [
  `01${zero(31)}`,
  `ec${ff(30)}7f`,
  zero(32),
  `${zero(31)}80`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  `01${zero(30)}80`,
  `ec${ff(31)}`,
  `ee${ff(30)}7f`,
  `ee${ff(31)}`,
  `ed${ff(30)}7f`,
  `ed${ff(31)}`,
].map(hex);

const ORDER = Point.CURVE().n;
const little = (bytes: Uint8Array) =>
  BigInt(`0x${Buffer.from(bytes.toReversed()).toString("hex") || "0"}`);
const encodeScalar = (value: bigint) => hex(value.toString(16).padStart(64, "0")).toReversed();
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe("mixtures of a good point with points of small order", () => {
  // For every way to write A and R there is an S that the cofactored equation of ZIP 215 accepts.
  const message = utf8("edge");
  const [a, r] = [0x1234567890abcdefn, 0xfedcba0987654321n];
  const torsion = smallOrder.slice(1, 8).map((bytes) => Point.fromBytes(bytes, true));
  const variants = (secret: bigint) => {
    const good = Point.BASE.multiply(secret);
    return [
      { secret, bytes: good.toBytes() as Uint8Array },
      ...torsion.map((t) => ({ secret, bytes: good.add(t).toBytes() as Uint8Array })),
      ...smallOrder.map((bytes) => ({ secret: 0n, bytes })),
    ];
  };
  const signed = (key: { secret: bigint; bytes: Uint8Array }, nonce: typeof key) => {
    const hash = createHash("sha512").update(nonce.bytes).update(key.bytes).update(message);
    const s = (nonce.secret + little(hash.digest()) * key.secret) % ORDER;
    return join(nonce.bytes, encodeScalar(s));
  };

  test("of all keys only the good one is loaded", () => {
    expect(variants(a).map(({ bytes }) => keyDefect(bytes) === undefined)).toEqual([
      true,
      ...Array.from({ length: 21 }, () => false),
    ]);
  });

  test("of all signatures by it only the unmixed one counts", () => {
    const [key] = variants(a);
    const results = variants(r).map((nonce) => {
      const signature = signed(key!, nonce);
      expect(verify(signature, message, key!.bytes, { zip215: true })).toBe(true);
      return accepts(key!.bytes, message, signature);
    });
    expect(results).toEqual([true, ...Array.from({ length: 21 }, () => false)]);
  });

  test("the keys for which anyone can sign are refused by their encoding", () => {
    // Identity as key and as R, S zero: OpenSSL and noble's default accept it over any message.
    const forged = join(smallOrder[0]!, new Uint8Array(32));
    expect(verify(forged, message, smallOrder[0]!, { zip215: true })).toBe(true);
    expect(accepts(smallOrder[0]!, message, forged)).toBe(false);
    for (const key of smallOrder) expect(refusal(() => new PublicKey(key))).toBe("BAD_KEY");
  });
});

test("refuses S plus the order of the group, which is the same signature written otherwise", () => {
  const message = utf8("message");
  const signature = alice.sign(message);
  const s = little(signature.subarray(32)) + ORDER;
  const malleated = join(signature.subarray(0, 32), encodeScalar(s));
  expect(alice.publicKey.verifies(message, signature)).toBe(true);
  expect(alice.publicKey.verifies(message, malleated)).toBe(false);
});

test("a signature of the wrong length is refused, without an error", () => {
  const signature = alice.sign(utf8("message"));
  for (const length of [0, 1, 32, 63]) {
    expect(alice.publicKey.verifies(utf8("message"), signature.subarray(0, length))).toBe(false);
  }
  const longer = join(signature, Uint8Array.of(0));
  expect(alice.publicKey.verifies(utf8("message"), longer)).toBe(false);
});

test("refuses an Ed25519ph signature of the same message", () => {
  // RFC 8032, section 5.1.6 with dom2(1, ""): the only difference is what is hashed.
  const message = utf8("message");
  const dom2 = join(utf8("SigEd25519 no Ed25519 collisions"), Uint8Array.of(1, 0));
  const sha512 = (...parts: Uint8Array[]) =>
    new Uint8Array(createHash("sha512").update(Buffer.concat(parts)).digest());
  const seed = new Uint8Array(32).fill(1);
  const expanded = sha512(seed);
  const scalarBytes = expanded.slice(0, 32);
  const scalar = (little(scalarBytes) & ((1n << 254n) - 8n)) | (1n << 254n);
  const prehash = sha512(message);
  const sign = (...prefix: Uint8Array[]) => {
    const body = prefix.length > 0 ? prehash : message;
    const r = little(sha512(...prefix, expanded.subarray(32), body)) % ORDER;
    const point = Point.BASE.multiply(r).toBytes();
    const k = little(sha512(...prefix, point, alice.publicKey.bytes, body));
    return join(point, encodeScalar((r + k * scalar) % ORDER));
  };
  expect(alice.publicKey.verifies(message, sign())).toBe(true);
  expect(alice.publicKey.verifies(message, sign(dom2))).toBe(false);
});

test("decides without node:crypto as well, as in a browser", () => {
  const message = utf8("message");
  const signature = alice.sign(message);
  vi.stubGlobal("process", undefined);
  try {
    expect(alice.publicKey.verifies(message, signature)).toBe(true);
    expect(alice.publicKey.verifies(utf8("another"), signature)).toBe(false);
    expect(alice.publicKey.verifies(message, signature.subarray(1))).toBe(false);
    const accepted = readVectors("speccheck.json").filter((v: Record<string, string>) =>
      accepts(hex(v["key"]!), hex(v["message"]!), hex(v["signature"]!)),
    );
    expect(accepted).toEqual([]);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("accepts what OpenSSL signs, and refuses it with any bit changed", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const der = publicKey.export({ format: "der", type: "spki" });
  const key = new PublicKey(new Uint8Array(der.subarray(12)));
  const message = utf8("message");
  const signature = new Uint8Array(nodeSign(null, message, privateKey));
  expect(key.verifies(message, signature)).toBe(true);
  for (let bit = 0; bit < 512; bit++) {
    const changed = signature.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(key.verifies(message, changed)).toBe(false);
  }
});
