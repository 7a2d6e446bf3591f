/**
 * What identifies a bootstrap: its size and both of its digests.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { VerityAlgorithm, VerityDigest } from "../verity/digest.ts";
import { VerityHasher } from "../verity/hasher.ts";

/** Lower-case hex of the SHA-256 of `bytes`. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The fs-verity digest of `bytes`. */
export function verityDigestOf(bytes: Uint8Array, algorithm: VerityAlgorithm): VerityDigest {
  return new VerityHasher(algorithm).update(bytes).digest();
}
