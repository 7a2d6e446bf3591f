/** The trust policy: its file, its patterns, and what the verifier makes of it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TrustError } from "../../../src/errors.ts";
import { formatDuration, parseDuration } from "../../../src/trust/duration.ts";
import { NamePattern } from "../../../src/trust/name-pattern.ts";
import type { TrustPolicy } from "../../../src/trust/policy.ts";
import { formatPolicy, parsePolicy } from "../../../src/trust/policy-file.ts";
import { PrivateKey } from "../../../src/trust/private-key.ts";
import { ANY_NAME, verifyBundles } from "../../../src/trust/verify-bundles.ts";
import { formatEnvelope } from "../../../src/trust/bundle.ts";
import {
  alice,
  bundleOf,
  bundleWith,
  envelopeOf,
  mallory,
  name,
  now,
  plainPolicy,
  plainStatement,
  policyWith,
  refusal,
  testKey,
  utf8,
  verifyBundle,
} from "../../support/trust.ts";

const bob = testKey(3);
const payload = JSON.stringify(plainStatement());
const verdict = (policy: TrustPolicy, files: Uint8Array[], as: string | typeof ANY_NAME = name) => {
  const { accepted, refused } = verifyBundles(files, policy, { name: as, now });
  return accepted.length > 0 ? "accepted" : refused.map(({ error }) => error.code).join();
};
const parse = (change: (policy: any) => void) => refusal(() => policyWith(change));

describe("patterns of names", () => {
  const matches = (pattern: string, text: string) => new NamePattern(pattern).matches(text);

  test.each([
    ["registry.example/app:1.0", "registry.example/app:1.0", true],
    ["registry.example/app:1.0", "registry.example/app:1.00", false],
    ["registry.example/app:*", "registry.example/app:1.0", true],
    ["registry.example/app:*", "registry.example/app:", true],
    ["registry.example/*", "registry.example/team/app", false],
    ["registry.example/**", "registry.example/team/app:1", true],
    ["registry.example/**", "registry.example.evil/app", false],
    ["*", "app", true],
    ["*", "registry.example/app", false],
    ["**", "registry.example/app", true],
    ["**/app:*", "registry.example/team/app:2", true],
    ["**/app:*", "app:2", false],
    ["a*b*c", "abbbc", true],
    ["a*b*c", "abbb", false],
    ["a.c", "abc", false],
  ])("%s and %s: %s", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  test("agree with a regular expression about any pattern and name", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "/", "*"), maxLength: 8 });
    fc.assert(
      fc.property(letters, letters, (pattern, text) => {
        fc.pre(pattern !== "" && !pattern.includes("***") && !text.includes("*"));
        const source = pattern.replace(/\*\*|\*/g, (star) => (star === "**" ? "[^]*" : "[^/]*"));
        expect(matches(pattern, text)).toBe(new RegExp(`^${source}$`).test(text));
      }),
    );
  });

  test("overlap exactly when one name matches both", () => {
    const letters = fc.string({
      unit: fc.constantFrom("a", "b", "/", "*"),
      minLength: 1,
      maxLength: 4,
    });
    const names = [""];
    // The shortest name that two such patterns share has at most one character for each of theirs.
    for (const name of names) {
      if (name.length < 6) names.push(...["a", "b", "/"].map((char) => name + char));
    }
    fc.assert(
      fc.property(letters, letters, (left, right) => {
        fc.pre(!left.includes("***") && !right.includes("***"));
        const [a, b] = [new NamePattern(left), new NamePattern(right)];
        expect(a.overlaps(b)).toBe(names.some((name) => a.matches(name) && b.matches(name)));
        expect(b.overlaps(a)).toBe(a.overlaps(b));
      }),
    );
  });

  test("are compared in little time, however many stars they have", () => {
    const [a, b] = [new NamePattern("*a".repeat(250)), new NamePattern("*b".repeat(250))];
    expect(a.overlaps(b)).toBe(false);
  });

  test("are matched in little time, however many stars they have", () => {
    expect(matches("*a".repeat(250), "a".repeat(500))).toBe(true);
    expect(matches("**a".repeat(170), "a".repeat(511) + "b")).toBe(false);
  });

  test.each(["", "a b", "app:?", "app[12]", "{a,b}", "a***", "ä", "!a", "^a$", "x".repeat(513)])(
    "that cannot mean what they look like are refused: %j",
    (pattern) => {
      expect(refusal(() => new NamePattern(pattern))).toBe("BAD_POLICY");
    },
  );
});

