/**
 * OCI digests: `sha256:<64 hex>` and `sha512:<128 hex>`, checked before anything is made of them
 * (OCI image spec, descriptor.md, "Digests"). Not verity digests: those name objects, these name
 * blobs.
 *
 * @module
 */
import { type Hash, createHash } from "node:crypto";
import { FormatError, IntegrityError } from "../errors.ts";

declare const ociDigest: unique symbol;

/** `algorithm:hex` of a blob's bytes, valid by construction. */
export type OciDigest = string & { readonly [ociDigest]: true };

/** The algorithms that the specification registers and every tool reads. */
export type OciAlgorithm = "sha256" | "sha512";

const GRAMMAR = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/**
 * `text` as a digest.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for another algorithm, `MALFORMED` for all else
 */
export function parseDigest(text: string, what: string): OciDigest {
  if (GRAMMAR.test(text)) return text as OciDigest;
  const algorithm = /^([a-z0-9]+(?:[.+_-][a-z0-9]+)*):[a-zA-Z0-9=_-]+$/.exec(text)?.[1];
  const shown = JSON.stringify(text.slice(0, 160));
  if (algorithm !== undefined && algorithm !== "sha256" && algorithm !== "sha512") {
    const message = `${what}: expected a digest by sha256 or sha512, got ${shown}`;
    throw new FormatError("UNSUPPORTED", message);
  }
  throw new FormatError("MALFORMED", `${what}: expected sha256:<64 lower-case hex>, got ${shown}`);
}

export function isDigest(text: string): text is OciDigest {
  return GRAMMAR.test(text);
}

export function algorithmOf(digest: OciDigest): OciAlgorithm {
  return digest.startsWith("sha256:") ? "sha256" : "sha512";
}

/** The path of a blob in a layout, `blobs/sha256/<hex>` (OCI image spec, image-layout.md). */
export function blobPath(digest: OciDigest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** Hashes a stream of bytes to a digest. */
export class DigestHasher {
  readonly #algorithm: OciAlgorithm;
  readonly #hash: Hash;

  constructor(algorithm: OciAlgorithm) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): this {
    this.#hash.update(chunk);
    return this;
  }

  digest(): OciDigest {
    return `${this.#algorithm}:${this.#hash.digest("hex")}` as OciDigest;
  }
}

export function digestOf(bytes: Uint8Array, algorithm: OciAlgorithm = "sha256"): OciDigest {
  return new DigestHasher(algorithm).update(bytes).digest();
}

/** @throws {@link IntegrityError} `DIGEST_MISMATCH` */
export function verifyDigest(expected: OciDigest, got: OciDigest, what: string): void {
  if (expected === got) return;
  throw new IntegrityError("DIGEST_MISMATCH", `${what}: expected digest ${expected}, got ${got}`);
}

/** @throws {@link IntegrityError} `SIZE_MISMATCH` */
export function verifySize(expected: number, got: number, what: string): void {
  if (expected === got) return;
  throw new IntegrityError("SIZE_MISMATCH", `${what}: expected ${expected} bytes, got ${got}`);
}
