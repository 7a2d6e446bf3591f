/**
 * Policy files on this machine.
 *
 * @module
 */
import { type PolicyDocument, readPolicy } from "../trust/policy-chain.ts";
import { limits } from "../limits.ts";
import { readUserFile } from "../fs/user-file.ts";

/**
 * Reads a policy, signed or not, without checking whether it is in force.
 *
 * @throws {@link TrustError} `BAD_POLICY`, `BAD_BUNDLE` or `BAD_ENCODING`; {@link NotFoundError}
 *   `NO_FILE`
 */
export function readPolicyFile(path: string): PolicyDocument {
  const what = `policy ${path}`;
  return readPolicy(readUserFile(path, limits.envelopeBytes, what), what);
}
