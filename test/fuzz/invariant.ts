/**
 * What every fuzz target asserts: untrusted bytes give a value, or an error that sealfs throws on
 * purpose.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SealfsError } from "../../src/errors.ts";

/** The value of `work`; undefined when it refuses with a typed error. Anything else passes through. */
export function accepted<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
}

/** As {@link accepted}. */
export async function acceptedLater<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
}

/** Two readings of the same bytes, or a value before and after it was written and read. */
export function same(left: unknown, right: unknown, what: string): void {
  assert.deepStrictEqual(right, left, what);
}

/** `bytes` in pieces of a length that they themselves decide. */
export function* pieces(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  const step = 1 + (((bytes[0] ?? 0) * 7 + bytes.length) % 613);
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

/**
 * A dump without the marks of directories with whiteouts. A file may have the attribute of an escaped
 * whiteout already in the tree; its directory is then marked only when the image is written again.
 */
export function withoutMarks(dump: string): string {
  return dump.replace(/ (?:trusted|user)\.overlay\.opaque=\S*/g, "");
}
