/** Objects that come while they are read: right blocks only, from any source that has them, each once. */
import { setMaxListeners } from "node:events";
import { chmodSync, closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, writeFileSync } from "node:fs"; // prettier-ignore
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { NotFoundError, NetworkError } from "../../../src/errors.ts";
import { Health } from "../../../src/mirror/health.ts";
import { LazyObjects, type LazyOptions } from "../../../src/mirror/lazy-objects.ts";
import type { ByteRange, ObjectSource, WantedObject } from "../../../src/mirror/source.ts";
import { PartialObject, openPartial } from "../../../src/store/partial-objects.ts";
import { StagingDirectory } from "../../../src/store/staging.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { Gate } from "../../support/gate.ts";
import { until } from "../../support/until.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

const BLOCK = 4096;
const MIB = 1024 * 1024;
let scratch: string;
let store: Store;
let lazy: LazyObjects | undefined;

beforeEach(() => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
});
afterEach(() => {
  lazy?.close();
  lazy = undefined;
});

interface Made extends WantedObject {
  readonly content: Buffer;
  readonly leaves: Uint8Array;
}

function made(size: number, seed = 1): Made {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let at = 0; at < words.length; at++) words[at] = at * 2654435761 + seed;
  const content = Buffer.from(words.buffer, 0, size);
  return { content, size, ...leavesOf(content) };
}

interface How {
  readonly leaves?: Uint8Array | undefined;
  readonly spoil?: (content: Buffer, range: ByteRange) => Uint8Array;
  /** What the piece that begins at this byte of the object waits for. */
  readonly pause?: (at: number) => Promise<unknown> | undefined;
  readonly fail?: () => Error | undefined;
}

/** A source of one object, that remembers what it was asked. */
class Fake implements ObjectSource {
  readonly kind = "mirror";
  readonly asked: ByteRange[] = [];
  leavesAsked = 0;
  /** Reads that have come to their end, or were given up. */
  ended = 0;
  readonly leaves?: NonNullable<ObjectSource["leaves"]>;
  readonly name: string;
  readonly object: Made;
  readonly how: How;

  constructor(name: string, object: Made, how: How = {}) {
    this.name = name;
    this.object = object;
    this.how = how;
    if (!("leaves" in how)) return;
    this.leaves = () => {
      this.leavesAsked += 1;
      return Promise.resolve(how.leaves);
    };
  }

  cost = () => this.object.size;

  async *read(_object: WantedObject, range: ByteRange): AsyncIterable<Uint8Array> {
    this.asked.push(range);
    const error = this.how.fail?.();
    if (error !== undefined) throw error;
    const right = Buffer.from(this.object.content.subarray(range.start, range.end));
    const bytes = this.how.spoil?.(right, range) ?? right;
    try {
      for (let at = 0; at < bytes.length; at += 50_000) {
        await this.how.pause?.(range.start + at);
        yield bytes.subarray(at, at + 50_000);
      }
    } finally {
      this.ended += 1;
    }
  }

