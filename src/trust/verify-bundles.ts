/**
 * The verifier: from the bytes of bundles to a statement that can be trusted. The steps and their
 * order are fixed, and each refuses with codes of its own; the first step that fails ends the
 * verification. Step 9 (versions must not go back) needs the client's memory, see `high-water.ts`;
 * steps 10 and 11 need the bootstrap itself, see `verify/verified-image.ts`.
 *
 * | step | refuses with |
 * | --- | --- |
 * | 1 the file | `BAD_BUNDLE` |
 * | 2 its encodings | `BAD_ENCODING` |
 * | 3, 4 the signatures | `UNTRUSTED_KEY`, `BAD_SIGNATURE`, `REVOKED_KEY`, `KEY_NOT_VALID`, `BELOW_THRESHOLD` |
 * | 5 the payload's type | `BAD_PAYLOAD_TYPE` |
 * | 6 the statement | `BAD_STATEMENT`, `UNSUPPORTED_STATEMENT` |
 * | 7 the name | `BAD_SUBJECT`, `WRONG_NAME`, `WRONG_PLATFORM`, `NAME_NOT_ALLOWED`, `BELOW_THRESHOLD` |
 * | 8 the times | `NOT_YET_VALID`, `EXPIRED`, `BAD_VALIDITY`, `TOO_OLD`, `REVOKED_IMAGE` |
 * | 9 the version | `ROLLBACK`, `EQUIVOCATION` |
 * | 10 the bootstrap's bytes | `WRONG_IMAGE` |
 * | 11 the bootstrap's structure | a `FormatError` |
 *
 * The signatures of several bundles count together when they are over the same bytes: a threshold
 * of signers is met by several bundles as well as by one envelope with several signatures.
 *
 * Spec: docs/statement.md, "The verifier's steps"; DSSE 1.0.2 `protocol.md`; in-toto attestation
 * framework, "Validation".
 *
 * @module
 */
import { toByteString } from "../bytes/bytestring.ts";
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { parseBundle } from "./bundle.ts";
import type { Envelope } from "./dsse.ts";
import { type Trust, policyOf } from "./policy.ts";
import { type Refusal, claimedName } from "./refusals.ts";
import { type SignedPayload, findSigners } from "./signers.ts";
import { type Expectation, type VerifiedStatement, verifyPayload } from "./verify-payload.ts";

export { ANY_NAME, type Expectation, type VerifiedStatement } from "./verify-payload.ts";
export type { Refusal } from "./refusals.ts";

/** The outcome for several bundles. */
export interface Verdicts {
  /** The good statements, the highest version first. */
  readonly accepted: readonly VerifiedStatement[];
  /** What was refused: which bundles, and why. */
  readonly refused: readonly Refusal[];
}

/** Steps 1 to 8 for bundles about one image, whose signatures count together. */
export function verifyBundles(
  files: readonly Uint8Array[],
  trust: Trust,
  expected: Expectation,
): Verdicts {
  const policy = policyOf(trust);
  const refused: Refusal[] = [];
  const groups = new Map<string, Group>();
  const tries = { left: limits.signatureTries };
  for (const [i, file] of files.entries()) {
    const label = files.length > 1 ? `bundle ${i + 1}` : "bundle";
    let envelope: Envelope | undefined;
    const about = () => envelope && claimedName(envelope.payloadType, envelope.payload);
    attempt({ label, about }, refused, () => {
      // Steps 1 and 2: size, strict JSON; strict base64, number and size of the signatures.
      envelope = parseBundle(file, label);
      // Steps 3 and 4: which trusted keys signed these bytes.
      const signed = findSigners(envelope, policy, expected.now, tries, label);
      const key = `${signed.payloadType}\n${toByteString(signed.payload)}`;
      const group = groups.get(key) ?? { numbers: [], parts: [] };
      group.numbers.push(i + 1);
      group.parts.push(signed);
      groups.set(key, group);
    });
  }
  const accepted: VerifiedStatement[] = [];
  for (const { numbers, parts } of groups.values()) {
    const label = labelOf(numbers, files.length);
    const { payloadType, payload } = parts[0]!;
    const about = () => claimedName(payloadType, payload);
    attempt({ label, about }, refused, () =>
      accepted.push(verifyPayload(parts, policy, expected, label)),
    );
  }
  accepted.sort((a, b) => b.statement.version - a.statement.version);
  return { accepted, refused };
}

/** Bundles over the same bytes: their numbers, from 1, and the signers of each. */
interface Group {
  readonly numbers: number[];
  readonly parts: SignedPayload[];
}

interface Subject {
  readonly label: string;
  readonly about: () => string | undefined;
}

function attempt({ label, about }: Subject, refused: Refusal[], verify: () => void): void {
  try {
    verify();
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    refused.push({ label, error, about: about() });
  }
}

function labelOf(numbers: readonly number[], of: number): string {
  if (of === 1) return "bundle";
  return numbers.length === 1 ? `bundle ${numbers[0]}` : `bundles ${numbers.join(", ")}`;
}
