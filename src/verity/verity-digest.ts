/**
 * The fs-verity digest as a type of its own: mixing it with an OCI digest must not compile.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

declare const verityDigest: unique symbol;

/** Lower-case hex of an fs-verity digest, without prefix: 64 digits (sha256) or 128 (sha512). */
export type VerityDigest = string & { readonly [verityDigest]: true };

/** The two hash algorithms of fs-verity, by their kernel names. */
export type VerityAlgorithm = "sha256" | "sha512";

/** The algorithms with their number in the descriptor and their digest size in bytes. */
export const verityAlgorithms = {
  sha256: { id: 1, digestSize: 32 },
  sha512: { id: 2, digestSize: 64 },
} as const;

/** fs-verity block size: the only one that composefs uses. */
export const VERITY_BLOCK_SIZE = 4096;

/** @throws {@link FormatError} `MALFORMED` when `text` is not 64 or 128 lower-case hex digits */
export function parseVerityDigest(text: string): VerityDigest {
  if (!/^(?:[0-9a-f]{64}|[0-9a-f]{128})$/.test(text)) {
    throw new FormatError(
      "MALFORMED",
      `verity digest: expected 64 or 128 lower-case hex digits, got ${JSON.stringify(text.slice(0, 140))}`,
    );
  }
  return text as VerityDigest;
}

/** Digits of a digest that may stand for it where they are the beginning of just one. */
const SHORT_DIGEST = /^[0-9a-f]{7,128}$/;

/** Whether `text` is a digest, or its beginning: at least 7 digits, as git abbreviates. */
export function abbreviates(text: string, digest: VerityDigest): boolean {
  return SHORT_DIGEST.test(text) && digest.startsWith(text);
}

/** Digits of a digest for people, who may give them back: as many as podman prints of an id. */
export const SHORT_DIGITS = 12;

/** The beginning of a digest, as people are shown it. */
export function shortDigest(digest: VerityDigest): string {
  return digest.slice(0, SHORT_DIGITS);
}

/** The algorithm that a digest's length tells. */
export function algorithmOf(digest: VerityDigest): VerityAlgorithm {
  return digest.length === 64 ? "sha256" : "sha512";
}

/** Where an object lies below `objects/`, as in mkcomposefs --digest-store: `ab/cdef…`. */
export function objectPath(digest: VerityDigest): string {
  return `${digest.slice(0, 2)}/${digest.slice(2)}`;
}
