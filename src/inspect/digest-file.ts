/**
 * The fs-verity digest of a file on this machine.
 *
 * @module
 */
import { closeSync, readSync } from "node:fs";
import { openUserFile } from "../fs/user-file.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";

const READ_BYTES = 1 << 20;
const STANDARD_INPUT = 0;

/**
 * Reads a file, or standard input when `path` is `-`, to its end.
 *
 * @throws {@link NotFoundError} `NO_FILE`
 */
export function digestFile(path: string, algorithm: VerityAlgorithm): VerityDigest {
  const fd = path === "-" ? STANDARD_INPUT : openUserFile(path, path);
  try {
    const hasher = new VerityHasher(algorithm);
    const bytes = Buffer.allocUnsafeSlow(READ_BYTES);
    // From where the descriptor stands: pipes have no other places.
    for (let got = -1; got !== 0;) {
      got = readSync(fd, bytes, 0, READ_BYTES, null);
      hasher.update(bytes.subarray(0, got));
    }
    return hasher.digest();
  } finally {
    if (fd !== STANDARD_INPUT) closeSync(fd);
  }
}
