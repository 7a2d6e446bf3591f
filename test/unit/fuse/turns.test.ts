/** Turns at reading requests: never two threads at once, never nobody while somebody wants to. */
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { Turns } from "../../../src/fuse/turns.ts";

const compiled = new URL("../../../dist/fuse/turns.js", import.meta.url).href;

/** Takes and passes `rounds` times; counts how often somebody else had the turn meanwhile. */
const THREAD = `
const { workerData, parentPort } = require("node:worker_threads");
const { memory, counters, thread, rounds } = workerData;
import(${JSON.stringify(compiled)}).then(({ Turns }) => {
  const turns = new Turns(memory, thread);
  const words = new Int32Array(counters); // inside, clashes, done
  for (let i = 0; i < rounds; i++) {
    turns.take();
    if (Atomics.add(words, 0, 1) !== 0) Atomics.add(words, 1, 1);
    for (let spin = (i * 7 + thread * 13) % 50; spin > 0; spin--) Atomics.load(words, 2);
    Atomics.add(words, 2, 1);
    Atomics.sub(words, 0, 1);
    if (i % 5 !== 0) turns.pass(); // otherwise it goes on with the turn it has
  }
  turns.pass();
  parentPort.postMessage("done");
});
`;

describe("turns", () => {
  test.each([1, 2, 3, 5])(
    "%i threads: one at a time, and all come to their end",
    async (threads) => {
      const memory = Turns.memory(threads);
      const counters = new SharedArrayBuffer(12);
      const rounds = 20_000;
      const workers = Array.from({ length: threads }, (_, thread) => {
        const workerData = { memory, counters, thread, rounds };
        return new Worker(THREAD, { eval: true, workerData });
      });
      await Promise.all(
        workers.map(
          (worker) =>
            new Promise((resolve, reject) => worker.once("error", reject).once("exit", resolve)),
        ),
      );
      const [inside, clashes, done] = new Int32Array(counters);
      expect({ inside, clashes, done }).toEqual({ inside: 0, clashes: 0, done: threads * rounds });
    },
  );

  test("who has the turn keeps it until it passes it on, and passing on twice gives nothing away", () => {
    const memory = Turns.memory(2);
    const words = new Int32Array(memory);
    const [first, second] = [new Turns(memory, 0), new Turns(memory, 1)];
    first.take();
    first.take();
    first.pass();
    second.take(); // free: it does not wait
    first.pass(); // not its to pass on
    expect(words[0]).toBe(1);
    second.pass();
    expect(words[0]).toBe(0);
  });

  test("of the threads that wait the lowest gets the turn", () => {
    const memory = Turns.memory(4);
    const words = new Int32Array(memory);
    const turns = new Turns(memory, 0);
    turns.take();
    words.set([1, 0, 0, 1, 1]); // taken; the third and the fourth wait
    turns.pass();
    expect([...words]).toEqual([1, 0, 0, 2, 1]);
  });
});

test("a thread knows whether all others wait", () => {
  const memory = Turns.memory(3);
  const words = new Int32Array(memory);
  const turns = new Turns(memory, 1);
  turns.take();
  expect(turns.othersWait()).toBe(false); // they have not even started
  words[1] = 1;
  expect(turns.othersWait()).toBe(false);
  words[3] = 1;
  expect(turns.othersWait()).toBe(true);
  words[1] = 2; // the turn is on its way to it
  expect(turns.othersWait()).toBe(false);
});
