/** Signed policies, what follows them, and the published schema. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { formatEnvelope } from "../../../src/trust/bundle.ts";
import {
  POLICY_PAYLOAD_TYPE,
  readPolicy,
  signPolicy,
  verifyInForce,
  verifySuccessor,
} from "../../../src/trust/policy-chain.ts";
import { policyFields } from "../../../src/trust/policy-file.ts";
import type { PrivateKey } from "../../../src/trust/private-key.ts";
import {
  alice,
  envelopeOf,
  mallory,
  now,
  plainPolicy,
  refusal,
  testKey,
  utf8,
} from "../../support/trust.ts";

const bob = testKey(3);
const carol = testKey(4);

/** A policy with these keys that sign policies, changed and signed. */
function signed(
  keys: readonly PrivateKey[],
  by: readonly PrivateKey[],
  change: (policy: any) => void = () => {},
) {
  const policy = plainPolicy();
  policy.keys = keys.map(({ publicKey }) => ({ pem: publicKey.toPem(), names: ["**"] }));
  policy.policyKeys = { ids: keys.map(({ publicKey }) => publicKey.id), threshold: 2 };
  change(policy);
  return readPolicy(formatEnvelope(envelopeOf(JSON.stringify(policy), by, POLICY_PAYLOAD_TYPE)));
}
const v1 = signed([alice, bob], [alice, bob]);
const second = (p: any) => (p.version = 2);
const follows = (next: ReturnType<typeof signed>, old = v1) =>
  refusal(() => verifySuccessor(old, next, now));

describe("a signed policy is in force", () => {
  test("when enough of its own keys have signed it", () => {
    expect(refusal(() => verifyInForce(v1, now))).toBe("accepted");
    for (const by of [[alice], [alice, alice], [alice, mallory], [mallory, carol]]) {
      expect(refusal(() => verifyInForce(signed([alice, bob], by), now))).toBe("POLICY_NOT_SIGNED");
    }
  });

  test("as long as it has not expired", () => {
    const until = (time: string) =>
      refusal(() =>
        verifyInForce(
          signed([alice, bob], [alice, bob], (p) => (p.expires = time)),
          now,
        ),
      );
    expect(until("2026-10-01T00:00:01Z")).toBe("accepted");
    expect(until("2026-10-01T00:00:00Z")).toBe("POLICY_EXPIRED");
  });

  test("not by signatures over a statement or another type", () => {
    const file = (type: string) => formatEnvelope(envelopeOf(v1.payload, [alice, bob], type));
    const verdict = (type: string) => refusal(() => readPolicy(file(type)));
    expect(verdict(POLICY_PAYLOAD_TYPE)).toBe("accepted");
    expect(verdict("application/vnd.in-toto+json")).toBe("BAD_PAYLOAD_TYPE");
  });

  test("not by keys that it revokes", () => {
    const policy = signed(
      [alice, bob],
      [alice, bob],
      (p) => (p.revoked = [{ key: bob.publicKey.id }]),
    );
    expect(refusal(() => verifyInForce(policy, now))).toBe("POLICY_NOT_SIGNED");
  });
});

describe("a policy follows another", () => {
  test("when enough keys of both have signed it", () => {
    expect(follows(signed([alice, bob], [alice, bob], second))).toBe("accepted");
    expect(follows(signed([bob, carol], [alice, bob, carol], second))).toBe("accepted");
    expect(follows(signed([carol, mallory], [alice, bob, carol, mallory], second))).toBe(
      "accepted",
    );
  });

  test("not with too few of the old or of the new", () => {
    expect(follows(signed([bob, carol], [bob, carol], second))).toBe("POLICY_NOT_SIGNED");
    expect(follows(signed([bob, carol], [alice, bob], second))).toBe("POLICY_NOT_SIGNED");
    expect(follows(signed([alice, bob], [alice], second))).toBe("POLICY_NOT_SIGNED");
    const lower = signed([mallory], [mallory], (p) => {
      second(p);
      p.policyKeys.threshold = 1;
    });
    expect(follows(lower)).toBe("POLICY_NOT_SIGNED");
    expect(follows(readPolicy(lower.payload))).toBe("POLICY_NOT_SIGNED");
  });

  test("only with exactly the next version", () => {
    for (const version of [1, 3, Number.MAX_SAFE_INTEGER]) {
      const next = signed([alice, bob], [alice, bob], (p) => (p.version = version));
      expect(follows(next)).toBe("POLICY_ROLLBACK");
    }
  });

  test("not with a lower epoch or another name", () => {
    const old = signed([alice, bob], [alice, bob], (p) => (p.epoch = 2));
    expect(follows(signed([alice, bob], [alice, bob], second), old)).toBe("POLICY_ROLLBACK");
    const renamed = signed([alice, bob], [alice, bob], (p) => {
      second(p);
      p.name = "other";
    });
    expect(follows(renamed)).toBe("BAD_POLICY");
  });

  test("also when the old one has expired: it says who decides, not what is trusted", () => {
    const old = signed([alice, bob], [alice, bob], (p) => (p.expires = "2026-01-01T00:00:00Z"));
    expect(follows(signed([alice, bob], [alice, bob], second), old)).toBe("accepted");
  });

  test("with signatures of the old keys though it revokes one of them", () => {
    const next = signed([alice, carol], [alice, bob, carol], (p) => {
      second(p);
      p.revoked = [{ key: bob.publicKey.id, reason: "retired" }];
    });
    expect(follows(next)).toBe("accepted");
  });
});

