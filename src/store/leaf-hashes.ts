/**
 * The leaf hashes of an image's large objects in one piece, so that a client with the image can
 * read single blocks of a file out of an ordinary layer: one object after the other in the order of
 * their digests, each as long as its size in the image says, nothing between them. Hashes that the
 * writer did not have are zeros.
 *
 * They are not trusted: leaves count only if they hash to the object's digest.
 *
 * Spec: docs/registry-artifact.md, "Leaf hashes".
 *
 * @module
 */
import { closeSync } from "node:fs";
import { IntegrityError, SealfsError } from "../errors.ts";
import { objectsOf } from "../erofs/object-list.ts";
import type { Image } from "../erofs/image.ts";
import { LEAVES_ABOVE } from "./leaves.ts";
import type { Store } from "./store.ts";
import { type VerityDigest, algorithmOf, leavesSize, verifyLeaves } from "../verity/index.ts";
import { leavesOf } from "./read-object.ts";

interface Share {
  readonly digest: VerityDigest;
  readonly size: number;
  /** Where its leaves are. */
  readonly start: number;
  readonly end: number;
}

/** Which objects have leaf hashes in the bytes, and where. */
function sharesOf(image: Image): Share[] {
  const large = [...objectsOf(image)].filter(([, size]) => size > LEAVES_ABOVE);
  let end = 0;
  return large
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([digest, size]) => {
      const start = end;
      end += leavesSize(size, algorithmOf(digest));
      return { digest, size, start, end };
    });
}

/** Bytes of all leaf hashes of an image; 0 when it has no large objects. */
export function leafHashesSize(image: Image): number {
  return sharesOf(image).at(-1)?.end ?? 0;
}

/** The leaf hashes of an image's large objects, as far as `store` has these. */
export function packLeafHashes(image: Image, store: Store): Uint8Array {
  const shares = sharesOf(image);
  const bytes = new Uint8Array(shares.at(-1)?.end ?? 0);
  for (const { digest, size, start } of shares) {
    const leaves = keptLeaves(store, digest, size) ?? hashObject(store, digest, size);
    if (leaves !== undefined) bytes.set(leaves, start);
  }
  return bytes;
}

/**
 * Checks leaf hashes from an untrusted source and keeps the right ones for readers of `store`.
 * Returns for how many objects it kept them.
 *
 * @throws {@link IntegrityError} `SIZE_MISMATCH` when their length is not the one that the image
 *   needs
 */
export function keepLeafHashes(image: Image, bytes: Uint8Array, store: Store): number {
  const shares = sharesOf(image);
  const expected = shares.at(-1)?.end ?? 0;
  if (bytes.length !== expected) {
    const message = `leaf hashes: expected ${expected} bytes, got ${bytes.length}`;
    throw new IntegrityError("SIZE_MISMATCH", message);
  }
  return shares.filter(({ digest, size, start, end }) => {
    const leaves = bytes.subarray(start, end);
    return areRight(leaves, size, digest) && store.writeLeaves(digest, leaves);
  }).length;
}

function keptLeaves(store: Store, digest: VerityDigest, size: number): Uint8Array | undefined {
  const leaves = store.readLeaves(digest);
  return leaves !== undefined && areRight(leaves, size, digest) ? leaves : undefined;
}

function areRight(leaves: Uint8Array, size: number, digest: VerityDigest): boolean {
  try {
    verifyLeaves(leaves, size, digest);
    return true;
  } catch (error) {
    if (error instanceof IntegrityError) return false;
    throw error;
  }
}

/** Undefined when the store does not have the object, or not with the right content. */
function hashObject(store: Store, digest: VerityDigest, size: number): Uint8Array | undefined {
  let fd: number;
  try {
    fd = store.open(digest);
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
  try {
    return leavesOf(fd, digest, size);
  } finally {
    closeSync(fd);
  }
}
