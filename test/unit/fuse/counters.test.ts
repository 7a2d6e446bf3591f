/** Counts of a mount: what threads add is what a reader sees. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Counters,
  counterMemory,
  latencyBounds,
  readCounters,
} from "../../../src/fuse/counters.ts";
import { Opcode } from "../../../src/fuse/wire.ts";

describe("counters", () => {
  test("add up over all threads, each in a row of its own", () => {
    const memory = counterMemory(3);
    const threads = [0, 1, 2].map((row) => new Counters(memory, row));
    for (const [i, thread] of threads.entries()) {
      thread.answered(Opcode.READ, 1000 * (i + 1));
      thread.answered(Opcode.READ, -5);
      thread.answered(Opcode.LOOKUP, 128);
      thread.verified(2);
      thread.hashed(4096);
      thread.openedObject();
    }
    threads[1]!.failed("content");
    threads[2]!.failed("content");
    threads[2]!.failed("missing");
    const values = readCounters(memory);
    expect(values.requests).toEqual({ LOOKUP: 3, READ: 6 });
    expect(values.readBytes).toBe(6000);
    expect([values.verifiedBlocks, values.hashedBytes, values.objectOpens]).toEqual([6, 12288, 3]);
    expect(values.failures).toMatchObject({ content: 2, missing: 1, size: 0, other: 0 });
  });

  test("count beyond 32 bits, and operations that nobody knows", () => {
    const memory = counterMemory(1);
    const counters = new Counters(memory);
    counters.answered(Opcode.READ, 2 ** 40);
    counters.answered(Opcode.READ, 1);
    counters.answered(4096, 0);
    expect(readCounters(memory)).toMatchObject({
      readBytes: 2 ** 40 + 1,
      requests: { READ: 2, OTHER: 1 },
    });
  });

  test("put every latency into the first class that is long enough", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 200_000, noNaN: true }), (ms) => {
        const memory = counterMemory(1);
        new Counters(memory).took(Opcode.READ, ms);
        const { buckets, sumMs } = readCounters(memory).latency.read;
        expect(sumMs).toBe(ms);
        expect(buckets.length).toBe(latencyBounds.length + 1);
        expect(buckets.at(-1)).toBe(1);
        const first = buckets.indexOf(1);
        // To the microsecond, in which they are classed.
        if (first < latencyBounds.length) expect(Math.floor(ms * 1000)).toBeLessThanOrEqual(latencyBounds[first]! * 1000); // prettier-ignore
        if (first > 0) expect(ms).toBeGreaterThanOrEqual(latencyBounds[first - 1]!);
      }),
    );
  });

  test("start anew when they are cleared", () => {
    const memory = counterMemory(2);
    const counters = new Counters(memory, 1);
    counters.answered(Opcode.LOOKUP, 1);
    counters.took(Opcode.LOOKUP, 3);
    counters.clear();
    expect(readCounters(memory).requests).toEqual({});
    expect(readCounters(memory).latency.metadata.buckets.at(-1)).toBe(0);
  });
});