test("lengths of time are read as they are written", () => {
  expect(["90m", "36h", "90d", "2w", "1y"].map(parseDuration)).toEqual([
    5400, 129_600, 7_776_000, 1_209_600, 31_536_000,
  ]);
  for (const text of ["", "90", "d", "-1d", "1.5h", "01d", "1 d", "1D"]) {
    expect(parseDuration(text)).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000_000 }), (minutes) => {
      expect(parseDuration(formatDuration(minutes * 60))).toBe(minutes * 60);
    }),
  );
});

describe("the file", () => {
  test("is parsed into the content that it was formatted from", () => {
    const policy = policyWith(() => {});
    expect(policy.content).toMatchObject({ name: "fleet", version: 1, epoch: 0, threshold: 1 });
    expect(parsePolicy(formatPolicy(policy.content!)).content).toEqual(policy.content);
    const full = policyWith((p) => {
      p.comment = "ours";
      p.expires = "2027-01-01T00:00:00Z";
      p.epoch = 3;
      p.maxAge = "90d";
      p.maxValidity = "1y";
      p.threshold = 2;
      p.thresholds = [{ names: "**/prod/*", threshold: 2 }];
      p.keys[0].notBefore = "2026-01-01T00:00:00Z";
      p.keys[0].comment = "build server";
      p.revoked = [
        { key: mallory.publicKey.id, reason: "gone", since: "2026-01-01T00:00:00Z" },
        { digest: "ab".repeat(32), reason: "" },
      ];
    });
    expect(parsePolicy(formatPolicy(full.content!)).content).toEqual(full.content);
  });

  test.each<[string, (policy: any) => void]>([
    ["another type", (p) => (p.type = "https://sealfs.dev/policy/v2")],
    ["no type", (p) => delete p.type],
    ["an unknown field", (p) => (p.require = ["two-person-rule"])],
    ["an unknown field of a key", (p) => (p.keys[0].hosts = ["a"])],
    [
      "an unknown field of a threshold",
      (p) => (p.thresholds = [{ names: "*", threshold: 1, x: 1 }]),
    ],
    ["an unknown field of policyKeys", (p) => (p.policyKeys.x = 1)],
    ["an unknown field of a revocation", (p) => (p.revoked = [{ digest: "ab".repeat(32), x: 1 }])],
    ["no keys", (p) => (p.keys = [])],
    ["the same key twice", (p) => p.keys.push(p.keys[0])],
    [
      "the same key twice, written otherwise",
      (p) => p.keys.push({ pem: alice.publicKey.toSsh(), names: [] }),
    ],
    ["129 keys", (p) => (p.keys = Array.from({ length: 129 }, (_, i) => key(testKey(i))))],
    ["a private key", (p) => (p.keys[0].pem = alice.toPem())],
    ["a key of small order", (p) => (p.keys[0].pem = smallOrderPem)],
    ["an id of another key", (p) => (p.keys[0].id = mallory.publicKey.id)],
    ["a key without names", (p) => delete p.keys[0].names],
    ["a malformed pattern", (p) => (p.keys[0].names = ["app?"])],
    [
      "a key that is never valid",
      (p) => Object.assign(p.keys[0], { notBefore: time, notAfter: time }),
    ],
    ["a time with an offset", (p) => (p.keys[0].notAfter = "2027-01-01T00:00:00+01:00")],
    ["threshold 0", (p) => (p.threshold = 0)],
    ["a negative threshold", (p) => (p.threshold = -1)],
    ["a threshold as text", (p) => (p.threshold = "1")],
    ["a threshold with a fraction", (p) => (p.threshold = 1.5)],
    ["a threshold over the number of keys", (p) => (p.threshold = 3)],
    ["threshold 0 of a pattern", (p) => (p.thresholds = [{ names: "*", threshold: 0 }])],
    ["a pattern's threshold over the keys", (p) => (p.thresholds = [{ names: "*", threshold: 3 }])],
    ["policyKeys with threshold 0", (p) => (p.policyKeys.threshold = 0)],
    ["policyKeys with a threshold over their number", (p) => (p.policyKeys.threshold = 3)],
    ["policyKeys that are no keys", (p) => (p.policyKeys.ids = [mallory.publicKey.id])],
    ["policyKeys with a key twice", (p) => (p.policyKeys.ids = [p.keys[0].id, p.keys[0].id])],
    ["no policyKeys", (p) => delete p.policyKeys],
    ["version 0", (p) => (p.version = 0)],
    ["version 2^53", (p) => (p.version = 2 ** 53)],
    ["a version as text", (p) => (p.version = "1")],
    ["a negative epoch", (p) => (p.epoch = -1)],
    ["no name", (p) => delete p.name],
    ["a name with a space", (p) => (p.name = "my fleet")],
    ["maxAge as a number", (p) => (p.maxAge = 90)],
    ["maxAge 0d", (p) => (p.maxAge = "0d")],
    ["a revocation of nothing", (p) => (p.revoked = [{ reason: "x" }])],
    [
      "a revocation of two things",
      (p) => (p.revoked = [{ key: alice.publicKey.id, digest: "ab".repeat(32) }]),
    ],
    ["a revoked key that is no id", (p) => (p.revoked = [{ key: "SHA256:x" }])],
    ["a revoked digest in upper case", (p) => (p.revoked = [{ digest: "AB".repeat(32) }])],
    [
      "a revocation twice",
      (p) => (p.revoked = [{ digest: "ab".repeat(32) }, { digest: "ab".repeat(32) }]),
    ],
  ])("is refused with %s", (_, change) => {
    expect(parse(change)).toBe("BAD_POLICY");
  });

  test.each([
    ["nothing", ""],
    ["an array", "[]"],
    [
      "a name given twice",
      JSON.stringify(plainPolicy()).replace('"version":1', '"version":1,"version":2'),
    ],
    [
      "__proto__",
      JSON.stringify(plainPolicy()).replace('"version":1', '"version":1,"__proto__":{}'),
    ],
    ["something behind", `${JSON.stringify(plainPolicy())}{}`],
    ["an exponent", JSON.stringify(plainPolicy()).replace('"version":1', '"version":1e0')],
  ])("is refused when it is %s", (_, text) => {
    expect(refusal(() => parsePolicy(utf8(text)))).toBe("BAD_POLICY");
  });

  test("reads any bytes or refuses them with its own error", () => {
    const text = JSON.stringify(plainPolicy());
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(8), fc.string({ maxLength: 8 }), (at, cut, put) => {
        const changed = text.slice(0, at) + put + text.slice(at + cut);
        expect(["accepted", "BAD_POLICY"]).toContain(refusal(() => parsePolicy(utf8(changed))));
      }),
    );
  });
});

