/**
 * Hostile envelopes, keys, statements and policies, by group: each is refused with its code, or
 * accepted where that is right, by the whole verifier, from files to a bootstrap.
 *
 * Spec: docs/hostile-inputs.md, "B. Envelopes, keys, policies".
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Point } from "@noble/ed25519";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { openVerified } from "../../../src/verify/locate.ts";
import { openTrust } from "../../../src/policy/open-trust.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { TrustState } from "../../../src/verify/trust-state.ts";
import { verifyImageFile } from "../../../src/verify/verified-image.ts";
import { limits } from "../../../src/limits.ts";
import { formatBundle, formatEnvelope, parseBundle } from "../../../src/trust/bundle.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import { parsePolicy } from "../../../src/trust/policy-file.ts";
import type { Trust } from "../../../src/trust/policy.ts";
import { PublicKey } from "../../../src/trust/public-key.ts";
import { STATEMENT_PAYLOAD_TYPE } from "../../../src/trust/statement.ts";
import { goldenImage } from "../../support/golden-images.ts";
import {
  alice,
  envelopeOf,
  hex,
  keyring,
  mallory,
  name,
  now,
  plainPolicy,
  policyWith,
  refusal,
  testKey,
  utf8,
} from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

const image = goldenImage("ext-basic.v1").bytes;
const other = goldenImage("ext-1-byte.v1").bytes;
const times = {
  created: new Date("2026-09-01T00:00:00Z"),
  expires: new Date("2027-09-01T00:00:00Z"),
};
const signed = (bytes = image, key = alice, version = 7, as = name) =>
  signImage(bytes, { name: as, key, version, ...times }).bundle;
const good = new TextDecoder().decode(signed());
const statement = new TextDecoder().decode(parseBundle(utf8(good)).payload);

interface Asked {
  trust?: Trust;
  bytes?: Uint8Array;
  as?: string;
  at?: Date;
}
const verdict = (file: string | Uint8Array | Uint8Array[], asked: Asked = {}) => {
  const bundles = Array.isArray(file) ? file : [typeof file === "string" ? utf8(file) : file];
  const { trust = keyring, bytes = image, as = name, at = now } = asked;
  return refusal(() => verifyImageFile({ bytes, bundles, trust, name: as, now: at }));
};
/** A bundle that a test has changed after it was signed. */
const changed = (change: (envelope: any, bundle: any) => void) => {
  const bundle = JSON.parse(good);
  change(bundle.dsseEnvelope, bundle);
  return JSON.stringify(bundle);
};
/** A bundle over a statement that a test has changed before it was signed. */
const saying = (change: (statement: any) => void, keys = [alice]) => {
  const said = JSON.parse(statement);
  change(said);
  return formatEnvelope(envelopeOf(JSON.stringify(said), keys));
};
/** The same, changed in its text. */
const written = (from: string, to: string) => {
  expect(statement).toContain(from);
  return formatBundle(envelopeOf(statement.replace(from, to)));
};
const typed = (type: string) => formatBundle(envelopeOf(statement, [alice], type));
const key = (text: string) => refusal(() => new PublicKey(hex(text)));
const policy = (change: (policy: any) => void) => refusal(() => policyWith(change));
const policyText = (from: string, to: string) =>
  refusal(() => parsePolicy(utf8(JSON.stringify(plainPolicy()).replace(from, to))));
const sign64 = (change: (bytes: Buffer) => void) =>
  changed((envelope) => {
    const bytes = Buffer.from(envelope.signatures[0].sig, "base64");
    change(bytes);
    envelope.signatures[0].sig = bytes.toString("base64");
  });
const base64 = (change: (text: string) => string) =>
  changed((envelope) => (envelope.payload = change(envelope.payload)));
const order = (1n << 252n) + 27742317777372353535851937790883648493n;
const little = (bytes: Uint8Array) =>
  BigInt(`0x${Buffer.from(bytes.toReversed()).toString("hex")}`);
