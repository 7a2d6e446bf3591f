/**
 * The fs-verity digest of a file on this machine.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import { NotFoundError } from "../errors.ts";
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
  const fd = path === "-" ? STANDARD_INPUT : open(path);
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

function open(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new NotFoundError("NO_FILE", `${path}: no such file`, { cause });
  }
}