  get bytes(): number {
    return this.asked.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}

const none = new AbortController().signal;
setMaxListeners(0, none);

function from(sources: ObjectSource[], options: Partial<LazyOptions> = {}): LazyObjects {
  const fetchWhole = () => Promise.reject(new Error("not to be fetched whole"));
  lazy = new LazyObjects({
    stores: new Stores([store]),
    sources,
    health: new Health(),
    deadlineMs: 60_000,
    fetchWhole,
    ...options,
  });
  return lazy;
}

function read({ digest }: WantedObject, { start, end }: ByteRange): Buffer {
  const path = existsSync(store.objects.path(digest))
    ? store.objects.path(digest)
    : join(lazy!.directory.path, digest);
  const fd = openSync(path, "r");
  const bytes = Buffer.alloc(end - start);
  const got = readSync(fd, bytes, 0, bytes.length, start);
  closeSync(fd);
  return bytes.subarray(0, got);
}

describe("a small object", () => {
  test("comes whole, once for all who wait, and is published", async () => {
    const object = made(300_000);
    const source = new Fake("a", object);
    const objects = from([source]);
    const range = { start: 0, end: BLOCK };
    await Promise.all([1, 2, 3].map(() => objects.provide(object, range, none)));
    await objects.provide(object, undefined, none);
    expect(source.asked).toEqual([{ start: 0, end: object.size }]);
    expect(openPartial(objects.directory, object.digest).size).toBe(object.size);
    expect(objects.stats()).toEqual({ bytes: object.size, objects: 1, whole: [] });
    objects.close();
    store.objects.verify(object.digest);
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
  });

  test("from a source that lies is not kept; the next one is asked", async () => {
    const object = made(50_000);
    const liar = new Fake("liar", object, { spoil: (bytes) => bytes.fill(0, 100, 101) });
    const short = new Fake("short", object, { spoil: (bytes) => bytes.subarray(1) });
    const long = new Fake("long", object, { spoil: (bytes) => Buffer.concat([bytes, bytes]) });
    const honest = new Fake("honest", object);
    const health = new Health();
    const objects = from([liar, short, long, honest], { health });
    await objects.provide(object, undefined, none);
    expect(read(object, { start: 0, end: object.size }).equals(object.content)).toBe(true);
    expect(health.stats([liar, short, long, honest]).map(({ faults }) => faults.wrong)).toEqual([
      1, 1, 1, 0,
    ]);
  });

  test("that nobody has is one error with each reason, and can be had once somebody has it", async () => {
    const object = made(50_000);
    let there = false;
    const fail = () => (there ? undefined : new NetworkError("UNREACHABLE", "no route"));
    const sources = [new Fake("a", object, { fail }), new Fake("b", object, { fail })];
    // Asked at once, after 0.25 and 0.75 s; the next time would be too late.
    const objects = from(sources, { deadlineMs: 1700 });
    await expect(objects.provide(object, undefined, none)).rejects.toMatchObject({
      code: "ALL_FAILED",
      message: expect.stringMatching(/a: no route.*b: no route/),
    });
    there = true;
    await objects.provide(object, undefined, none);
    expect(read(object, { start: 0, end: 9 })).toEqual(object.content.subarray(0, 9));
  });
});

describe("a large object", () => {
  test("gives its leaf hashes first, then only what is read", async () => {
    const object = made(8 * MIB + 5);
    const source = new Fake("a", object, { leaves: object.leaves });
    const objects = from([source]);
    await objects.provide(object, undefined, none);
    expect([source.leavesAsked, source.asked]).toEqual([1, []]);
    const range = { start: 5 * MIB, end: 5 * MIB + BLOCK };
    await objects.provide(object, range, none);
    expect(read(object, range)).toEqual(object.content.subarray(range.start, range.end));
    expect(source.bytes).toBe(128 * 1024);
    await objects.provide(object, { start: 5 * MIB + BLOCK, end: 5 * MIB + 2 * BLOCK }, none);
    await objects.provide(object, { start: object.size - 5, end: object.size }, none);
    expect(read(object, { start: 8 * MIB, end: object.size }).length).toBe(5);
    expect(source.bytes).toBeLessThan(MIB);
    expect(store.readLeaves(object.digest)).toEqual(object.leaves);
  });

  test("read in order comes in few requests, is asked for once, and is published when it is whole", async () => {
    const object = made(16 * MIB + 1);
    const source = new Fake("a", object, { leaves: object.leaves });
    const objects = from([source]);
    for (let start = 0; start < object.size; start += 128 * 1024) {
      const range = { start, end: Math.min(start + 128 * 1024, object.size) };
      await objects.provide(object, range, none);
      expect(read(object, range).equals(object.content.subarray(range.start, range.end))).toBe(
        true,
      );
    }
    expect(source.bytes).toBe(object.size);
    expect(source.asked.length).toBeLessThan(16);
    objects.close();
    store.objects.verify(object.digest);
  });

  test("a bad block blames its source and comes from the next one; good ones do not come twice", async () => {
    const object = made(4 * MIB);
    const health = new Health();
    const liar = new Fake("liar", object, {
      leaves: object.leaves,
      spoil: (bytes, { start }) => {
        const at = 100 * BLOCK - start;
        if (at >= 0 && at < bytes.length) bytes[at]! ^= 1;
        return bytes;
      },
    });
    const honest = new Fake("honest", object, { leaves: object.leaves });
    const objects = from([liar, honest], { health });
    const range = { start: 96 * BLOCK, end: 128 * BLOCK };
    await objects.provide(object, range, none);
    expect(read(object, range).equals(object.content.subarray(range.start, range.end))).toBe(true);
    expect(honest.asked).toEqual([{ start: 100 * BLOCK, end: 128 * BLOCK }]);
    expect(health.stats([liar])[0]!.lastFault).toMatch(/block 100 is not as signed/);
  });

  test("leaf hashes that are wrong are not believed, whichever source sends them", async () => {
    const object = made(3 * MIB);
    const liar = new Fake("liar", object, { leaves: made(3 * MIB, 9).leaves });
    const short = new Fake("short", object, { leaves: object.leaves.subarray(32) });
    const empty = new Fake("empty", object, { leaves: undefined });
    const honest = new Fake("honest", object, { leaves: object.leaves });
    const health = new Health();
    const objects = from([liar, short, empty, honest], { health });
    await objects.provide(object, { start: 0, end: BLOCK }, none);
    expect(read(object, { start: 0, end: BLOCK })).toEqual(object.content.subarray(0, BLOCK));
    const wrong = health.stats([liar, short, empty, honest]).map(({ faults }) => faults.wrong);
    expect(wrong).toEqual([1, 1, 0, 0]);
  });

  test("leaf hashes that the store has are used, when they are right, and nobody is asked", async () => {
    const object = made(3 * MIB);
    const other = made(3 * MIB, 2);
    store.writeLeaves(object.digest, object.leaves);
    store.writeLeaves(other.digest, object.leaves);
    const source = new Fake("a", object);
    const objects = from([source], { fetchWhole: () => Promise.resolve() });
    const range = { start: MIB, end: MIB + BLOCK };
    await objects.provide(object, range, none);
    expect(read(object, range)).toEqual(object.content.subarray(range.start, range.end));
    expect(source.bytes).toBeLessThan(MIB);
    await objects.provide(other, range, none);
    expect(objects.stats().whole.map(({ digest }) => digest)).toEqual([other.digest]);
  });

  test("what an earlier mount has fetched of it is not fetched again, as far as it is right", async () => {
    const object = made(4 * MIB);
    const source = new Fake("a", object, { leaves: object.leaves });
    const first = from([source]);
    await first.provide(object, { start: MIB, end: MIB + 32 * BLOCK }, none);
    const before = source.bytes;
    first.close();
    const [left] = readdirSync(join(store.path, "tmp"));
    const path = join(store.path, "tmp", left!);
    const bytes = readFileSync(path);
    bytes[MIB + 3 * BLOCK + 5]! ^= 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    chmodSync(path, 0o444);
    const second = from([source]);
    await second.provide(object, { start: MIB + 4 * BLOCK, end: MIB + 32 * BLOCK }, none);
    expect(source.bytes).toBe(before);
    await second.provide(object, { start: MIB + 3 * BLOCK, end: MIB + 4 * BLOCK }, none);
    expect(source.bytes).toBeGreaterThan(before);
    const range = { start: MIB, end: MIB + 32 * BLOCK };
    expect(read(object, range).equals(object.content.subarray(range.start, range.end))).toBe(true);
  });

  test("what is whole when it is found again is published at once", async () => {
    const object = made(2 * MIB);
    const source = new Fake("a", object, { leaves: object.leaves });
    const staging = StagingDirectory.create(store);
    const part = PartialObject.begin(staging, object, object.leaves);
    part.write(0, object.content);
    part.leave(store);
    staging.remove();
    const objects = from([source]);
    await objects.provide(object, { start: 0, end: BLOCK }, none);
    expect(source.asked).toEqual([]);
    objects.close();
    store.objects.verify(object.digest);
  });

  test("of which nobody has leaf hashes is fetched whole, and that is told", async () => {
    const object = made(3 * MIB);
    const whole: string[] = [];
    const objects = from([new Fake("a", object, { leaves: undefined }), new Fake("b", object)], {
      fetchWhole: async ({ digest }) => void whole.push(digest),
    });
    const range = { start: 0, end: BLOCK };
    await Promise.all([1, 2].map(() => objects.provide(object, range, none)));
    expect(whole).toEqual([object.digest]);
    expect(objects.stats().whole).toMatchObject([
      { digest: object.digest, reason: "no source has its leaf hashes" },
    ]);
  });

  test("a read of the first blocks does not wait for the last ones of the same request", async () => {
    const object = made(2 * MIB);
    const gate = new Gate();
    const pause = (at: number) => (at > 512 * 1024 ? gate.opened : undefined);
    const source = new Fake("slow", object, { leaves: object.leaves, pause });
    const objects = from([source]);
    await objects.provide(object, { start: 0, end: 512 * 1024 }, none);
    const [first] = source.asked;
    expect(first!.end).toBeGreaterThan(512 * 1024);
    expect(source.ended).toBe(0);
    gate.open();
  });

  test("thirty readers at random: right blocks, none fetched twice", async () => {
    const object = made(6 * MIB + 777);
    const source = new Fake("a", object, { leaves: object.leaves, pause: () => turn() });
    const objects = from([source]);
    let seed = 12345;
    const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        for (let i = 0; i < 20; i++) {
          const start = random(object.size >> 12) * BLOCK;
          const range = { start, end: Math.min(start + (1 + random(32)) * BLOCK, object.size) };
          await objects.provide(object, range, none);
          expect(read(object, range).equals(object.content.subarray(start, range.end))).toBe(true);
        }
      }),
    );
    expect(source.bytes).toBeLessThanOrEqual(object.size);
  });
});

