/** Eight writers, a gc loop and a kill -9 loop on one store (docs/store.md, "Locks"). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { collectGarbage } from "../../../src/store/gc/gc.ts";
import { Store } from "../../../src/store/store.ts";
import { until } from "../../support/until.ts";
import { scratchFolder } from "../../support/scratch.ts";

const file = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const WRITERS = 8;
const KILLS = process.env["SLOW"] === "1" ? 400 : 32;

let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

class Running {
  readonly child: ChildProcess;
  readonly closed: Promise<unknown>;
  said = "";

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    this.closed = once(this.child, "close");
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.closed;
  }

  get lines(): string[] {
    return this.said.split("\n").slice(0, -1);
  }
}

/** Of each name what it may lead to: what the writer last said it had done, or had begun. */
function follow(expected: Map<string, Set<string>>, lines: readonly string[]): void {
  for (const line of lines) {
    const [verb, name, id] = line.split(" ") as [string, string, string];
    const now = expected.get(name) ?? new Set([""]);
    if (verb === "publishing") expected.set(name, new Set([...now, id]));
    if (verb === "published") expected.set(name, new Set([id]));
    if (verb === "removing") expected.set(name, new Set([...now, ""]));
    if (verb === "removed") expected.set(name, new Set([""]));
  }
}

test(
  "eight writers, of which one is killed all the time, and gc lose nothing",
  async () => {
    // Objects named "shared" are everybody's: they are garbage and needed again all the time.
    const start = (i: number, turn: number) =>
      new Running(
        file("faults/power-writer.mjs"),
        store.path,
        String(turn),
        "none",
        `w${i}-`,
        "nogc",
      );
    const writers = Array.from({ length: WRITERS }, (_, i) => start(i, 0));
    const gc = new Running(file("support/gc-loop.mjs"), store.path);
    const expected = new Map<string, Set<string>>();
    let kills = 0;
    while (kills < KILLS || gc.lines.length === 0) {
      const victim = kills % WRITERS;
      await until(() => writers[victim]!.said !== "");
      await sleep(Math.random() * 300);
      await writers[victim]!.kill();
      follow(expected, writers[victim]!.lines);
      kills += 1;
      writers[victim] = start(victim, kills);
    }
    for (const writer of writers) {
      await writer.kill();
      follow(expected, writer.lines);
    }
    await gc.kill();

    expect(gc.lines.filter((line) => line.startsWith("failed"))).toEqual([]);
    const collected = gc.lines.map((line) => Number(line.split(" ")[1]));
    expect(collected.length).toBeGreaterThan(0);
    const refs = store.images.refs();
    for (const [name, allowed] of expected) {
      expect([...allowed]).toContain(refs.find((ref) => ref.name === name)?.id ?? "");
    }
    expect(refs.length).toBeGreaterThan(0);
    expect((await checkStore(store, { threads: 0 })).problems).toEqual([]);
    collectGarbage(store);
    expect((await checkStore(store, { threads: 0 })).problems).toEqual([]);
  },
  process.env["SLOW"] === "1" ? 1_800_000 : 180_000,
);
