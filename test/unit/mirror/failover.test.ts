/** Asking sources in turn: who is asked, who is blamed, how long it may take. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FetchError, NotFoundError, SystemError, NetworkError } from "../../../src/errors.ts";
import { failover } from "../../../src/mirror/failover.ts";
import { Health } from "../../../src/mirror/health.ts";
import type { ObjectSource } from "../../../src/mirror/source.ts";
import { FakeSource, readWhole, wanted } from "../../support/fake-source.ts";

const content = Buffer.alloc(40_000, "content of one object ");
const object = wanted(content);

function ask(
  sources: readonly ObjectSource[],
  health = new Health(),
  deadlineMs = 10_000,
  isPatient = false,
) {
  return failover({
    isPatient,
    object,
    sources,
    health,
    deadlineMs,
    attempt: (source, attempt) => readWhole(source, object, attempt),
  });
}

const thrown = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Moves the clock on until `promise` has come to its end; how many ms that takes. */
async function msUntil(promise: Promise<unknown>): Promise<number> {
  const start = performance.now();
  let isOver = false;
  const end = () => (isOver = true);
  promise.then(end, end);
  await vi.advanceTimersByTimeAsync(0);
  while (!isOver) await vi.advanceTimersToNextTimerAsync();
  return performance.now() - start;
}

