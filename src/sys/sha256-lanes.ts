/**
 * SHA-256 of several blocks at a time: a processor with SHA instructions, which wait for one
 * another within a message, hashes two messages in the time of one.
 *
 * OpenSSL has that for its own TLS records, as `sha256_multi_block`
 * (crypto/sha/asm/sha256-mb-x86_64.pl, OpenSSL 3): Node's executable exports it, but no header
 * declares it. So it is only used where it is found, and after it was seen to give the same hashes
 * as node:crypto; everywhere else blocks are hashed one by one.
 *
 * @module
 */
import { type BlockHash, blockHash, useBlockHash } from "../verity/block-hash.ts";
import { VERITY_BLOCK_SIZE, verityAlgorithms } from "../verity/verity-digest.ts";
import { addressOf, loadLibc } from "./koffi.ts";

/** Messages at a time: OpenSSL takes them by four. */
const LANES = 4;
const HASH_BYTES = verityAlgorithms.sha256.digestSize;
/** Words of a hash, each for every lane; the context has room for eight lanes. */
const STATE_WORDS = HASH_BYTES / 4;
const CONTEXT_BYTES = STATE_WORDS * 8 * 4;
const CONTEXT_ALIGN = 32;
/** What a lane reads: an address of 8 bytes, and how many of SHA-256's own blocks from there on. */
const INPUT_WORDS = 4;
const SHA_BLOCK = 64;
/** The state that SHA-256 starts with (FIPS 180-4, section 5.3.3). */
const START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** Bits of a block: what its padding ends with (FIPS 180-4, section 5.1.1). */
const BLOCK_BITS = VERITY_BLOCK_SIZE * 8;

type MultiBlock = (context: Uint8Array, inputs: Uint8Array, quartets: number) => number;

/** Hashes blocks several at a time. */
export class Sha256Lanes {
  readonly #multiBlock: MultiBlock;
  // Memory of its own, which C may point to: small arrays would be V8's, and move.
  readonly #context = alignedBytes(CONTEXT_BYTES);
  readonly #state = wordsOf(this.#context);
  readonly #start = new Uint32Array(this.#state.length);
  readonly #inputs = alignedBytes(LANES * INPUT_WORDS * 4);
  readonly #inputWords = wordsOf(this.#inputs);
  readonly #padding = alignedBytes(SHA_BLOCK);
  readonly #paddings = alignedBytes(LANES * INPUT_WORDS * 4);

  private constructor(multiBlock: MultiBlock) {
    this.#multiBlock = multiBlock;
    for (let i = 0; i < this.#start.length; i++) this.#start[i] = START[i >> 3]!;
    this.#padding[0] = 0x80;
    new DataView(this.#padding.buffer, this.#padding.byteOffset).setUint32(60, BLOCK_BITS);
    const at = Number(addressOf(this.#padding));
    const words = wordsOf(this.#paddings);
    for (let lane = 0; lane < LANES; lane++) setInput(words, lane, at, 1);
  }

  /**
   * Undefined where this cannot be: another processor, no koffi, another OpenSSL; `plain` is
   * compared with.
   */
  static load(plain: BlockHash): Sha256Lanes | undefined {
    if (process.arch !== "x64" || !process.versions.openssl.startsWith("3.")) return undefined;
    try {
      const multiBlock = loadLibc().func<Parameters<MultiBlock>>(
        "void sha256_multi_block(void *context, const void *inputs, int quartets)",
      );
      const lanes = new Sha256Lanes(multiBlock);
      return lanes.#isLike(plain) ? lanes : undefined;
    } catch {
      return undefined; // no koffi, or an executable without it
    }
  }

  /** As {@link BlockHash.hashBlocks}; `data` must not be shared memory. */
  hashBlocks(data: Uint8Array, at: number, count: number, out: Uint8Array, to: number): void {
    // C would read on, and what it read could be somebody's secret or no memory at all.
    const isInside = at >= 0 && at + count * VERITY_BLOCK_SIZE <= data.length;
    if (!isInside) throw new RangeError(`${count} blocks at ${at} of ${data.length} bytes`);
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const start = Number(addressOf(data)) + at;
    for (let done = 0; done < count; done += LANES) {
      const some = Math.min(LANES, count - done);
      this.#hash(start + done * VERITY_BLOCK_SIZE, some);
      for (let lane = 0; lane < some; lane++) {
        const hash = to + (done + lane) * HASH_BYTES;
        for (let i = 0; i < STATE_WORDS; i++) {
          view.setUint32(hash + i * 4, this.#state[i * 8 + lane]!);
        }
      }
    }
  }

  /** Hashes up to four blocks from an address on; the state has the result. */
  #hash(address: number, lanes: number): void {
    this.#state.set(this.#start);
    for (let lane = 0; lane < LANES; lane++) {
      const from = address + lane * VERITY_BLOCK_SIZE;
      if (lane < lanes) setInput(this.#inputWords, lane, from, VERITY_BLOCK_SIZE / SHA_BLOCK);
      else setInput(this.#inputWords, lane, 0, 0);
    }
    this.#multiBlock(this.#context, this.#inputs, 1);
    this.#multiBlock(this.#context, this.#paddings, 1);
  }

  /** Compares with another implementation: every number of lanes, each with other bytes. */
  #isLike(plain: BlockHash): boolean {
    const data = new Uint8Array(2 * LANES * VERITY_BLOCK_SIZE);
    for (let i = 0; i < data.length; i++) data[i] = Math.imul(i, 0x9e3779b1) >>> 24;
    for (let count = 1; count <= 2 * LANES; count++) {
      const [got, wanted] = [plain, this].map((hash) => {
        const out = Buffer.alloc(2 * LANES * HASH_BYTES);
        hash.hashBlocks(data, 0, count, out, 0);
        return out;
      });
      if (!got!.equals(wanted!)) return false;
    }
    return true;
  }
}

/** Has a lane read a number of SHA-256's blocks from an address on. */
function setInput(words: Uint32Array, lane: number, address: number, blocks: number): void {
  const at = lane * INPUT_WORDS;
  words[at] = address; // elements take a value modulo 2^32
  words[at + 1] = address / 2 ** 32;
  words[at + 2] = blocks;
}

function alignedBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(length + CONTEXT_ALIGN));
  const offset = -Number(addressOf(bytes) % BigInt(CONTEXT_ALIGN)) & (CONTEXT_ALIGN - 1);
  return bytes.subarray(offset, offset + length);
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Blocks that a thread hashes one by one before it loads anything: about as long as that takes. */
const BLOCKS_BEFORE = 512;
/** Fewer gain nothing. */
const LEAST_BLOCKS = 2;

/**
 * Has this thread hash blocks several at a time, where that can be, once there are many of them.
 */
export function hashInLanes(): void {
  const plain = blockHash("sha256");
  let left = BLOCKS_BEFORE;
  let lanes: Sha256Lanes | undefined;
  const hashBlocks: BlockHash["hashBlocks"] = (data, at, count, out, to) => {
    if (left > 0 && (left -= count) <= 0) lanes = Sha256Lanes.load(plain);
    const isFit = count >= LEAST_BLOCKS && !(data.buffer instanceof SharedArrayBuffer);
    (isFit && lanes !== undefined ? lanes : plain).hashBlocks(data, at, count, out, to);
  };
  useBlockHash({ ...plain, hashBlocks });
}
