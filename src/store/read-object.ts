/**
 * The content of an object, from untrusted stores: each block is compared with the digest before it
 * is handed out.
 *
 * @module
 */
import { closeSync, fstatSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../errors.ts";
import { readFully } from "../fs/descriptor-io.ts";
import type { Stores } from "./stores.ts";
import {
  VERITY_BLOCK_SIZE,
  VerityHasher,
  type VerityDigest,
  algorithmOf,
  verifyBlocks,
} from "../verity/index.ts";

const CHUNK_BYTES = 256 * VERITY_BLOCK_SIZE;

/**
 * Yields the bytes of an object of `size` bytes, chunk by chunk; a chunk is only good until the
 * next. The first store whose copy is right is read; it is hashed whole before its first byte is
 * handed out, and each block once more when it is read.
 *
 * @throws {@link NotFoundError} `NO_OBJECT` when no store has it; {@link IntegrityError} when none
 *   has the right content, or it changes meanwhile
 */
export function* readObject(
  stores: Stores,
  digest: VerityDigest,
  size: number,
): Generator<Uint8Array, void, undefined> {
  const problems: Error[] = [];
  for (const { fd, store } of stores.openings(digest, (error) => problems.push(error))) {
    try {
      const leaves = leavesOf(fd, digest, size);
      if (leaves === undefined) {
        const message = `object ${digest}: ${store.path} has another file under its name`;
        problems.push(new IntegrityError("DIGEST_MISMATCH", message));
        continue;
      }
      yield* readBlocks(fd, digest, size, leaves);
      return;
    } finally {
      closeSync(fd);
    }
  }
  const [first] = problems;
  if (first === undefined) throw new NotFoundError("NO_OBJECT", `object ${digest}: in no store`);
  throw first;
}

/** The leaf hashes of the file, or undefined when it is not the object. */
export function leavesOf(fd: number, digest: VerityDigest, size: number): Uint8Array | undefined {
  if (fstatSync(fd).size !== size) return undefined;
  const hasher = new VerityHasher(algorithmOf(digest), { keepLeaves: true });
  const chunk = new Uint8Array(Math.min(size, CHUNK_BYTES));
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const got = readFully(fd, chunk, at);
    hasher.update(chunk.subarray(0, Math.min(got, size - at)));
  }
  return hasher.digest() === digest ? hasher.leaves() : undefined;
}

function* readBlocks(
  fd: number,
  digest: VerityDigest,
  size: number,
  leaves: Uint8Array,
): Generator<Uint8Array, void, undefined> {
  const chunk = new Uint8Array(Math.min(size, CHUNK_BYTES));
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const part = chunk.subarray(0, Math.min(CHUNK_BYTES, size - at));
    const isWhole = readFully(fd, part, at) === part.length;
    const bad = verifyBlocks(part, at / VERITY_BLOCK_SIZE, leaves, algorithmOf(digest));
    if (!isWhole || bad !== -1) {
      throw new IntegrityError("DIGEST_MISMATCH", `object ${digest}: changed while it was read`);
    }
    yield part;
  }
}
