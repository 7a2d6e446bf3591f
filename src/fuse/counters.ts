/**
 * What a mount's threads have done: counts in memory that they share with the process's main
 * thread. Each thread has a row of its own, so that counting takes no lock and no atomic operation:
 * about a nanosecond. A reader adds the rows up, and may miss what happens at that moment.
 *
 * @module
 */
import { Opcode } from "./wire.ts";

/** Why a request failed, in one word. */
const failureCauses = [
  /** No place has the object. */
  "missing",
  /** An object is longer or shorter than the image says. */
  "size",
  /** Its bytes are not the signed ones. */
  "content",
  /** A place could not be read, or what stands there is no regular file. */
  "storage",
  /** Sources were asked for it, in vain. */
  "fetch",
  /** Anything else: the log has the words. */
  "other",
] as const;
export type FailureCause = (typeof failureCauses)[number];

/** Kinds of requests of which it is counted how long they took. */
export const latencyKinds = ["read", "metadata"] as const;
export type LatencyKind = (typeof latencyKinds)[number];

/** How long requests took. */
export interface Latency {
  /** How many took no longer than {@link latencyBounds}, each with those before it; then all. */
  readonly buckets: readonly number[];
  /** All together, in milliseconds. */
  readonly sumMs: number;
}

/** All counts of one mount since it began. */
export interface CounterValues {
  /**
   * Requests that were answered, by the names of their operations; those that never came are left
   * out.
   */
  readonly requests: Readonly<Record<string, number>>;
  /** Bytes of content that readers were given. */
  readonly readBytes: number;
  /** Times that an object's file was opened. */
  readonly objectOpens: number;
  /** 4 KiB blocks that were compared with their digest before they were given out. */
  readonly verifiedBlocks: number;
  /** Bytes that were read in order to learn an object's leaf hashes. */
  readonly hashedBytes: number;
  readonly failures: Readonly<Record<FailureCause, number>>;
  readonly latency: Readonly<Record<LatencyKind, Latency>>;
}

const OPCODES = 64;
const BUCKETS = 24;
/** Upper bounds of the classes of latency in milliseconds: 8 microseconds to 67 seconds. */
export const latencyBounds: readonly number[] = Array.from(
  { length: BUCKETS },
  (_, i) => (8 << i) / 1000,
);

// A row, in doubles: requests by opcode, single counts, failures, then per kind buckets and sum.
const READ_BYTES = OPCODES;
const OBJECT_OPENS = READ_BYTES + 1;
const VERIFIED_BLOCKS = OBJECT_OPENS + 1;
const HASHED_BYTES = VERIFIED_BLOCKS + 1;
const FAILURES = HASHED_BYTES + 1;
const LATENCY = FAILURES + failureCauses.length;
const LATENCY_WORDS = BUCKETS + 2;
const ROW = Math.ceil((LATENCY + latencyKinds.length * LATENCY_WORDS) / 8) * 8;
const WORD_BYTES = 8;

/** Memory for the counts of this number of threads. */
export function counterMemory(rows: number): SharedArrayBuffer {
  return new SharedArrayBuffer(rows * ROW * WORD_BYTES);
}

/** The counts of one thread. */
export class Counters {
  readonly #row: Float64Array;

  /** The row of that number; by default one that nobody looks at. */
  constructor(memory = counterMemory(1), row = 0) {
    this.#row = new Float64Array(memory, row * ROW * WORD_BYTES, ROW);
  }

  /** A request was answered, with this many bytes of payload; negative for an error. */
  answered(opcode: number, payload: number): void {
    this.#row[opcode < OPCODES ? opcode : 0]! += 1;
    if (opcode === Opcode.READ && payload > 0) this.#row[READ_BYTES]! += payload;
  }

  /** A reader got this many bytes; where {@link answered} does not know. */
  gave(bytes: number): void {
    this.#row[READ_BYTES]! += bytes;
  }

  /** A request that was read `ms` ago has its answer. */
  took(opcode: number, ms: number): void {
    const bucket = 32 - Math.clz32((ms * 1000) >> 3);
    const at = LATENCY + (opcode === Opcode.READ ? 0 : LATENCY_WORDS);
    this.#row[at + Math.min(bucket, BUCKETS)]! += 1;
    this.#row[at + BUCKETS + 1]! += ms;
  }

  failed(cause: FailureCause): void {
    this.#row[FAILURES + failureCauses.indexOf(cause)]! += 1;
  }

  openedObject(): void {
    this.#row[OBJECT_OPENS]! += 1;
  }

  verified(blocks: number): void {
    this.#row[VERIFIED_BLOCKS]! += blocks;
  }

  hashed(bytes: number): void {
    this.#row[HASHED_BYTES]! += bytes;
  }

  /** Forgets everything: what was before the first real request. */
  clear(): void {
    this.#row.fill(0);
  }
}

const names = new Map(Object.entries(Opcode).map(([name, opcode]) => [opcode as number, name]));

/** The counts of all threads together. */
export function readCounters(memory: SharedArrayBuffer): CounterValues {
  const all = new Float64Array(memory);
  const sum = new Float64Array(ROW);
  for (let i = 0; i < all.length; i++) sum[i % ROW]! += all[i]!;
  const requests: Record<string, number> = {};
  for (let opcode = 0; opcode < OPCODES; opcode++) {
    if (sum[opcode]! > 0) requests[names.get(opcode) ?? "OTHER"] = sum[opcode]!;
  }
  return {
    requests,
    readBytes: sum[READ_BYTES]!,
    objectOpens: sum[OBJECT_OPENS]!,
    verifiedBlocks: sum[VERIFIED_BLOCKS]!,
    hashedBytes: sum[HASHED_BYTES]!,
    failures: recordOf(failureCauses, (_, i) => sum[FAILURES + i]!),
    latency: recordOf(latencyKinds, (_, i) => latencyOf(sum, LATENCY + i * LATENCY_WORDS)),
  };
}

function latencyOf(sum: Float64Array, at: number): Latency {
  let count = 0;
  const buckets = Array.from({ length: BUCKETS + 1 }, (_, i) => (count += sum[at + i]!));
  return { buckets, sumMs: sum[at + BUCKETS + 1]! };
}

function recordOf<K extends string, V>(
  keys: readonly K[],
  value: (key: K, index: number) => V,
): Record<K, V> {
  return Object.fromEntries(keys.map((key, i) => [key, value(key, i)])) as Record<K, V>;
}