test("signatures are added one by one, and a key that signs again replaces its own", () => {
  const draft = readPolicy(v1.payload);
  const one = readPolicy(signPolicy(draft, alice));
  expect(refusal(() => verifyInForce(one, now))).toBe("POLICY_NOT_SIGNED");
  const two = readPolicy(signPolicy(readPolicy(signPolicy(one, alice)), bob));
  expect(two.envelope?.signatures).toHaveLength(2);
  expect(refusal(() => verifyInForce(two, now))).toBe("accepted");
  expect(two.payload).toEqual(draft.payload);
});

test("no changed bit of a signed policy goes unnoticed", () => {
  const file = formatEnvelope(envelopeOf(v1.payload, [alice, bob], POLICY_PAYLOAD_TYPE));
  const before = readPolicy(file).payload;
  for (let bit = 0; bit < file.length * 8; bit += process.env["SLOW"] ? 1 : 97) {
    const changed = file.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    let payload: Uint8Array | undefined;
    const verdict = refusal(() => {
      const document = readPolicy(changed);
      verifyInForce(document, now);
      payload = document.payload;
    });
    // A bit of a key's hint decides nothing.
    if (verdict === "accepted") expect(payload).toEqual(before);
  }
});

describe("the published schema", () => {
  const path = fileURLToPath(new URL("../../../keys/trust-policy.schema.json", import.meta.url));
  const schema = JSON.parse(readFileSync(path, "utf8"));
  const names = (value: any) => Object.keys(value.properties);

  test("has the fields that the reader knows, everywhere", () => {
    const { properties } = schema;
    expect(names(schema)).toEqual([...policyFields.policy]);
    expect(names(properties.keys.items)).toEqual([...policyFields.key]);
    expect(names(properties.thresholds.items)).toEqual([...policyFields.threshold]);
    expect(names(properties.policyKeys)).toEqual([...policyFields.policyKeys]);
    expect(names(properties.revoked.items)).toEqual([...policyFields.revocation]);
    for (const part of [schema, properties.keys.items, properties.policyKeys]) {
      expect(part.additionalProperties).toBe(false);
    }
  });

  const hasJsonschema =
    spawnSync("python3", ["-c", "import jsonschema; jsonschema.Draft202012Validator"]).status === 0;
  test.skipIf(!hasJsonschema)(
    "accepts good policies and refuses bad ones (skipped without python3-jsonschema)",
    () => {
      const policies: [any, boolean][] = [[plainPolicy(), true]];
      const add = (good: boolean, change: (p: any) => void) => {
        const policy = plainPolicy();
        change(policy);
        policies.push([policy, good]);
      };
      add(true, (p) =>
        Object.assign(p, {
          maxAge: "90d",
          epoch: 1,
          thresholds: [{ names: "a/**", threshold: 2 }],
        }),
      );
      add(true, (p) => (p.revoked = [{ digest: "ab".repeat(32), reason: "x" }]));
      add(false, (p) => (p.threshold = 0));
      add(false, (p) => (p.unknown = 1));
      add(false, (p) => (p.keys[0].names = ["app?"]));
      add(false, (p) => (p.keys[0].names = ["a***"]));
      add(false, (p) => (p.version = "1"));
      add(false, (p) => (p.maxAge = "0d"));
      add(false, (p) => (p.revoked = [{ reason: "x" }]));
      const script = `
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(p) for p in json.load(sys.stdin)]))`;
      const input = JSON.stringify(policies.map(([policy]) => policy));
      const output = execFileSync("python3", ["-c", script, path], { input, encoding: "utf8" });
      expect(JSON.parse(output)).toEqual(policies.map(([, good]) => good));
      for (const [policy, good] of policies) {
        const ours = refusal(() => readPolicy(utf8(JSON.stringify(policy))));
        expect(ours).toBe(good ? "accepted" : "BAD_POLICY");
      }
    },
  );
});
