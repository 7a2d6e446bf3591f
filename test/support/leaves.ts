/**
 * The leaf hashes that a content has.
 *
 * @module
 */
import type { VerityDigest } from "../../src/verity/verity-digest.ts";
import { VerityHasher } from "../../src/verity/hasher.ts";

export function leavesOf(content: Uint8Array): { digest: VerityDigest; leaves: Uint8Array } {
  const hasher = new VerityHasher("sha256", { keepLeaves: true }).update(content);
  return { digest: hasher.digest(), leaves: hasher.leaves() };
}
