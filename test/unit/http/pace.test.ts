/** The least pace of a body, by a clock that the tests move (docs/hostile-inputs.md, 115). */
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NetworkError } from "../../../src/errors.ts";
import { readBody } from "../../../src/http/body.ts";
import { usualPace } from "../../../src/http/timeouts.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const WINDOW = usualPace.windowMs;
const LEAST = 30_000;

interface Reading {
  /** Bytes until the body ended, or the code of the error. */
  readonly result: number | string;
  /** When, in ms. */
  readonly at: number;
}

/** Reads a body that brings `[ms, bytes]`, counted from its start, and that ends at `end`. */
async function read(
  chunks: readonly (readonly [number, number])[],
  end: number,
  onChunk: () => Promise<void> = () => Promise.resolve(),
): Promise<Reading> {
  const stream = new PassThrough({ highWaterMark: 1 << 30 });
  for (const [ms, bytes] of chunks) setTimeout(() => stream.write(Buffer.alloc(bytes)), ms);
  setTimeout(() => stream.end(), end);
  stream.on("error", () => undefined);
  const rules = { what: "a body", exactly: undefined, max: 1 << 30, pace: usualPace };
  const start = performance.now();
  let reading: Reading | undefined;
  const ended = async () => {
    let got = 0;
    let result: number | string;
    try {
      for await (const chunk of readBody(stream, rules, new AbortController().signal)) {
        got += chunk.length;
        await onChunk();
      }
      result = got;
    } catch (error) {
      result = error instanceof NetworkError ? error.code : String(error);
    }
    reading = { result, at: performance.now() - start };
  };
  void ended();
  for (let now = 0; reading === undefined && now < 1e8; now += WINDOW) {
    await vi.advanceTimersByTimeAsync(WINDOW);
  }
  return reading!;
}

const every = (ms: number, bytes: number, count: number, from: number) =>
  Array.from({ length: count }, (_, i) => [from + i * ms, bytes] as const);

test("30,000 bytes in each window are enough, wherever in it they come", async () => {
  for (const chunks of [
    every(WINDOW, LEAST, 10, 1),
    every(WINDOW, LEAST, 10, WINDOW - 1),
    every(WINDOW, LEAST, 10, WINDOW),
    every(1000, 1000, 300, 1000),
  ]) {
    expect((await read(chunks, 10 * WINDOW)).result).toBe(10 * LEAST);
  }
});

test("a byte less in any window is too slow", async () => {
  const short = every(WINDOW, LEAST, 10, 1).map(([ms, bytes], i) =>
    i === 6 ? ([ms, bytes - 1] as const) : ([ms, bytes] as const),
  );
  const { result, at } = await read(short, 20 * WINDOW);
  expect([result, Math.floor(at / WINDOW)]).toEqual(["TOO_SLOW", 7]);
});

test.each([
  ["half of the least pace", 500, "TOO_SLOW"],
  ["a byte a second less than it", 999, "TOO_SLOW"],
  ["a byte a second more than it", 1001, 300 * 1001],
])("a steady sender at %s", async (_, bytes, expected) => {
  expect((await read(every(1000, bytes, 300, 1), 10 * WINDOW)).result).toBe(expected);
});

test.each([59_000, 45_000, 31_000])(
  "bursts of 30,000 bytes every %s ms are too slow",
  async (ms) => {
    expect((await read(every(ms, LEAST, 60, 1), 61 * ms)).result).toBe("TOO_SLOW");
  },
);

test.each([0, 1, 29_999])("a byte after a window that brought %s is too late", async (before) => {
  // At the same time as the window's own timer, and before it in the order of timers.
  const chunks = [[1, before] as const, [WINDOW + 1, 1] as const].filter(([, n]) => n > 0);
  const { result, at } = await read(chunks, 10 * WINDOW);
  expect([result, at]).toEqual(["TOO_SLOW", WINDOW + 1]);
});

test("a byte just before the end of each window does not begin a new one", async () => {
  const { result, at } = await read(every(WINDOW - 1, 1, 100, WINDOW - 1), 100 * WINDOW);
  expect([result, Math.floor(at / WINDOW)]).toEqual(["TOO_SLOW", 1]);
});

test("what came in one window counts for no other", async () => {
  const { result, at } = await read([[1, 1 << 20]], 10 * WINDOW);
  expect([result, Math.floor(at / WINDOW)]).toEqual(["TOO_SLOW", 2]);
});

test("time in which the reader does something else is in no window", async () => {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10 * WINDOW));
  const chunks = every(11 * WINDOW, 1000, 20, 1);
  // Of each eleven windows ten are the reader's own.
  expect((await read(chunks.slice(0, 1), 10 * WINDOW, pause)).result).toBe(1000);
  expect((await read(chunks, 300 * WINDOW, pause)).result).toBe("TOO_SLOW");
});
