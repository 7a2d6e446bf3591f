/**
 * The SHA-256 of a bootstrap, which stands in its statement beside the verity digest.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Lower-case hex of the SHA-256 of `bytes`. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
