/**
 * One hash behind several implementations: node:crypto (OpenSSL) where it exists, @noble/hashes
 * elsewhere. All give the same bytes; the first is ten times faster. A caller with a faster one
 * for runs of blocks registers it ({@link useBlockHash}).
 *
 * @module
 */
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { type ByteString, toByteString } from "../bytes/bytestring.ts";
import { VERITY_BLOCK_SIZE, type VerityAlgorithm, verityAlgorithms } from "./verity-digest.ts";

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
  /**
   * Writes the hashes of `count` whole blocks, which lie one after the other in `data` from `at` on,
   * into `out` at `to`. The two may be the same memory when `to` is not behind `at`.
   */
  hashBlocks(data: Uint8Array, at: number, count: number, out: Uint8Array, to: number): void;
}

type Latin1Write = (this: Uint8Array, text: string, at: number, length: number) => number;

/** The implementation over @noble/hashes, for every JavaScript runtime. */
export function portableHash(algorithm: VerityAlgorithm): BlockHash {
  const digest = algorithm === "sha256" ? sha256 : sha512;
  return {
    algorithm,
    size: verityAlgorithms[algorithm].digestSize,
    hash: (message) => toByteString(digest(message)),
    hashInto: (message, out, at) => out.set(digest(message), at),
    hex: (message) => bytesToHex(digest(message)),
    hashBlocks: oneByOne,
  };
}

/** Blocks by {@link BlockHash.hashInto}. */
function oneByOne(
  this: BlockHash,
  data: Uint8Array,
  at: number,
  count: number,
  out: Uint8Array,
  to: number,
): void {
  for (let i = 0; i < count; i++) {
    // Plain views are made several times faster than Node's Buffers.
    const start = data.byteOffset + at + i * VERITY_BLOCK_SIZE;
    const block = new Uint8Array(data.buffer, start, VERITY_BLOCK_SIZE);
    this.hashInto(block, out, to + i * this.size);
  }
}

/** The implementation over node:crypto; undefined where that is missing. */
export function nodeHash(algorithm: VerityAlgorithm): BlockHash | undefined {
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (typeof crypto?.hash !== "function") return undefined;
  const { hash: digest } = crypto;
  const size: number = verityAlgorithms[algorithm].digestSize;
  // A latin1 string and one native copy cost half of what a Hash object or a Buffer result does.
  const { latin1Write } = Buffer.prototype as unknown as { latin1Write: Latin1Write };
  const hash = (message: Uint8Array) =>
    digest(algorithm, message, "latin1" as "binary") as ByteString;
  return {
    algorithm,
    size,
    hash,
    hashInto: (message, out, at) => void latin1Write.call(out, hash(message), at, size),
    hex: (message) => digest(algorithm, message, "hex"),
    hashBlocks: oneByOne,
  };
}

const chosen = new Map<VerityAlgorithm, BlockHash>();

/** Makes this thread use `hash` from now on; it must give the same bytes as the others. */
export function useBlockHash(hash: BlockHash): void {
  chosen.set(hash.algorithm, hash);
}

/** The fastest implementation that this runtime has. */
export function blockHash(algorithm: VerityAlgorithm): BlockHash {
  let hash = chosen.get(algorithm);
  if (hash === undefined) {
    hash = nodeHash(algorithm) ?? portableHash(algorithm);
    chosen.set(algorithm, hash);
  }
  return hash;
}
