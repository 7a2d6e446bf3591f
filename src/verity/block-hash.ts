/**
 * One hash behind two implementations: node:crypto (OpenSSL) where it exists, @noble/hashes
 * elsewhere. Both give the same bytes; the first is ten times faster.
 *
 * @module
 */
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { type VerityAlgorithm, verityAlgorithms } from "./digest.ts";

/** A hash function for short messages: data blocks, tree blocks and descriptors. */
export interface BlockHash {
  readonly algorithm: VerityAlgorithm;
  /** Bytes of one hash. */
  readonly size: number;
  /** The hash of `message` as a byte string. */
  hash(message: Uint8Array): ByteString;
  /** Writes the hash of `message` into `out` at `at`; the caller has made room. */
  hashInto(message: Uint8Array, out: Uint8Array, at: number): void;
  /** The hash of `message` in lower-case hex. */
  hex(message: Uint8Array): string;
  /** Whether `bytes` holds the hash of `message` at `at`. */
  matches(message: Uint8Array, bytes: Uint8Array, at: number): boolean;
}

type Latin1Write = (this: Uint8Array, text: string, at: number, length: number) => number;
type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;

/** The implementation over @noble/hashes, for every JavaScript runtime. */
export function portableHash(algorithm: VerityAlgorithm): BlockHash {
  const digest = algorithm === "sha256" ? sha256 : sha512;
  return {
    algorithm,
    size: verityAlgorithms[algorithm].digestSize,
    hash: (message) => toByteString(digest(message)),
    hashInto: (message, out, at) => out.set(digest(message), at),
    hex: (message) => bytesToHex(digest(message)),
    matches: (message, bytes, at) =>
      digest(message).every((byte, index) => byte === bytes[at + index]),
  };
}

/** The implementation over node:crypto; undefined where that is missing. */
export function nodeHash(algorithm: VerityAlgorithm): BlockHash | undefined {
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (typeof crypto?.hash !== "function") return undefined;
  const { hash: digest } = crypto;
  const size: number = verityAlgorithms[algorithm].digestSize;
  // A latin1 string and one native copy cost half of what a Hash object or a Buffer result does.
  const { latin1Write, latin1Slice } = Buffer.prototype as unknown as {
    latin1Write: Latin1Write;
    latin1Slice: Latin1Slice;
  };
  const hash = (message: Uint8Array) =>
    digest(algorithm, message, "latin1" as "binary") as ByteString;
  return {
    algorithm,
    size,
    hash,
    hashInto: (message, out, at) => void latin1Write.call(out, hash(message), at, size),
    hex: (message) => digest(algorithm, message, "hex"),
    matches: (message, bytes, at) => hash(message) === latin1Slice.call(bytes, at, at + size),
  };
}

const chosen = new Map<VerityAlgorithm, BlockHash>();

/** The fastest implementation that this runtime has. */
export function blockHash(algorithm: VerityAlgorithm): BlockHash {
  let hash = chosen.get(algorithm);
  if (hash === undefined) {
    hash = nodeHash(algorithm) ?? portableHash(algorithm);
    chosen.set(algorithm, hash);
  }
  return hash;
}