describe("a key", () => {
  test("may sign names that one of its patterns matches, and no other", () => {
    const at = (names: string[]) =>
      verdict(
        policyWith((p) => (p.keys[0].names = names)),
        [bundleOf(payload)],
      );
    expect(at(["registry.example/app:*"])).toBe("accepted");
    expect(at(["other/**", "**"])).toBe("accepted");
    expect(at(["registry.example/*:2.*"])).toBe("NAME_NOT_ALLOWED");
    expect(at([])).toBe("NAME_NOT_ALLOWED");
  });

  test("is held to its names also when nobody asked for a name", () => {
    const policy = policyWith((p) => (p.keys[0].names = ["other/**"]));
    expect(verdict(policy, [bundleOf(payload)], ANY_NAME)).toBe("NAME_NOT_ALLOWED");
  });

  test("counts from notBefore on, until notAfter", () => {
    const with_ = (times: object) =>
      verdict(
        policyWith((p) => Object.assign(p.keys[0], times)),
        [bundleOf(payload)],
      );
    expect(with_({ notBefore: "2026-10-01T00:00:00Z" })).toBe("accepted");
    expect(with_({ notBefore: "2026-10-01T00:00:01Z" })).toBe("KEY_NOT_VALID");
    expect(with_({ notAfter: "2026-10-01T00:00:01Z" })).toBe("accepted");
    expect(with_({ notAfter: "2026-10-01T00:00:00Z" })).toBe("KEY_NOT_VALID");
  });

  test("that is revoked does not count, although its PEM is present and it signed earlier", () => {
    const policy = policyWith((p) => {
      p.revoked = [
        { key: alice.publicKey.id, reason: "laptop stolen", since: "2030-01-01T00:00:00Z" },
      ];
    });
    const { refused } = verifyBundles([bundleOf(payload)], policy, { name, now });
    expect(refused[0]!.error.code).toBe("REVOKED_KEY");
    expect(refused[0]!.error.message).toContain("laptop stolen");
    expect(verdict(policy, [bundleOf(payload, bob)])).toBe("accepted");
  });
});

