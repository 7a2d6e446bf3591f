/** What a command prints: progress by the clock, and as much as the user wants to see. */
import { beforeEach, describe, expect, test } from "vitest";
import { afterOutputOptions } from "../../../src/cli/options/output-options.ts";
import { Output, type OutputWishes } from "../../../src/cli/terminal/output.ts";
import { runMain } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

let now: number;
let ticks: (() => void)[];
let lines: string[];
let drawn: string[];
let printed: string[];

beforeEach(() => {
  [now, ticks, lines, drawn, printed] = [0, [], [], [], []];
});

const clock = {
  now: () => now,
  every(_: number, run: () => void) {
    ticks.push(run);
    return () => void (ticks = ticks.filter((each) => each !== run));
  },
};

/** The output of a command, with a terminal or without. */
function output(wishes: OutputWishes, isTerminal = false): Output {
  const made = new Output({
    print: (line) => void printed.push(line),
    write: () => undefined,
    writeSome: ({ length }) => length,
    log: (line) => void lines.push(line),
    draw: isTerminal ? (text) => void drawn.push(text) : undefined,
    clock,
  });
  made.wish(wishes);
  return made;
}

/** So many seconds later; the timers ring. */
function pass(seconds: number): void {
  now += seconds * 1000;
  for (const tick of ticks) tick();
}

describe("progress without a terminal", () => {
  test("is a line every ten seconds: what, done, total and per cent", () => {
    const progress = output({}).progress("fetching");
    progress.update(1024, 4096);
    now = 9_999;
    progress.update(2048, 4096);
    expect(lines).toEqual([]);
    now = 10_000;
    progress.update(3072, 4096, "3 of 4 objects");
    progress.update(3073, 4096);
    expect(lines).toEqual(["fetching: 3.0 KiB of 4.0 KiB, 75%, 3 of 4 objects"]);
    now = 20_000;
    progress.update(4096, 4096);
    expect(lines[1]).toBe("fetching: 4.0 KiB of 4.0 KiB, 100%");
  });

  test("comes by the clock where nothing goes on, and ends with the work", () => {
    const progress = output({}).progress("importing");
    pass(10);
    progress.update(5);
    pass(10);
    expect(lines).toEqual(["importing: 0 B", "importing: 5 B"]);
    progress.end();
    pass(10);
    expect(lines).toHaveLength(2);
  });

  test("never says more than all", () => {
    const progress = output({}).progress("checking");
    now = 10_000;
    progress.update(200, 100);
    expect(lines).toEqual(["checking: 200 B of 100 B, 100%"]);
  });
});

describe("progress on a terminal", () => {
  test("is a bar, which makes room for lines and results", () => {
    const io = output({}, true);
    const progress = io.progress("build", 100);
    progress.update(50);
    io.log("a line");
    expect(drawn.at(-2)).toContain("build [############------------] 50%");
    expect(drawn.at(-1)).toBe("\r\x1b[K");
    now = 200;
    progress.update(60);
    io.print("a result");
    expect(drawn.at(-1)).toBe("\r\x1b[K");
    expect(lines).toEqual(["a line"]);
  });

  test("is lines with plain, and nothing with none or quiet", () => {
    for (const [wishes, count] of [
      [{ progress: "plain" }, 1],
      [{ progress: "none" }, 0],
      [{ quiet: true }, 0],
      [{ quiet: true, progress: "plain" }, 0],
    ] as const) {
      lines = [];
      const progress = output(wishes, true).progress("build", 100);
      now += 10_000;
      progress.update(50);
      expect(lines, JSON.stringify(wishes)).toHaveLength(count);
    }
    expect(drawn).toEqual([]);
  });
});

test("quiet leaves log lines out, never errors and results; verbose adds details", () => {
  for (const [wishes, expected] of [
    [{}, ["log", "error"]],
    [{ quiet: true }, ["error"]],
    [{ verbose: true }, ["log", "detail", "error"]],
  ] as const) {
    lines = [];
    const io = output(wishes);
    io.log("log");
    io.detail("detail");
    io.complain("error");
    io.print("result");
    expect(lines).toEqual(expected);
  }
  expect(printed).toEqual(["result", "result", "result"]);
});

describe("a document", () => {
  test("is printed once, when the command has ended", () => {
    const io = output({});
    io.document({ a: 1 });
    expect(printed).toEqual([]);
    io.end();
    expect(printed).toEqual(['{"a":1}']);
  });

  test("has the error beside the result; an array gives way to it", () => {
    const io = output({});
    io.document({ a: 1 });
    io.fail({ error: 2 });
    const other = output({});
    other.document([1]);
    other.fail({ error: 2 });
    expect(printed).toEqual(['{"a":1,"error":2}', '{"error":2}']);
  });

  test("does not follow a part of another result on stdout", () => {
    const io = output({});
    io.print("[");
    io.fail({ error: 2 });
    expect(printed).toEqual(["["]);
    expect(lines).toEqual(['{"error":2}']);
  });
});

describe("the options for output", () => {
  test("are found before the command's name", () => {
    const count = (text: string) => afterOutputOptions(text.split(" "));
    expect(count("build -q")).toBe(0);
    expect(count("-q build")).toBe(1);
    expect(count("-v --progress plain build")).toBe(3);
    expect(count("--progress=none --quiet build")).toBe(2);
    expect(count("--version")).toBe(0);
    expect(count("--progress")).toBe(1);
  });

  test.each([
    [["-q", "keygen"]],
    [["keygen", "-q"]],
    [["keygen", "--quiet"]],
    [["--progress", "none", "-q", "keygen"]],
  ])("are heeded before the command and behind it: %s", async (words) => {
    const { status, out, err } = await runMain(...words, "-o", `${scratchFolder()}/k`);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/^SHA256:/);
  });

  test("leave errors, and are refused when they contradict or are no choice", async () => {
    const failed = await runMain("-q", "images", "--store", "/nowhere");
    expect(failed).toMatchObject({ status: 7, out: "" });
    expect(failed.err).toMatch(/^sealfs: \/nowhere/);
    expect((await runMain("images", "-q", "-v", "--store", "/")).status).toBe(2);
    const wrong = await runMain("--progress", "fast", "images", "--store", "/");
    expect(wrong.status).toBe(2);
    expect(wrong.err).toContain("Allowed choices are auto, plain, none");
  });

  test("stand in the help of a command, each once", async () => {
    for (const words of [["--help"], ["build", "--help"], ["policy", "show", "--help"]]) {
      const { out } = await runMain(...words);
      expect(out.match(/^ {2}-q, --quiet /gm), words.join(" ")).toHaveLength(1);
      expect(out.match(/^ {2}--progress /gm), words.join(" ")).toHaveLength(1);
    }
  });

  test("verbose says how long it took", async () => {
    const { err } = await runMain("-v", "keygen", "-o", `${scratchFolder()}/k`);
    expect(err).toMatch(/\ntook 0\.0 s$/);
  });
});
