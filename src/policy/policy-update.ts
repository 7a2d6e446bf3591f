/**
 * Installs a new policy: it replaces the old one on this machine only when enough keys of both have
 * signed it.
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
import { readPolicyFile } from "./policy-files.ts";
import { readUserFile, writeUserFile } from "../fs/user-file.ts";

/**
 * Replaces the policy at `path` by the last of its successors, which are given in order. Versions
 * that the machine has already are skipped.
 *
 * @throws {@link TrustError} as `verifySuccessor` and `verifyInForce`; the file is unchanged then
 */
export function updatePolicy(path: string, successors: readonly string[], now: Date) {
  let current = readPolicyFile(path);
  if (current.envelope !== undefined) {
    // An expired policy may have successors; one without enough signatures may not.
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
  writeUserFile(path, bytes);
  return current;
}

/** Whether `next` is the current policy itself, perhaps with other signatures. */
function isKnown(current: PolicyDocument, next: PolicyDocument): boolean {
  const [a, b] = [current.payload, next.payload];
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