describe("a threshold of two", () => {
  const two = (change: (policy: any) => void = () => {}) =>
    policyWith((p) => {
      p.threshold = 2;
      change(p);
    });

  test("is met by two keys in one envelope or in two bundles, and by nothing less", () => {
    const envelope = (...keys: PrivateKey[]) => formatEnvelope(envelopeOf(payload, keys));
    expect(verdict(two(), [envelope(alice, bob)])).toBe("accepted");
    expect(verdict(two(), [bundleOf(payload), bundleOf(payload, bob)])).toBe("accepted");
    expect(verdict(two(), [bundleOf(payload)])).toBe("BELOW_THRESHOLD");
    expect(verdict(two(), [envelope(alice, alice)])).toBe("BELOW_THRESHOLD");
    expect(verdict(two(), [envelope(alice, mallory)])).toBe("BELOW_THRESHOLD");
    expect(verdict(two(), [bundleOf(payload), bundleOf(payload)])).toBe("BELOW_THRESHOLD");
    expect(verdict(two(), [bundleOf(payload), bundleOf(payload, mallory)])).toContain(
      "BELOW_THRESHOLD",
    );
  });

  test("is not met by one key under another's id", () => {
    const { payloadType, payload: bytes, signatures } = envelopeOf(payload, [alice]);
    const [signature] = signatures;
    const disguised = { keyId: bob.publicKey.id, bytes: signature!.bytes };
    const file = formatEnvelope({
      payloadType,
      payload: bytes,
      signatures: [signature!, disguised],
    });
    expect(verdict(two(), [file])).toBe("BELOW_THRESHOLD");
  });

  test("is not met by statements that differ", () => {
    const later = bundleWith((s) => (s.predicate.expires = "2027-09-02T00:00:00Z"));
    expect(verdict(two(), [later, bundleOf(payload, bob)])).toBe("BELOW_THRESHOLD,BELOW_THRESHOLD");
  });

  test("counts no key that is revoked, out of time, or may not sign the name", () => {
    const both = [bundleOf(payload), bundleOf(payload, bob)];
    const revoked = two((p) => (p.revoked = [{ key: bob.publicKey.id }]));
    expect(verdict(revoked, both)).toContain("BELOW_THRESHOLD");
    const old = two((p) => (p.keys[1].notAfter = "2026-01-01T00:00:00Z"));
    expect(verdict(old, both)).toContain("BELOW_THRESHOLD");
    const elsewhere = two((p) => (p.keys[1].names = ["elsewhere/**"]));
    expect(verdict(elsewhere, both)).toBe("BELOW_THRESHOLD");
  });

  test("may be asked for some names only; the highest of all that match counts", () => {
    const prod = (patterns: [string, number][]) =>
      policyWith(
        (p) => (p.thresholds = patterns.map(([names, threshold]) => ({ names, threshold }))),
      );
    expect(verdict(prod([["other/**", 2]]), [bundleOf(payload)])).toBe("accepted");
    expect(verdict(prod([["registry.example/**", 2]]), [bundleOf(payload)])).toBe(
      "BELOW_THRESHOLD",
    );
    const either = [
      ["**", 1],
      ["registry.example/**", 2],
    ] as [string, number][];
    expect(verdict(prod(either), [bundleOf(payload)])).toBe("BELOW_THRESHOLD");
    expect(verdict(prod(either.toReversed()), [bundleOf(payload)])).toBe("BELOW_THRESHOLD");
    expect(verdict(prod(either), [bundleOf(payload)], ANY_NAME)).toBe("BELOW_THRESHOLD");
  });

  test("is reported with the pattern that demands it", () => {
    const policy = policyWith(
      (p) => (p.thresholds = [{ names: "registry.example/**", threshold: 2 }]),
    );
    const file = formatEnvelope(envelopeOf(payload, [bob, mallory, alice]));
    const verified = verifyBundle(file, policy, { name, now });
    expect(verified.threshold).toEqual({ needed: 2, pattern: "registry.example/**" });
    expect(verified.keyIds).toEqual([alice.publicKey.id, bob.publicKey.id]);
    expect(verified.unverified).toEqual([mallory.publicKey.id]);
  });
});