describe("one object", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("comes from the first source that has it right, and those before it are blamed", async () => {
    const dead = new FakeSource("dead", [content], "dead");
    const liar = new FakeSource("liar", [content], "wrong");
    const good = new FakeSource("good", [content]);
    const spare = new FakeSource("spare", [content]);
    const health = new Health();
    expect(await ask([dead, liar, good, spare], health)).toEqual(content);
    expect([dead.asked, liar.asked, good.asked, spare.asked]).toEqual([1, 1, 1, 0]);
    const [ofDead, ofLiar, ofGood] = health.stats([dead, liar, good]);
    expect(ofDead).toMatchObject({ faults: { unreachable: 1, wrong: 0 }, good: 0 });
    expect(ofLiar).toMatchObject({ faults: { unreachable: 0, wrong: 1 }, good: 0 });
    expect(ofGood).toMatchObject({ good: 1, bytes: content.length, coolingMs: 0 });
    expect(ofLiar!.lastFault).toMatch(/liar: got [0-9a-f]{64}/);
    expect(ofLiar!.coolingMs).toBeGreaterThan(ofDead!.coolingMs);
  });

  test("is an error that gives each source's reason when all have failed", async () => {
    const sources = [
      new FakeSource("dead", [content], "dead"),
      new FakeSource("liar", [content], "wrong"),
      new FakeSource("empty", [content], "missing"),
    ];
    const asking = thrown(ask(sources));
    await msUntil(asking);
    const error = await asking;
    expect(error).toBeInstanceOf(FetchError);
    expect(error).toMatchObject({ code: "ALL_FAILED" });
    expect((error as FetchError).failures.map(({ source }) => source).sort()).toEqual([
      "dead",
      "empty",
      "liar",
    ]);
    expect((error as Error).message).toMatch(/connection refused/);
    expect((error as Error).message).toMatch(/404 Not Found/);
  });

  test("is an error of its own when no source has it", async () => {
    const error = await thrown(ask([new FakeSource("other", [Buffer.from("x")])]));
    expect(error).toMatchObject({ code: "NO_SOURCE" });
    expect((error as Error).message).toContain("other");
  });

  test("comes from a source that could not be reached for a moment", async () => {
    const source = new FakeSource("flaky", [content], "dead");
    setTimeout(() => (source.behaviour = "good"), 50);
    const asking = ask([source]);
    await msUntil(asking);
    expect(await asking).toEqual(content);
    expect(source.asked).toBe(2);
  });

  test("comes, where somebody waits for it, from a source that is away for most of the time", async () => {
    for (const awayMs of [6_000, 25_000]) {
      const source = new FakeSource("restarting", [content], "dead");
      setTimeout(() => (source.behaviour = "good"), awayMs);
      const asking = ask([source], new Health(), 30_000, true);
      // It is not asked all the time, and not long after it is back.
      expect(await msUntil(asking)).toBeLessThanOrEqual(awayMs + 2_000);
      expect(await asking).toEqual(content);
      expect(source.asked).toBeLessThan(20);
    }
  });

  test("fails in time with the reason of a source that stays away, others being asked first", async () => {
    const dead = new FakeSource("dead", [content], "dead");
    const asking = thrown(ask([dead], new Health(), 30_000, true));
    expect(await msUntil(asking)).toBeLessThan(30_000);
    expect(await asking).toMatchObject({
      code: "ALL_FAILED",
      message: expect.stringMatching(/refused/),
    });
    const health = new Health();
    const good = new FakeSource("good", [content]);
    const other = ask([new FakeSource("dead", [content], "dead"), good], health, 30_000, true);
    expect(await msUntil(other)).toBe(0);
  });

  test("is not awaited from who has it wrong, or not at all", async () => {
    for (const behaviour of ["wrong", "missing"] as const) {
      const source = new FakeSource(behaviour, [content], behaviour);
      const asking = thrown(ask([source], new Health(), 30_000, true));
      expect(await msUntil(asking)).toBe(0);
      expect(source.asked).toBe(1);
    }
  });

  test("does not wait for a source that ignores its signal", async () => {
    const hanging = new FakeSource("hanging", [content], "hangs");
    const asking = thrown(ask([hanging], new Health(), 400));
    expect(await msUntil(asking)).toBe(400);
    expect(await asking).toMatchObject({ code: "ALL_FAILED" });
  });

  test("leaves time for the next source", async () => {
    const hanging = new FakeSource("hanging", [content], "hangs");
    const good = new FakeSource("good", [content]);
    const asking = ask([hanging, good], new Health(), 600);
    expect(await msUntil(asking)).toBe(300);
    expect(await asking).toEqual(content);
  });

  test("is taken from elsewhere when it only drips, long before the deadline", async () => {
    const slow = new FakeSource("slow", [content], "drips");
    const good = new FakeSource("good", [content]);
    const health = new Health();
    const asking = ask([slow, good], health, 600_000);
    expect(await msUntil(asking)).toBeLessThan(10_000);
    expect(await asking).toEqual(content);
    expect(health.stats([slow])).toMatchObject([{ faults: { slow: 1 } }]);
  });

  test("comes from the slow source when the others fail", async () => {
    const small = Buffer.alloc(60, "drop");
    const little = wanted(small);
    const slow = new FakeSource("slow", [small], "drips");
    const dead = new FakeSource("dead", [small], "dead");
    const asking = failover({
      object: little,
      sources: [slow, dead],
      health: new Health(),
      deadlineMs: 120_000,
      attempt: (source, attempt) => readWhole(source, little, attempt),
    });
    await msUntil(asking);
    expect(await asking).toEqual(small);
    expect(slow.asked).toBe(2);
  });

  test("is given up at once when this machine cannot take it, and nobody is blamed", async () => {
    const source = new FakeSource("good", [content]);
    const health = new Health();
    const full = new SystemError("NO_SPACE", "no space left");
    const error = await thrown(
      failover({
        object,
        sources: [source, new FakeSource("other", [content])],
        health,
        deadlineMs: 1000,
        attempt: () => Promise.reject(full),
      }),
    );
    expect(error).toBe(full);
    expect(health.stats([source])).toMatchObject([{ lastFault: undefined }]);
  });

  test("is given up when the caller loses interest", async () => {
    const controller = new AbortController();
    const reason = new Error("not wanted any more");
    setTimeout(() => controller.abort(reason), 50);
    const asking = thrown(
      failover({
        object,
        sources: [new FakeSource("hanging", [content], "hangs")],
        health: new Health(),
        deadlineMs: 60_000,
        signal: controller.signal,
        attempt: (source, attempt) => readWhole(source, object, attempt),
      }),
    );
    expect(await msUntil(asking)).toBe(50);
    expect(await asking).toBe(reason);
  });

  test("waits for a source that asked for a moment, when there is no other", async () => {
    const source = new FakeSource("busy", [content]);
    const busy = new NetworkError("BUSY", "busy: 503", { retryAfterMs: 300 });
    let tries = 0;
    const asking = failover({
      object,
      sources: [source],
      health: new Health(),
      deadlineMs: 10_000,
      attempt: (each, attempt) =>
        tries++ === 0 ? Promise.reject(busy) : readWhole(each, object, attempt),
    });
    expect(await msUntil(asking)).toBe(300);
    expect(await asking).toEqual(content);
  });
});

