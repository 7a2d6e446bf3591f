/**
 * Seek indexes of a store: `seek/<id>/<sha256 of its bytes>`, as one image may have come from
 * layers in several forms. A signed statement names its own by the digest.
 *
 * Spec: docs/store.md, "Seek indexes".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { FormatError, IntegrityError, NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { Store } from "./store.ts";

const NAME = /^[0-9a-f]{64}$/;

/** How a statement names an index. */
export function seekIndexOf(bytes: Uint8Array): SeekIndexFile {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return { digest, size: bytes.length };
}

/** The index's path below the store. */
export function seekIndexPath(id: VerityDigest, { digest }: Pick<SeekIndexFile, "digest">): string {
  return `seek/${id}/${digest.slice("sha256:".length)}`;
}

/** The digests of an image's indexes, sorted; what has another name is left out. */
export function listSeekIndexes(store: Store, id: VerityDigest): string[] {
  const names = store.files.names(`seek/${id}`).filter((name) => NAME.test(name));
  return names.map((name) => `sha256:${name}`);
}

/**
 * The bytes of an index, with the size and digest that a statement says.
 *
 * @throws {@link NotFoundError} `NO_FILE`
 * @throws {@link IntegrityError} `SIZE_MISMATCH` or `DIGEST_MISMATCH`
 */
export function readSeekIndex(store: Store, id: VerityDigest, wanted: SeekIndexFile): Uint8Array {
  const name = seekIndexPath(id, wanted);
  const path = store.files.pathOf(name);
  const bytes = store.files.readRegular(name, limits.seekIndexBytes, `seek index ${path}`);
  verifySeekIndex(bytes, wanted, path);
  return bytes;
}

/** @throws {@link IntegrityError} when `bytes` are not those that a statement is about */
export function verifySeekIndex(bytes: Uint8Array, wanted: SeekIndexFile, where: string): void {
  const { digest, size } = seekIndexOf(bytes);
  if (size !== wanted.size) {
    const message = `expected ${wanted.size} bytes, got ${size}`;
    throw new IntegrityError("SIZE_MISMATCH", `seek index ${where}: ${message}`);
  }
  if (digest === wanted.digest) return;
  const message = `expected ${wanted.digest}, got ${digest}`;
  throw new IntegrityError("DIGEST_MISMATCH", `seek index ${where}: ${message}`);
}

/** The intact index that was written last; undefined when the image has none. */
export function newestSeekIndex(store: Store, id: VerityDigest): SeekIndexFile | undefined {
  const found = listSeekIndexes(store, id).map((digest) => {
    const path = seekIndexPath(id, { digest });
    return { path, digest, time: store.files.stat(path)?.mtimeMs ?? 0 };
  });
  for (const { path, digest } of found.sort((a, b) => b.time - a.time)) {
    try {
      const file = seekIndexOf(store.files.readRegular(path, limits.seekIndexBytes));
      if (file.digest === digest) return file;
    } catch (error) {
      const isOdd = error instanceof IntegrityError || error instanceof FormatError;
      if (!isOdd && !(error instanceof NotFoundError)) throw error;
    }
  }
  return undefined;
}
