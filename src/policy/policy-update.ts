/**
 * Taking a new policy: on this machine it stands in the old one's place only when the old one's keys
 * and its own agree.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type PolicyDocument,
  readPolicy,
  verifyInForce,
  verifySuccessor,
} from "../trust/policy-chain.ts";
import { replaceFile } from "../fs/whole-file.ts";
import { readPolicyFile } from "./policy-files.ts";
import { readUserFile } from "../fs/user-file.ts";

/**
 * Replaces the policy at `path` by the last of its successors, which are given in order. Versions
 * that the machine has already are passed over.
 *
 * @throws {@link TrustError} as `verifySuccessor` and `verifyInForce`; the file stays as it was then
 */
export function updatePolicy(path: string, successors: readonly string[], now: Date) {
  let current = readPolicyFile(path);
  if (current.envelope !== undefined) {
    // Expired is no reason against a successor, unsigned is.
    verifyInForce({ ...current, content: { ...current.content, expires: undefined } }, now, path);
  }
  let bytes: Uint8Array | undefined;
  for (const file of successors) {
    const what = `policy ${file}`;
    const next = readUserFile(file, limits.envelopeBytes, what);
    const document = readPolicy(next, what);
    if (isKnown(current, document)) continue;
    verifySuccessor(current, document, now, what);
    [current, bytes] = [document, next];
  }
  if (bytes === undefined) {
    throw new UsageError("USAGE", `${path}: is version ${current.content.version} already`);
  }
  verifyInForce(current, now, path);
  replaceFile(path, bytes, { mode: 0o644, sync: true });
  return current;
}

/** The same bytes in another envelope, or signed once more. */
function isKnown(current: PolicyDocument, next: PolicyDocument): boolean {
  const [a, b] = [current.payload, next.payload];
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