describe("time", () => {
  test("a read never waits longer than its deadline, and what comes later is kept", async () => {
    const object = made(3 * MIB);
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const gate = new Gate();
    const pause = (at: number) => (at > 512 * 1024 ? gate.opened : undefined);
    const source = new Fake("slow", object, { leaves: object.leaves, pause });
    const objects = from([source], { deadlineMs: 250 });
    const late = objects.provide(object, { start: 0, end: MIB }, none);
    late.catch(() => undefined);
    while (objects.stats().bytes === 0) await turn();
    await vi.advanceTimersByTimeAsync(250);
    await expect(late).rejects.toMatchObject({
      message: expect.stringMatching(/slow|not there after/),
    });
    gate.open();
    const range = { start: 0, end: 64 * BLOCK };
    expect(read(object, range).equals(object.content.subarray(range.start, range.end))).toBe(true);
  });

  test("an interrupted read stops waiting; the others get what they asked for", async () => {
    const object = made(200_000);
    const gate = new Gate();
    const source = new Fake("slow", object, { pause: () => gate.opened });
    const objects = from([source]);
    const first = new AbortController();
    const waiting = objects.provide(object, undefined, first.signal);
    const other = objects.provide(object, undefined, none);
    first.abort(new Error("interrupted"));
    await expect(waiting).rejects.toThrow("interrupted");
    gate.open();
    await other;
    expect(source.asked.length).toBe(1);
  });

  test("after the end nothing is written any more, and nothing stays in the staging area", async () => {
    const object = made(3 * MIB);
    const gate = new Gate();
    const pause = (at: number) => (at > 512 * 1024 ? gate.opened : undefined);
    const source = new Fake("slow", object, { leaves: object.leaves, pause });
    const objects = from([source]);
    const waiting = objects.provide(object, { start: 0, end: 2 * MIB }, none);
    waiting.catch(() => undefined);
    await until(() => objects.stats().bytes > 0);
    objects.close();
    await expect(waiting).rejects.toThrow(/the mount has ended/);
    gate.open();
    await until(() => source.ended === source.asked.length);
    expect(readdirSync(join(store.path, "tmp"))).toEqual([`partial-blocks-${object.digest}`]);
    expect(() => openPartial(objects.directory, object.digest)).toThrow(NotFoundError);
  });
});