const two = policyWith((p) => (p.threshold = 2));
const bob = testKey(3);

type Row = [group: number, what: string, attempt: () => string, code: string];
const rows: Row[] = [
  [29, "no envelope", () => verdict([]), "NO_BUNDLE"],
  ...["", "{}", "[]", "null"].map((text): Row => [
    29,
    text || "an empty file",
    () => verdict(text),
    "BAD_BUNDLE",
  ]),
  [29, "1 MiB and a byte", () => verdict(good.padEnd(limits.envelopeBytes + 1)), "BAD_BUNDLE"],
  [30, "100 000 arrays", () => verdict("[".repeat(100_000)), "BAD_BUNDLE"],
  [30, "10 MB of text", () => verdict(`{"a":"${"x".repeat(10_000_000)}"}`), "BAD_BUNDLE"],
  [30, "no UTF-8", () => verdict(hex("7b22ff223a317d")), "BAD_BUNDLE"],
  [30, "a byte order mark", () => verdict(`\ufeff${good}`), "BAD_BUNDLE"],
  [30, "something behind", () => verdict(`${good}x`), "BAD_BUNDLE"],
  [30, "a comment", () => verdict(`//\n${good}`), "BAD_BUNDLE"],
  [
    31,
    "payload twice",
    () => verdict(good.replace('"payload":', '"payload":"e30=","payload":')),
    "BAD_BUNDLE",
  ],
  [
    31,
    "version twice",
    () => verdict(written('"version":7', '"version":9,"version":7')),
    "BAD_STATEMENT",
  ],
  [
    32,
    "__proto__",
    () => verdict(good.replace('"payload":', '"__proto__":{},"payload":')),
    "BAD_BUNDLE",
  ],
  [
    32,
    "constructor",
    () => verdict(written('"version":7', '"constructor":1,"version":7')),
    "BAD_STATEMENT",
  ],
  ...(
    [
      ["a star", (t: string) => `*${t}`],
      ["a space", (t: string) => `${t} `],
      ["a newline", (t: string) => `${t.slice(0, 76)}\n${t.slice(76)}`],
      ["padding too much", (t: string) => `${t}=`],
      ["both alphabets", (t: string) => `+/-_${t}`],
      [
        "a length of 1 modulo 4",
        (t: string) => t.replace(/=+$/, "").padEnd(4 * Math.ceil(t.length / 4) + 1, "A"),
      ],
    ] as const
  ).map(([what, change]): Row => [33, what, () => verdict(base64(change)), "BAD_ENCODING"]),
  [
    33,
    "bits left over",
    () =>
      verdict(changed((e) => (e.signatures[0].sig = e.signatures[0].sig.replace(/.==$/, "B==")))),
    "BAD_ENCODING",
  ],
  ...[
    "application/json",
    "application/vnd.in-toto+JSON",
    `${STATEMENT_PAYLOAD_TYPE} `,
    "x-custom/y",
  ].map((type): Row => [34, type, () => verdict(typed(type)), "BAD_PAYLOAD_TYPE"]),
  [
    34,
    "changed afterwards",
    () => verdict(changed((e) => (e.payloadType = "application/json"))),
    "BAD_SIGNATURE",
  ],
  ...(
    [
      ["a leading zero", `DSSEv1 028 ${STATEMENT_PAYLOAD_TYPE} ${statement.length} ${statement}`],
      [
        "a type that holds a length",
        `DSSEv1 34 ${STATEMENT_PAYLOAD_TYPE} 5 hello ${statement.length} ${statement}`,
      ],
      ["no encoding at all", statement],
    ] as const
  ).map(([what, message]): Row => [
    35,
    what,
    () => {
      const signatures = [{ keyId: alice.publicKey.id, bytes: alice.sign(utf8(message)) }];
      return verdict(
        formatBundle({ payloadType: STATEMENT_PAYLOAD_TYPE, payload: utf8(statement), signatures }),
      );
    },
    "BAD_SIGNATURE",
  ]),
  [
    35,
    "characters for bytes",
    () => {
      const text = statement.replace('"mode"', '"note":"\u00e9","mode"');
      const message = `DSSEv1 28 ${STATEMENT_PAYLOAD_TYPE} ${text.length} ${text}`;
      const signatures = [{ keyId: alice.publicKey.id, bytes: alice.sign(utf8(message)) }];
      return verdict(
        formatBundle({ payloadType: STATEMENT_PAYLOAD_TYPE, payload: utf8(text), signatures }),
      );
    },
    "BAD_SIGNATURE",
  ],
  ...[0, 63, 65].map((length): Row => [
    36,
    `${length} bytes`,
    () =>
      verdict(changed((e) => (e.signatures[0].sig = Buffer.alloc(length, 1).toString("base64")))),
    "BAD_ENCODING",
  ]),
  [
    37,
    "S plus the order",
    () =>
      verdict(
        sign64((bytes) => {
          const s = (little(bytes.subarray(32)) + order).toString(16).padStart(64, "0");
          bytes.set(Buffer.from(s, "hex").toReversed(), 32);
        }),
      ),
    "BAD_SIGNATURE",
  ],
  [38, "the identity", () => key(`01${"00".repeat(31)}`), "BAD_KEY"],
  [38, "order 2", () => key(`ec${"ff".repeat(30)}7f`), "BAD_KEY"],
  [
    38,
    "order 8",
    () => key("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "BAD_KEY",
  ],
  [
    38,
    "in a policy",
    () =>
      policy((p) => {
        const spki = Buffer.concat([hex("302a300506032b6570032100"), hex(`01${"00".repeat(31)}`)]);
        p.keys[0] = {
          names: ["**"],
          pem: `-----BEGIN PUBLIC KEY-----\n${spki.toString("base64")}\n-----END PUBLIC KEY-----\n`,
        };
      }),
    "BAD_POLICY",
  ],
  [39, "all zero", () => key("00".repeat(32)), "BAD_KEY"],
  [
    39,
    "a point with torsion",
    () => {
      const eighth = Point.fromBytes(
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
      );
      return key(Buffer.from(Point.BASE.add(eighth).toBytes()).toString("hex"));
    },
    "BAD_KEY",
  ],
  [39, "not canonical", () => key(`ee${"ff".repeat(30)}7f`), "BAD_KEY"],
  [39, "no point", () => key(`02${"00".repeat(31)}`), "BAD_KEY"],
  ...[`01${"00".repeat(31)}`, `ee${"ff".repeat(30)}7f`, "00".repeat(32)].map((r): Row => [
    40,
    `R ${r.slice(0, 4)}…`,
    () => verdict(sign64((bytes) => bytes.set(hex(r)))),
    "BAD_SIGNATURE",
  ]),
  [
    41,
    "the 914 vectors of CCTV",
    () => {
      const groups = JSON.parse(
        readFileSync(new URL("../../vectors/trust/cctv-ed25519.json", import.meta.url), "utf8"),
      );
      let accepted = 0;
      for (const { key: a, tests } of groups) {
        if (key(a) !== "accepted") continue;
        const loaded = new PublicKey(hex(a));
        for (const [, message, sig] of tests)
          if (loaded.verifies(utf8(message), hex(sig))) accepted++;
      }
      return String(accepted);
    },
    "1",
  ],
  [
    42,
    "Ed25519ph, by cosign 3",
    () => {
      const vector = JSON.parse(
        readFileSync(new URL("../../vectors/trust/cosign-ed25519ph.json", import.meta.url), "utf8"),
      );
      const bytes = Buffer.from(
        /-----\n(.*)\n-----/s.exec(vector.key)![1]!.replaceAll("\n", ""),
        "base64",
      );
      return verdict(vector.bundle, {
        trust: new Keyring([new PublicKey(Uint8Array.from(bytes.subarray(12)))]),
      });
    },
    "UNTRUSTED_KEY",
  ],
  [
    43,
    "the id of another key",
    () =>
      verdict(
        saying((s) => s),
        { trust: new Keyring([mallory.publicKey, alice.publicKey]) },
      ),
    "accepted",
  ],
  [
    43,
    "another's id, the right key",
    () =>
      verdict(
        JSON.stringify({
          ...JSON.parse(good).dsseEnvelope,
          signatures: JSON.parse(good).dsseEnvelope.signatures.map((s: any) => ({
            ...s,
            keyid: mallory.publicKey.id,
          })),
        }),
      ),
    "accepted",
  ],
  [
    43,
    "no id",
    () =>
      verdict(
        changed((e, b) => {
          e.signatures[0].keyid = "";
          b.verificationMaterial.publicKey.hint = "";
        }),
      ),
    "accepted",
  ],
  [
    43,
    "an id of 1 MB",
    () => verdict(changed((e) => (e.signatures[0].keyid = "x".repeat(1_000_000)))),
    "BAD_BUNDLE",
  ],
  [
    44,
    "one signature twice",
    () =>
      verdict(
        saying(() => {}, [alice, alice]),
        { trust: two },
      ),
    "BELOW_THRESHOLD",
  ],
  [44, "one bundle twice", () => verdict([signed(), signed()], { trust: two }), "BELOW_THRESHOLD"],
  [
    44,
    "one key under two ids",
    () => {
      const envelope = envelopeOf(statement);
      const [first] = envelope.signatures;
      return verdict(
        formatEnvelope({
          ...envelope,
          signatures: [first!, { ...first!, keyId: bob.publicKey.id }],
        }),
        { trust: two },
      );
    },
    "BELOW_THRESHOLD",
  ],
  [
    44,
    "two keys",
    () =>
      verdict(
        saying(() => {}, [alice, bob]),
        { trust: two },
      ),
    "accepted",
  ],
  ...[0, -1, "2", 1.5, 3].map((value): Row => [
    45,
    JSON.stringify(value),
    () => policy((p) => (p.threshold = value)),
    "BAD_POLICY",
  ]),
  ...[0, -1, "2"].map((value): Row => [
    45,
    `policyKeys ${JSON.stringify(value)}`,
    () => policy((p) => (p.policyKeys.threshold = value)),
    "BAD_POLICY",
  ]),
  [
    46,
    "10 000 signatures",
    () => {
      const envelope = envelopeOf(statement);
      const signatures = Array.from({ length: 10_000 }, () => ({
        keyid: "",
        sig: Buffer.from(envelope.signatures[0]!.bytes).toString("base64"),
      }));
      const text = JSON.stringify({ ...JSON.parse(good).dsseEnvelope, signatures });
      return verdict(text);
    },
    "BAD_BUNDLE",
  ],
  [
    46,
    "65 signatures",
    () =>
      verdict(
        saying(
          () => {},
          Array.from({ length: 65 }, () => alice),
        ),
      ),
    "BAD_ENCODING",
  ],
  [
    46,
    "64 signatures",
    () =>
      verdict(
        saying(
          () => {},
          Array.from({ length: 64 }, () => alice),
        ),
      ),
    "accepted",
  ],
  [47, "one good, one bad", () => verdict(saying(() => {}, [testKey(9), alice])), "accepted"],
  [
    48,
    "a key that may not sign the name",
    () => verdict(good, { trust: policyWith((p) => (p.keys[0].names = ["other/**"])) }),
    "NAME_NOT_ALLOWED",
  ],
  [49, "the envelope of another image", () => verdict(good, { bytes: other }), "WRONG_IMAGE"],
  [
    49,
    "of the same size",
    () => verdict(good, { bytes: image.with(image.length - 1, image.at(-1)! ^ 1) }),
    "WRONG_IMAGE",
  ],
  [50, "no subject", () => verdict(saying((s) => (s.subject = []))), "BAD_SUBJECT"],
  [50, "two subjects", () => verdict(saying((s) => s.subject.push(s.subject[0]))), "BAD_SUBJECT"],
  [
    50,
    "another name",
    () => verdict(signed(image, alice, 7, "registry.example/app:1.1")),
    "WRONG_NAME",
  ],
  [
    50,
    "the name in capitals",
    () => verdict(signed(image, alice, 7, name.toUpperCase())),
    "WRONG_NAME",
  ],
  ...[
    "registry.example/\u0430pp:1.0",
    "registry.example/a\u200bpp:1.0",
    "registry.example/\uff41pp:1.0",
    `${name}\n`,
    `${name}\u0000`,
    ` ${name}`,
  ].map((like): Row => [
    50,
    `the name as ${JSON.stringify(like)}`,
    () => verdict(saying((s) => (s.subject[0].name = like))),
    "BAD_STATEMENT",
  ]),
  [
    50,
    "a wrong fs-verity digest",
    () => verdict(saying((s) => (s.subject[0].digest["fsverity-sha256-12"] = "0".repeat(64)))),
    "WRONG_IMAGE",
  ],
  [
    50,
    "a wrong sha256",
    () => verdict(saying((s) => (s.subject[0].digest.sha256 = "0".repeat(64)))),
    "WRONG_IMAGE",
  ],
  [50, "a wrong size", () => verdict(saying((s) => s.predicate.size++)), "WRONG_IMAGE"],
  [
    51,
    "Statement/v0.1",
    () => verdict(saying((s) => (s._type = "https://in-toto.io/Statement/v0.1"))),
    "UNSUPPORTED_STATEMENT",
  ],
  [
    51,
    "another predicate",
    () => verdict(saying((s) => (s.predicateType += "x"))),
    "UNSUPPORTED_STATEMENT",
  ],
  [
    51,
    "format version 2",
    () => verdict(saying((s) => (s.predicate.formatVersion = 2))),
    "UNSUPPORTED_STATEMENT",
  ],
  [
    51,
    'format version "1"',
    () => verdict(saying((s) => (s.predicate.formatVersion = "1"))),
    "UNSUPPORTED_STATEMENT",
  ],
  [
    51,
    "format version 1.0e0",
    () => verdict(written('"formatVersion":1', '"formatVersion":1.0e0')),
    "BAD_STATEMENT",
  ],
  [
    52,
    "an unknown requirement",
    () => verdict(saying((s) => (s.predicate.requires = ["x"]))),
    "UNSUPPORTED_STATEMENT",
  ],
  [
    52,
    "an unknown ordinary field",
    () => verdict(saying((s) => (s.predicate.more = [1]))),
    "accepted",
  ],
  [53, "expired", () => verdict(good, { at: new Date("2028-01-01T00:00:00Z") }), "EXPIRED"],
  [53, "expires now", () => verdict(good, { at: times.expires }), "EXPIRED"],
  [53, "no expiry", () => verdict(saying((s) => delete s.predicate.expires)), "BAD_STATEMENT"],
  [
    53,
    "the year 9999",
    () => verdict(saying((s) => (s.predicate.expires = "9999-01-01T00:00:00Z"))),
    "BAD_VALIDITY",
  ],
  ...[
    "2027-09-01",
    "2027-09-01T00:00:00+02:00",
    "2026-12-31T23:59:60Z",
    "2027-09-01T00:00:00.0Z",
    "never",
    1819756800,
  ].map((time): Row => [
    53,
    String(time),
    () => verdict(saying((s) => (s.predicate.expires = time))),
    "BAD_STATEMENT",
  ]),
  [
    53,
    "created in 5 minutes",
    () => verdict(good, { at: new Date(times.created.getTime() - 300_000) }),
    "accepted",
  ],
  [
    53,
    "created later than that",
    () => verdict(good, { at: new Date(times.created.getTime() - 300_001) }),
    "NOT_YET_VALID",
  ],
  ...["9007199254740992", "9007199254740993", "1.5", "-1", '"7"'].map((text): Row => [
    56,
    text,
    () => verdict(written('"version":7', `"version":${text}`)),
    "BAD_STATEMENT",
  ]),
  [
    58,
    "a revoked key",
    () => verdict(good, { trust: policyWith((p) => (p.revoked = [{ key: alice.publicKey.id }])) }),
    "REVOKED_KEY",
  ],
  [
    58,
    "an expired key",
    () =>
      verdict(good, { trust: policyWith((p) => (p.keys[0].notAfter = "2026-09-30T00:00:00Z")) }),
    "KEY_NOT_VALID",
  ],
  [
    58,
    "a key not yet valid",
    () =>
      verdict(good, { trust: policyWith((p) => (p.keys[0].notBefore = "2026-10-02T00:00:00Z")) }),
    "KEY_NOT_VALID",
  ],
  [
    58,
    "a revoked image",
    () =>
      verdict(good, {
        trust: policyWith(
          (p) => (p.revoked = [{ digest: createHash("sha256").update(image).digest("hex") }]),
        ),
      }),
    "REVOKED_IMAGE",
  ],
  [
    58,
    "a field of tomorrow in a policy",
    () => policyText('"version":1', '"version":1,"witness":1'),
    "BAD_POLICY",
  ],
];

test.each(rows)("docs/hostile-inputs.md, %i: %s", (_group, _what, attempt, code) => {
  expect(attempt()).toBe(code);
});

describe("with a memory", () => {
  let folder: string;
  const at = (file: string) => join(folder, file);
  beforeEach(() => {
    folder = scratchFolder();
  });
  const take = (
    version: number,
    bytes = image,
    trust: Trust = keyring,
    state = new TrustState(at("state")),
  ) => {
    writeFileSync(at("app"), bytes);
    writeFileSync(at("app.bundle.json"), signed(bytes, alice, version));
    return refusal(() => openVerified(at("app"), {}, { trust, state, name, now }));
  };

  test("a lower version, and the same for another image (docs/hostile-inputs.md, 54, 55)", () => {
    expect(take(7)).toBe("accepted");
    expect(take(6, other)).toBe("ROLLBACK");
    expect(take(6)).toBe("accepted");
    expect(take(7, other)).toBe("EQUIVOCATION");
    expect(take(7)).toBe("accepted");
    expect(take(8, other)).toBe("accepted");
    expect(take(7)).toBe("ROLLBACK");
  });

  test("a thief's highest version is forgotten with the next epoch (docs/hostile-inputs.md, 57)", () => {
    const epoch = (value: number) => policyWith((p) => (p.epoch = value));
    expect(take(Number.MAX_SAFE_INTEGER, image, epoch(0))).toBe("accepted");
    expect(take(8, other, epoch(0))).toBe("ROLLBACK");
    expect(take(8, other, epoch(1))).toBe("accepted");
    expect(take(9, other, epoch(0))).toBe("ROLLBACK");
  });

  test("a policy from before a revocation (docs/hostile-inputs.md, 58)", () => {
    const write = (version: number, change: (policy: any) => void = () => {}) => {
      const content = plainPolicy();
      content.version = version;
      change(content);
      writeFileSync(at("policy"), JSON.stringify(content));
      const request = { key: [], keys: [], policy: at("policy"), state: at("state") };
      return refusal(() => openTrust(request, now));
    };
    expect(write(1)).toBe("accepted");
    expect(write(2, (p) => (p.revoked = [{ key: bob.publicKey.id }]))).toBe("accepted");
    expect(write(1)).toBe("POLICY_ROLLBACK");
  });

  test("a damaged memory, and one that cannot be kept (docs/hostile-inputs.md, 58)", () => {
    expect(take(7)).toBe("accepted");
    const [hash] = readdirSync(at("state/names"));
    const place = at(`state/names/${hash}`);
    for (const text of ["", "{", '{"formatVersion":1}']) {
      writeFileSync(`${place}/0.7`, text);
      expect(take(8), text).toBe("BAD_STATE");
      expect(readdirSync(place)).toEqual(["0.7"]);
    }
    rmSync(place, { recursive: true });
    mkdirSync(`${place}/0.7`, { recursive: true });
    expect(take(8)).toBe("BAD_STATE");
    writeFileSync(at("file"), "");
    expect(take(8, image, keyring, new TrustState(at("file")))).toBe("BAD_STATE");
  });
});

test("every group from 29 to 58 of docs/hostile-inputs.md has a test", () => {
  const inTable = rows.map(([group]) => group);
  const groups = new Set([...inTable, 54, 55, 57]);
  expect([...groups].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 29));
});

