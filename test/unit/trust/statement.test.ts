/**
 * Statements, hostile one by hostile one: steps 6 to 8.
 *
 * Spec: docs/statement.md, "The verifier's steps".
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Statement, formatStatement, parseStatement } from "../../../src/trust/statement.ts";
import { formatTime, parseTime } from "../../../src/trust/time.ts";
import { ANY_NAME } from "../../../src/trust/verify-bundles.ts";
import { parseVerityDigest } from "../../../src/verity/verity-digest.ts";
import {
  bundleOf,
  bundleWith,
  keyring,
  name,
  now,
  plainStatement,
  refusal,
  verifyBundle,
} from "../../support/trust.ts";

const verdict = (change: (statement: any) => void, at = now) =>
  refusal(() => verifyBundle(bundleWith(change), keyring, { name, now: at }));
const predicate = (fields: object) =>
  verdict((statement) => Object.assign(statement.predicate, fields));
/** A rightly signed statement with one piece of its text replaced. */
const rewritten = (from: string, to: string) => {
  const text = JSON.stringify(plainStatement());
  expect(text).toContain(from);
  const file = bundleOf(text.replace(from, to));
  return refusal(() => verifyBundle(file, keyring, { name, now }));
};

const sample: Statement = {
  name,
  sha256: "a".repeat(64),
  verityDigest: parseVerityDigest("b".repeat(64)),
  size: 8192,
  profile: "oci-v1",
  source: {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${"c".repeat(64)}`,
  },
  objects: { count: 3, bytes: 45678 },
  version: 7,
  created: new Date("2026-09-01T00:00:00Z"),
  expires: new Date("2027-09-01T00:00:00Z"),
};

test("reads back what it writes", () => {
  const variants: Statement[] = [
    sample,
    { ...sample, profile: undefined, source: undefined },
    { ...sample, verityDigest: parseVerityDigest("d".repeat(128)) },
    { ...sample, platform: { os: "linux", architecture: "arm", variant: "v7" } },
    { ...sample, platform: { os: "linux", architecture: "s390x", variant: undefined } },
  ];
  for (const statement of variants) {
    const { subjects, predicate: rest } = parseStatement(formatStatement(statement));
    expect({ ...subjects[0], ...rest }).toEqual(statement);
  }
});

test("writes the statement of the specification", () => {
  const written = JSON.parse(new TextDecoder().decode(formatStatement(sample)));
  expect(written).toEqual(plainStatement());
});

test("does not write what a verifier would refuse", () => {
  const wrong: Partial<Statement>[] = [
    { name: "" },
    { name: "with space" },
    { name: "x".repeat(513) },
    { sha256: "A".repeat(64) },
    { size: -1 },
    { version: 2 ** 53 },
    { version: 1.5 },
    { source: { mediaType: "x", digest: "md5:00" } },
  ];
  for (const fields of wrong) {
    expect(refusal(() => formatStatement({ ...sample, ...fields }))).toBe("BAD_STATEMENT");
  }
});

test.each<[string, (statement: any) => void]>([
  [
    "an older statement type, such as cosign writes",
    (s) => (s._type = "https://in-toto.io/Statement/v0.1"),
  ],
  ["no statement type", (s) => delete s._type],
  ["another predicate", (s) => (s.predicateType = "https://slsa.dev/provenance/v1")],
  ["a predicate type with a slash more", (s) => (s.predicateType += "/")],
  ["a later format", (s) => (s.predicate.formatVersion = 2)],
  ["a format version in quotes", (s) => (s.predicate.formatVersion = "1")],
  ["no format version", (s) => delete s.predicate.formatVersion],
  ["another mode", (s) => (s.predicate.mode = "squashfs")],
  ["an unknown requirement", (s) => (s.predicate.requires = ["x-encrypted"])],
])("refuses %s as unsupported", (_, change) => {
  expect(verdict(change)).toBe("UNSUPPORTED_STATEMENT");
});

test("a format version that is no plain integer is refused", () => {
  for (const text of ["1.0e0", "1.0", "1e0", "-1", "01", "+1"]) {
    expect(rewritten('"formatVersion":1', `"formatVersion":${text}`)).toBe("BAD_STATEMENT");
  }
});

test("unknown ordinary fields are accepted", () => {
  expect(verdict((s) => (s.predicate.more = { anything: ["1", 2, null] }))).toBe("accepted");
  expect(verdict((s) => (s.more = true))).toBe("accepted");
  expect(verdict((s) => (s.subject[0].digest.sha512 = "00"))).toBe("accepted");
});

test.each<[string, (statement: any) => void]>([
  ["no requires", (s) => delete s.predicate.requires],
  ["requires that is no list", (s) => (s.predicate.requires = {})],
  ["no size", (s) => delete s.predicate.size],
  ["no objects", (s) => delete s.predicate.objects],
  ["a negative count", (s) => (s.predicate.objects.count = -1)],
  ["a source without digest", (s) => delete s.predicate.source.digest],
  ["a source with a weak digest", (s) => (s.predicate.source.digest = "md5:00")],
  ["no predicate", (s) => delete s.predicate],
  ["subjects that are no list", (s) => (s.subject = s.subject[0])],
  ["no sha256", (s) => delete s.subject[0].digest.sha256],
  ["no fs-verity digest", (s) => delete s.subject[0].digest["fsverity-sha256-12"]],
  ["two fs-verity digests", (s) => (s.subject[0].digest["fsverity-sha512-12"] = "d".repeat(128))],
  ["a digest in upper case", (s) => (s.subject[0].digest.sha256 = "A".repeat(64))],
  ["a digest too short", (s) => (s.subject[0].digest["fsverity-sha256-12"] = "b".repeat(63))],
  [
    "a sha512 digest under sha256's name",
    (s) => (s.subject[0].digest["fsverity-sha256-12"] = "b".repeat(128)),
  ],
  ["a profile with an escape", (s) => (s.predicate.profile = "oci-v1\u001b[2K")],
  ["a profile of two lines", (s) => (s.predicate.profile = "oci-v1\nverified")],
  ["a media type with a space", (s) => (s.predicate.source.mediaType = "a b")],
  ["a name with a space", (s) => (s.subject[0].name = `${name} `)],
  ["a name outside ASCII", (s) => (s.subject[0].name = "registry.example/аpp:1.0")],
  ["no name", (s) => delete s.subject[0].name],
])("refuses %s as no statement", (_, change) => {
  expect(verdict(change)).toBe("BAD_STATEMENT");
});

test("refuses text that is no JSON, a name twice and __proto__ under a good signature", () => {
  expect(rewritten("{", "[")).toBe("BAD_STATEMENT");
  expect(rewritten('"version":7', '"version":6,"version":7')).toBe("BAD_STATEMENT");
  expect(rewritten('"version":7', '"__proto__":{},"version":7')).toBe("BAD_STATEMENT");
  expect(rewritten('"version":7', '"version":7,"constructor":{}')).toBe("BAD_STATEMENT");
});

test.each(["9007199254740992", "9007199254740993", "1.5", "-1", "-0", '"7"', "null", "1e3"])(
  "refuses version %s",
  (text) => {
    expect(rewritten('"version":7', `"version":${text}`)).toBe("BAD_STATEMENT");
  },
);

test("takes versions up to the largest exact integer", () => {
  expect(predicate({ version: 0 })).toBe("accepted");
  expect(predicate({ version: Number.MAX_SAFE_INTEGER })).toBe("accepted");
});

describe("the subject", () => {
  test("has to be exactly one", () => {
    expect(verdict((s) => (s.subject = []))).toBe("BAD_SUBJECT");
    expect(verdict((s) => s.subject.push(s.subject[0]))).toBe("BAD_SUBJECT");
    const other = { name: "other", digest: { ...plainStatement().subject[0].digest } };
    expect(verdict((s) => s.subject.push(other))).toBe("BAD_SUBJECT");
  });

  test.each([
    "registry.example/app:1.1",
    "Registry.example/app:1.0",
    "registry.example/app",
    "registry.example/app:1.0@sha256:00",
    "app:1.0",
    "registry.example//app:1.0",
  ])("has the name that was asked for, not %s", (other) => {
    expect(verdict((s) => (s.subject[0].name = other))).toBe("WRONG_NAME");
  });

  test("may have any name when the caller accepts any, and the name is returned", () => {
    const file = bundleWith((s) => (s.subject[0].name = "other:2"));
    expect(verifyBundle(file, keyring, { name: ANY_NAME, now }).statement.name).toBe("other:2");
  });
});

describe("the times", () => {
  const at = (text: string) => new Date(text);

  test("hold from creation, five minutes of skew allowed, until just before expiry", () => {
    expect(verdict(() => {}, at("2026-08-31T23:55:00Z"))).toBe("accepted");
    expect(verdict(() => {}, at("2026-08-31T23:54:59Z"))).toBe("NOT_YET_VALID");
    expect(verdict(() => {}, at("2027-08-31T23:59:59.999Z"))).toBe("accepted");
    expect(verdict(() => {}, at("2027-09-01T00:00:00Z"))).toBe("EXPIRED");
    expect(verdict(() => {}, at("2030-01-01T00:00:00Z"))).toBe("EXPIRED");
  });

  test("are refused when they are too far apart, or in the wrong order", () => {
    expect(predicate({ expires: "9999-12-31T23:59:59Z" })).toBe("BAD_VALIDITY");
    expect(predicate({ expires: "2036-09-01T00:00:00Z" })).toBe("accepted");
    expect(predicate({ expires: "2036-09-12T00:00:00Z" })).toBe("BAD_VALIDITY");
    const backwards = { created: "2026-10-01T00:04:00Z", expires: "2026-10-01T00:03:00Z" };
    expect(predicate(backwards)).toBe("BAD_VALIDITY");
  });

  test.each([
    "",
    "2027-09-01",
    "2027-09-01 00:00:00Z",
    "2027-09-01T00:00:00",
    "2027-09-01T00:00:00+00:00",
    "2027-09-01T02:00:00+02:00",
    "2027-09-01T00:00:00.5Z",
    "2027-09-01t00:00:00z",
    "2027-02-30T00:00:00Z",
    "2027-13-01T00:00:00Z",
    "2027-09-01T24:00:00Z",
    "2026-12-31T23:59:60Z",
    "+002027-09-01T00:00:00Z",
    "1819756800",
  ])("are written in one way, not %j", (expires) => {
    expect(predicate({ expires })).toBe("BAD_STATEMENT");
    expect(parseTime(expires)).toBeUndefined();
  });

  test("are refused when one is missing or not a text", () => {
    expect(verdict((s) => delete s.predicate.expires)).toBe("BAD_STATEMENT");
    expect(verdict((s) => delete s.predicate.created)).toBe("BAD_STATEMENT");
    expect(predicate({ expires: 1819756800 })).toBe("BAD_STATEMENT");
    expect(predicate({ expires: null })).toBe("BAD_STATEMENT");
  });

  test("are read back as they are written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253402300799 }), (seconds) => {
        const time = new Date(seconds * 1000);
        expect(parseTime(formatTime(time))).toEqual(time);
      }),
    );
  });
});
