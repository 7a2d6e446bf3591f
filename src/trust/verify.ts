/**
 * The verifier: from the bytes of a bundle to a statement that may be believed. The steps and their
 * order are fixed, and each refuses with a code of its own; the first that fails ends it. Step 9
 * (versions must not go back) needs the client's memory, steps 10 and 11 need the bootstrap itself:
 * see `image/verify.ts`.
 *
 * | step | refuses with |
 * | --- | --- |
 * | 1 the file | `BAD_BUNDLE` |
 * | 2 its encodings | `BAD_ENCODING` |
 * | 3, 4 the signatures | `UNTRUSTED_KEY`, `BAD_SIGNATURE` |
 * | 5 the payload's type | `BAD_PAYLOAD_TYPE` |
 * | 6 the statement | `BAD_STATEMENT`, `UNSUPPORTED_STATEMENT` |
 * | 7 the name | `BAD_SUBJECT`, `WRONG_NAME` |
 * | 8 the times | `NOT_YET_VALID`, `EXPIRED`, `BAD_VALIDITY` |
 * | 10 the bootstrap's bytes | `WRONG_IMAGE` |
 * | 11 the bootstrap's structure | a `FormatError` |
 *
 * Spec: DSSE 1.0.2 `protocol.md`; in-toto attestation framework, "Validation".
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { parseBundle } from "./bundle.ts";
import { type Envelope, preAuthEncoding } from "./dsse.ts";
import type { Keyring } from "./keyring.ts";
import {
  type Predicate,
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  type UnboundStatement,
  parseStatement,
} from "./statement.ts";
import { formatTime } from "./time.ts";

/** Asks for no name: the caller shows the statement's name to a person instead. */
export const ANY_NAME: unique symbol = Symbol("any name");

/** What the caller asks for. */
export interface Expectation {
  /** The name that the user asked for, never one taken from a file's name. */
  readonly name: string | typeof ANY_NAME;
  /** The time, read once for the whole run. */
  readonly now: Date;
}

/** A statement that a trusted key has made, about the name asked for, valid now. */
export interface VerifiedStatement {
  readonly statement: Statement;
  /** The trusted keys that signed, each once, in the order of the keyring; at least one. */
  readonly keyIds: readonly [string, ...string[]];
  /** Key hints of the other signatures: by strangers, or broken. */
  readonly unverified: readonly string[];
}

const SKEW_SECONDS = 5 * 60;
const DAY_SECONDS = 24 * 60 * 60;

/**
 * Steps 1 to 8.
 *
 * @throws {@link TrustError} with the code of the first step that fails
 */
export function verifyBundle(
  file: Uint8Array,
  keyring: Keyring,
  expected: Expectation,
  what = "bundle",
): VerifiedStatement {
  // Steps 1 and 2: size, strict JSON; strict base64, number and size of the signatures.
  const envelope = parseBundle(file, what);
  // Steps 3 and 4: which trusted keys signed these bytes.
  const { keyIds, unverified } = verifySignatures(envelope, keyring, what);
  // Step 5: only now the type, which the signature covers.
  if (envelope.payloadType !== STATEMENT_PAYLOAD_TYPE) {
    const got = JSON.stringify(envelope.payloadType.slice(0, 100));
    throw new TrustError(
      "BAD_PAYLOAD_TYPE",
      `${what}: expected payload type ${STATEMENT_PAYLOAD_TYPE}, got ${got}`,
    );
  }
  // Step 6: the very bytes that were verified.
  const unbound = parseStatement(envelope.payload);
  // Step 7: one subject, with the name asked for.
  const statement = bindSubject(unbound, expected.name);
  // Step 8: the time.
  verifyTimes(statement, expected.now);
  // Step 9 belongs here: the version against the highest one seen for this name.
  return { statement, keyIds, unverified };
}

function verifySignatures(
  envelope: Envelope,
  keyring: Keyring,
  what: string,
): Pick<VerifiedStatement, "keyIds" | "unverified"> {
  // Step 3, DSSE protocol: the signature is over type and payload, as decoded.
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  // Step 4: every signature against every trusted key, the one hinted at first. Keys are counted,
  // not signatures, so that one key signing twice counts once.
  const signers = new Set<string>();
  const unverified: string[] = [];
  for (const { keyId, bytes } of envelope.signatures) {
    const hinted = keyring.get(keyId);
    const candidates = hinted ? [hinted, ...keyring.keys] : keyring.keys;
    const signer = candidates.find((key) => key.verifies(message, bytes));
    if (signer) signers.add(signer.id);
    else unverified.push(keyId);
  }
  const [first, ...others] = keyring.keys.map((key) => key.id).filter((id) => signers.has(id));
  if (first === undefined) throw refusedSignatures(envelope, keyring, what);
  return { keyIds: [first, ...others], unverified };
}

/** Says which it is: a stranger's signature, or a trusted key's that does not fit the bytes. */
function refusedSignatures(envelope: Envelope, keyring: Keyring, what: string): TrustError {
  const hints = envelope.signatures.map(({ keyId }) => keyId.slice(0, 100));
  const trusted = hints.find((keyId) => keyring.get(keyId) !== undefined);
  if (trusted !== undefined) {
    return new TrustError(
      "BAD_SIGNATURE",
      `${what}: the signature by ${trusted} does not fit the bundle's bytes`,
      { hint: "the bundle was changed after it was signed, or damaged on its way" },
    );
  }
  const named = hints.filter((hint) => hint !== "").map((hint) => JSON.stringify(hint));
  const by = named.length > 0 ? named.join(", ") : "a key that it does not name";
  return new TrustError("UNTRUSTED_KEY", `${what}: signed by ${by}, which is not trusted`, {
    hint: "trust the key with --key or --keys, if it came to you from someone you trust",
  });
}

function bindSubject(unbound: UnboundStatement, name: Expectation["name"]): Statement {
  const [subject, ...others] = unbound.subjects;
  if (subject === undefined || others.length > 0) {
    throw new TrustError(
      "BAD_SUBJECT",
      `statement: expected exactly one subject, got ${unbound.subjects.length}`,
    );
  }
  if (name !== ANY_NAME && subject.name !== name) {
    throw new TrustError(
      "WRONG_NAME",
      `statement: expected the name ${JSON.stringify(name)}, got ${JSON.stringify(subject.name)}`,
    );
  }
  return { ...subject, ...unbound.predicate };
}

function verifyTimes({ created, expires }: Predicate, now: Date): void {
  const seconds = (time: Date) => time.getTime() / 1000;
  if (!(seconds(created) <= seconds(now) + SKEW_SECONDS)) {
    throw new TrustError(
      "NOT_YET_VALID",
      `statement: created ${formatTime(created)}, which is after now, ${formatTime(now)}`,
      { hint: "check this machine's clock" },
    );
  }
  if (!(seconds(now) < seconds(expires))) {
    throw new TrustError(
      "EXPIRED",
      `statement: expired ${formatTime(expires)}, now is ${formatTime(now)}`,
      { hint: "ask the signer for a new signature" },
    );
  }
  const validity = seconds(expires) - seconds(created);
  if (!(validity > 0 && validity <= limits.validityDays * DAY_SECONDS)) {
    throw new TrustError(
      "BAD_VALIDITY",
      `statement: valid from ${formatTime(created)} to ${formatTime(expires)}, over ${limits.validityDays} days`,
    );
  }
}
