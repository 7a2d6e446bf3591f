/**
 * Fixed keys and hand-made statements for the tests of trust.
 *
 * @module
 */
import { formatBundle } from "../../src/trust/bundle.ts";
import { preAuthEncoding } from "../../src/trust/dsse.ts";
import { Keyring } from "../../src/trust/keyring.ts";
import type { Trust, TrustPolicy } from "../../src/trust/policy.ts";
import { parsePolicy } from "../../src/trust/policy-file.ts";
import { PrivateKey } from "../../src/trust/private-key.ts";
import { STATEMENT_PAYLOAD_TYPE } from "../../src/trust/statement.ts";
import {
  type Expectation,
  type VerifiedStatement,
  verifyBundles,
} from "../../src/trust/verify-bundles.ts";
import { SealfsError } from "../../src/errors.ts";

/** A key whose seed is one byte, 32 times. */
export const testKey = (byte: number) => new PrivateKey(new Uint8Array(32).fill(byte));

export const alice = testKey(1);
export const mallory = testKey(2);
export const keyring = new Keyring([alice.publicKey]);
export const now = new Date("2026-10-01T00:00:00Z");
export const name = "registry.example/app:1.0";

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

/** A good statement as a plain object, to be changed by a test. */
export function plainStatement(): any {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name, digest: { sha256: "a".repeat(64), "fsverity-sha256-12": "b".repeat(64) } }],
    predicateType: "https://sealfs.dev/bootstrap/v1",
    predicate: {
      formatVersion: 1,
      mode: "composefs-erofs",
      requires: [],
      size: 8192,
      profile: "oci-v1",
      source: {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: `sha256:${"c".repeat(64)}`,
      },
      objects: { count: 3, bytes: 45678 },
      version: 7,
      created: "2026-09-01T00:00:00Z",
      expires: "2027-09-01T00:00:00Z",
    },
  };
}

/** An envelope over any text, rightly signed by each of `keys`. */
export function envelopeOf(
  payload: string | Uint8Array,
  keys: readonly PrivateKey[] = [alice],
  payloadType = STATEMENT_PAYLOAD_TYPE,
) {
  const bytes = typeof payload === "string" ? utf8(payload) : payload;
  const message = preAuthEncoding(payloadType, bytes);
  const signatures = keys.map((key) => ({ keyId: key.publicKey.id, bytes: key.sign(message) }));
  return { payloadType, payload: bytes, signatures };
}

/** A bundle over any text, rightly signed. */
export function bundleOf(payload: string, key = alice, payloadType?: string): Uint8Array {
  return formatBundle(envelopeOf(payload, [key], payloadType));
}

/** A bundle over a statement that a test has changed. */
export function bundleWith(change: (statement: any) => void): Uint8Array {
  const statement = plainStatement();
  change(statement);
  return bundleOf(JSON.stringify(statement));
}

/** A good policy as a plain object, to be changed by a test: alice and the third key, one of them. */
export function plainPolicy(): any {
  const keys = [alice, testKey(3)].map(({ publicKey }) => ({
    id: publicKey.id,
    pem: publicKey.toPem(),
    names: ["**"],
  }));
  return {
    type: "https://sealfs.dev/policy/v1",
    name: "fleet",
    version: 1,
    keys,
    policyKeys: { ids: keys.map(({ id }) => id), threshold: 1 },
  };
}

/** A policy that a test has changed. */
export function policyWith(change: (policy: any) => void): TrustPolicy {
  const policy = plainPolicy();
  change(policy);
  return parsePolicy(utf8(JSON.stringify(policy)));
}

/** The code of the typed error that `call` throws; anything else fails the test. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof SealfsError) return error.code;
    throw error;
  }
  return "accepted";
}

/** The statement of one bundle, or the error with which it is refused. */
export function verifyBundle(
  file: Uint8Array,
  trust: Trust,
  expected: Expectation,
): VerifiedStatement {
  const { accepted, refused } = verifyBundles([file], trust, expected);
  if (accepted[0] !== undefined) return accepted[0];
  throw refused[0]!.error;
}
