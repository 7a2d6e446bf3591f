/** The parts of the fuzzing loop: what it counts, what it changes, how it makes failures small. */
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { instrument } from "../../fuzz/instrument.mjs";
import { kindOf, minimise } from "../../fuzz/minimise.mjs";
import { Mutator } from "../../fuzz/mutate.mjs";

describe("instrumented code", () => {
  const source = `
    function kind(n, word) {
      if (n > 10) return word === "many" ? "lots" : "more";
      else if (n > 5 && word) { return "some"; }
      let sum = 0;
      for (let i = 0; i < n; i++) sum += i;
      switch (sum) { case 0: return "none"; default: return String(sum); }
    }
    return kind;`;
  const { code, branches, words } = instrument(`(function () {${source}})`);
  const counts = new Uint8Array(branches);
  // eslint-disable-next-line no-eval -- what the loop runs is text too
  const load = (text: string) => (0, eval)(text)() as (n: number, word?: string) => string;

  test("does what it did", () => {
    Object.assign(globalThis, { __branches: counts });
    const [plain, counted] = [load(`(function () {${source}})`), load(code)];
    for (const args of [[11, "many"], [11], [6, "x"], [6], [4], [1], [0]] as [number, string?][]) {
      expect(counted(...args), String(args)).toBe(plain(...args));
    }
  });

  test("counts each branch as often as it is taken", () => {
    Object.assign(globalThis, { __branches: counts });
    const taken = (...args: [number, string?]) => {
      counts.fill(0);
      load(code)(...args);
      return [...counts];
    };
    expect(taken(4).filter((count) => count === 4)).toHaveLength(1); // the loop's
    expect(taken(11, "many")).not.toEqual(taken(11));
    expect(taken(6, "x")).not.toEqual(taken(6));
    const ever = Array.from({ length: branches }, () => 0);
    for (const args of [[11, "many"], [11], [6, "x"], [4], [0]] as [number, string?][]) {
      for (const [i, count] of taken(...args).entries()) ever[i]! += count;
    }
    expect(ever.filter((count) => count === 0)).toEqual([]);
  });

  test("has the words that it compares with", () => {
    expect(words).toEqual(["many", "lots", "more", "some", "none"]);
  });
});

describe("mutated inputs", () => {
  const bytes = Buffer.alloc(2048, "some bytes ");
  const other = Buffer.alloc(1536, "other ");
  const series = (seed: number, unit?: number) => {
    const mutator = new Mutator(seed, ["word"], unit);
    return Array.from({ length: 200 }, () => mutator.mutate(bytes, other).toString("hex"));
  };

  test("follow from the seed", () => {
    for (const unit of [1, 512]) {
      expect(series(7, unit)).toEqual(series(7, unit));
      expect(series(7, unit)).not.toEqual(series(8, unit));
    }
  });

  test("leave what they are made of as it is, and differ from it", () => {
    const [before, otherBefore] = [bytes.toString(), other.toString()];
    const changed = series(3).filter((hex) => hex !== bytes.toString("hex"));
    expect(changed.length).toBeGreaterThan(150);
    expect([bytes.toString(), other.toString()]).toEqual([before, otherBefore]);
  });

  test("stay below a bound", () => {
    const mutator = new Mutator(1, []);
    let grown: Buffer = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 200; i++) grown = mutator.mutate(grown, grown);
    expect(grown.length).toBeLessThanOrEqual(64 * 1024);
  });

  test("of blocks are often whole blocks", () => {
    const whole = series(5, 512).filter((hex) => hex.length % 1024 === 0);
    const isMoved = (hex: string) => hex.length !== bytes.length * 2;
    expect(whole.filter(isMoved).length).toBeGreaterThan(20);
  });
});

describe("a failing input", () => {
  const text = (bytes: Buffer) => bytes.toString("latin1");

  test("loses all that its failure does not need", async () => {
    const found = Buffer.from(`${"x".repeat(777)}ab${"y".repeat(333)}cd${"z".repeat(50)}`);
    const small = await minimise(found, (bytes) => /ab.*cd/.test(text(bytes)));
    expect(text(small)).toBe("abcd");
  });

  test("has zeros where only the place counts", async () => {
    const found = Buffer.from("0123456789abcdef!");
    const small = await minimise(found, (bytes) => bytes.length === 17 && bytes[16] === 0x21);
    expect(text(small)).toBe(`${"\0".repeat(16)}!`);
  });

  test("fails all the while, and stays when nothing smaller fails", async () => {
    const found = Buffer.from("abc");
    const small = await minimise(found, (bytes) => text(bytes) === "abc");
    expect(text(small)).toBe("abc");
    expect(text(await minimise(Buffer.alloc(0), () => true))).toBe("");
  });

  test("is left as it is when there is no more time", async () => {
    const small = await minimise(
      Buffer.from("aaaa"),
      () => true,
      () => true,
    );
    expect(text(small)).toBe("aaaa");
  });

  test("fails in the same way where class, code and message are the same but for values", () => {
    const kind = (message: string) => kindOf(new RangeError(message));
    expect(kind('offset 17 of "a\\"b" at 0xff')).toBe(kind('offset 4 of "" at 0x1'));
    expect(kind("offset 17")).not.toBe(kind("length 17"));
    expect(kind("offset 17")).not.toBe(kindOf(new TypeError("offset 17")));
    const [range, malformed] = (["OUT_OF_RANGE", "MALFORMED"] as const).map((code) =>
      kindOf(new FormatError(code, "x")),
    );
    expect(range).not.toBe(malformed);
    expect(kindOf("thrown text")).toBe(kindOf("thrown text"));
  });
});