test("a flipped bit of any byte of a bundle beside its image is refused", () => {
  const file = utf8(good);
  const accepted: number[] = [];
  // Every bit with SLOW=1; else one of each byte, all eight in turn.
  const bits = process.env["SLOW"]
    ? Array.from({ length: file.length * 8 }, (_, bit) => bit)
    : Array.from(file, (_, at) => at * 8 + (at % 8));
  for (const bit of bits) {
    const flipped = file.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    if (verdict(flipped) === "accepted") accepted.push(bit);
  }
  expect(accepted).toEqual([]);
});

describe("any input", () => {
  const runs = { numRuns: process.env["SLOW"] ? 5_000 : 300 };

  test("as a bundle gives a verdict or one of our own errors", () => {
    const piece = fc.oneof(
      fc.constantFrom('"', "{", "}", "[", "]", ",", ":", "null", "1e99", "\\u0000", "==", "\ud800"),
      fc.string({ maxLength: 6 }),
    );
    const place = fc.nat(good.length);
    fc.assert(
      fc.property(fc.array(fc.tuple(place, fc.nat(12), piece), { maxLength: 4 }), (edits) => {
        let text = good;
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        try {
          verifyImageFile({ bytes: image, bundles: [utf8(text)], trust: keyring, name, now });
        } catch (error) {
          expect(error).toBeInstanceOf(SealfsError);
        }
      }),
      runs,
    );
  });

  test("as a statement under a good signature gives a verdict or one of our own errors", () => {
    fc.assert(
      fc.property(
        fc.nat(statement.length),
        fc.nat(20),
        fc.string({ maxLength: 8 }),
        (at, cut, put) => {
          const text = statement.slice(0, at) + put + statement.slice(at + cut);
          try {
            const bundles = [formatBundle(envelopeOf(text))];
            const { statement: got } = verifyImageFile({
              bytes: image,
              bundles,
              trust: keyring,
              name,
              now,
            });
            // What is accepted is about this image and this name.
            expect(got.name).toBe(name);
            expect(got.sha256).toBe(createHash("sha256").update(image).digest("hex"));
          } catch (error) {
            if (!(error instanceof SealfsError)) throw error;
          }
        },
      ),
      runs,
    );
  });

  test("fewer distinct keys than the threshold are too few, in any order and number", () => {
    const keys = [alice, bob, testKey(4), testKey(5)];
    const three = policyWith((p) => {
      p.keys = keys.map(({ publicKey }) => ({ pem: publicKey.toPem(), names: ["**"] }));
      p.policyKeys = { ids: [alice.publicKey.id], threshold: 1 };
      p.threshold = 3;
    });
    const bundle = fc.array(fc.constantFrom(...keys, mallory), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(bundle, { minLength: 1, maxLength: 4 }), (bundles) => {
        const distinct = new Set(bundles.flat().filter((each) => each !== mallory)).size;
        const files = bundles.map((signers) => formatEnvelope(envelopeOf(statement, signers)));
        expect(verdict(files, { trust: three }) === "accepted").toBe(distinct >= 3);
        expect(verdict([...files, ...files].toReversed(), { trust: three }) === "accepted").toBe(
          distinct >= 3,
        );
      }),
      { numRuns: process.env["SLOW"] ? 500 : 15 },
    );
  });
});