describe("the memory of faults", () => {
  const a = new FakeSource("a", [content]);
  const b = new FakeSource("b", [content]);
  const missing = new NotFoundError("NO_OBJECT", "404");
  const other = wanted(Buffer.from("another object"));

  test("asks a source that cools down last, and first again when it has cooled down", () => {
    let now = 0;
    const health = new Health(() => now);
    health.blame(a, object, new NetworkError("UNREACHABLE", "no route"));
    expect(health.order([a, b], other).ask).toEqual([b, a]);
    now += 2_000;
    expect(health.order([a, b], other).ask).toEqual([a, b]);
  });

  test("lets a source cool down longer each time, within bounds", () => {
    let now = 0;
    const health = new Health(() => now);
    const cooling: number[] = [];
    for (let i = 0; i < 12; i++) {
      health.blame(a, object, new NetworkError("UNREACHABLE", "no route"));
      cooling.push(health.stats([a])[0]!.coolingMs);
      now += 1_000_000;
    }
    expect(cooling.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000]);
    expect(cooling.at(-1)).toBe(120_000);
  });

  test("does not ask for an object that a source lacks, until a while later", () => {
    let now = 0;
    const health = new Health(() => now);
    health.blame(a, object, missing);
    expect(health.order([a, b], object)).toMatchObject({ ask: [b], faults: [{ kind: "missing" }] });
    expect(health.order([a, b], other).ask).toEqual([a, b]);
    now += 10_000;
    expect(health.order([a, b], object).ask).toEqual([a, b]);
  });

  test("stops asking a source that never has anything", () => {
    const health = new Health(() => 0);
    for (let i = 0; i < 16; i++) health.blame(a, wanted(Buffer.from(`object ${i}`)), missing);
    expect(health.order([a, b], object).ask).toEqual([b, a]);
  });

  test("does not forgive a liar for one good answer", () => {
    let now = 0;
    const health = new Health(() => now);
    const lie = new FakeSource("lie", [content], "wrong");
    for (let i = 0; i < 4; i++) {
      health.blame(lie, object, Object.assign(new Error("x"), { retryAfterMs: undefined }));
      now += 1_000_000;
    }
    const before = health.stats([lie])[0]!.faults;
    health.praise(lie, 1, 1);
    expect(health.stats([lie])[0]!.faults).toEqual(before);
    health.blame(lie, object, new NetworkError("UNREACHABLE", "gone"));
    expect(health.stats([lie])[0]!.coolingMs).toBeGreaterThan(2_000);
  });

  test("remembers a bounded number of objects that a source lacks", () => {
    const health = new Health(() => 0);
    for (let i = 0; i < 6000; i++) {
      const digest = i.toString(16).padStart(64, "0") as typeof object.digest;
      health.blame(a, { digest, size: 1 }, missing);
    }
    const first = { digest: "0".repeat(64) as typeof object.digest, size: 1 };
    const last = { digest: (5999).toString(16).padStart(64, "0") as typeof object.digest, size: 1 };
    expect(health.order([a], first).ask).toEqual([a]);
    expect(health.order([a], last).ask).toEqual([]);
  });
});