describe("signatures", () => {
  const keys = [alice, bob, mallory, testKey(4), testKey(5)];
  const policy = policyWith((p) => {
    p.keys = [alice, bob, testKey(4)].map(key);
    p.threshold = 2;
  });
  const trusted = new Set([alice, bob, testKey(4)].map(({ publicKey }) => publicKey.id));

  test("in any order, any number of times and any number of files give the same verdict", () => {
    const files = fc.array(fc.array(fc.nat(keys.length - 1), { minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(files, (chosen) => {
        const envelopes = chosen.map((some) =>
          formatEnvelope(
            envelopeOf(
              payload,
              some.map((i) => keys[i]!),
            ),
          ),
        );
        const signers = new Set(chosen.flat().map((i) => keys[i]!.publicKey.id));
        const counted = [...signers].filter((id) => trusted.has(id)).length;
        const result = verdict(policy, envelopes);
        expect(result === "accepted").toBe(counted >= 2);
      }),
      { numRuns: process.env["SLOW"] ? 200 : 25 },
    );
  });
});

describe("times of a policy", () => {
  test("maxAge refuses what was created longer ago, though it has not expired", () => {
    // Created 30 days before now.
    expect(
      verdict(
        policyWith((p) => (p.maxAge = "30d")),
        [bundleOf(payload)],
      ),
    ).toBe("accepted");
    expect(
      verdict(
        policyWith((p) => (p.maxAge = "719h")),
        [bundleOf(payload)],
      ),
    ).toBe("TOO_OLD");
  });

  test("maxValidity refuses what was made to hold longer", () => {
    const at = (text: string) =>
      verdict(
        policyWith((p) => (p.maxValidity = text)),
        [bundleOf(payload)],
      );
    expect(at("365d")).toBe("accepted");
    expect(at("364d")).toBe("BAD_VALIDITY");
  });
});

test("a revoked image is refused by either of its digests", () => {
  const at = (digest: string) =>
    verdict(
      policyWith((p) => (p.revoked = [{ digest, reason: "CVE-2026-1" }])),
      [bundleOf(payload)],
    );
  expect(at("a".repeat(64))).toBe("REVOKED_IMAGE");
  expect(at("b".repeat(64))).toBe("REVOKED_IMAGE");
  expect(at("c".repeat(64))).toBe("accepted");
});

test("any bytes give a verdict, and no error but our own", () => {
  const good = new TextDecoder().decode(bundleOf(payload));
  const policy = policyWith((p) => (p.thresholds = [{ names: "**", threshold: 2 }]));
  const mutated = fc
    .tuple(fc.nat(good.length), fc.nat(20), fc.string({ maxLength: 20 }))
    .map(([at, cut, put]) => utf8(good.slice(0, at) + put + good.slice(at + cut)));
  const file = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated);
  fc.assert(
    fc.property(fc.array(file, { maxLength: 4 }), (files) => {
      const { accepted, refused } = verifyBundles(files, policy, { name, now });
      expect(accepted).toEqual([]);
      expect(refused.every(({ error }) => error instanceof TrustError)).toBe(true);
    }),
    { numRuns: process.env["SLOW"] ? 2000 : 100 },
  );
});

test("the highest version is the first of several good statements", () => {
  const old = bundleWith((s) => (s.predicate.version = 6));
  const { accepted } = verifyBundles(
    [old, bundleOf(payload)],
    policyWith(() => {}),
    { name, now },
  );
  expect(accepted.map(({ statement }) => statement.version)).toEqual([7, 6]);
});

test("many signatures by unknown keys do not keep a good bundle from being found", () => {
  const strangers = Array.from({ length: 64 }, (_, i) => ({
    keyId: `SHA256:${i}`,
    bytes: new Uint8Array(64).fill(i),
  }));
  const { payloadType, payload: bytes } = envelopeOf(payload);
  const junk = formatEnvelope({ payloadType, payload: bytes, signatures: strangers });
  const many = policyWith(
    (p) =>
      (p.keys = [alice, bob, ...Array.from({ length: 60 }, (_, i) => testKey(i + 10))].map(key)),
  );
  const files = [junk, junk, junk, bundleOf(payload)];
  expect(verdict(many, files)).toBe("accepted");
});

const time = "2026-01-01T00:00:00Z";
const smallOrderPem =
  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
function key(private_: PrivateKey) {
  return { id: private_.publicKey.id, pem: private_.publicKey.toPem(), names: ["**"] };
}
