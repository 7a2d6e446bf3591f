import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Undo } from "../../../src/mount/server/undo.ts";

function recorder() {
  const events: string[] = [];
  const undo = new Undo((error) => events.push(`error: ${(error as Error).message}`));
  return { events, undo, note: (what: string) => () => void events.push(what) };
}

test("steps run in reverse order, each when the one before has ended", async () => {
  const { events, undo, note } = recorder();
  undo.add(note("first"));
  undo.add(async () => {
    events.push("second begins");
    await sleep(5);
    events.push("second ends");
  });
  undo.add(note("third"));
  await undo.run();
  expect(events).toEqual(["third", "second begins", "second ends", "first"]);
});

test("each step runs once, and every caller waits for the last", async () => {
  const { events, undo, note } = recorder();
  undo.add(note("first"));
  undo.add(() => sleep(5));
  const early = undo.run();
  await undo.run();
  expect(events).toEqual(["first"]);
  await early;
  await undo.run();
  expect(events).toEqual(["first"]);
});

test("the error of a step is told and does not stop the others", async () => {
  const { events, undo, note } = recorder();
  undo.add(note("first"));
  undo.add(() => {
    throw new Error("thrown");
  });
  undo.add(note("third"));
  undo.add(() => Promise.reject(new Error("rejected")));
  await undo.run();
  expect(events).toEqual(["error: rejected", "third", "error: thrown", "first"]);
});

test("without steps there is nothing to wait for", async () => {
  const { events, undo } = recorder();
  await undo.run();
  expect(events).toEqual([]);
});
