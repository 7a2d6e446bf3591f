/**
 * Waiting for something that comes when it comes: as long as the test may take, and no longer.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { TestRunner } from "vitest";

const EVERY_MS = 10;
/** What is left of a test's time to say what was waited for. */
const LAST_WORDS_MS = 2_000;
/** As vitest.config.ts has it; in hooks that run for several tests nothing tells. */
const HOOK_MS = 180_000;

/**
 * Looks every now and then until `condition` holds: until it neither gives `false` nor throws. A failed
 * expectation in it means "not yet".
 *
 * @throws an error with the condition's text, and what it threw last, when the time of the test is over
 */
export async function until(condition: () => unknown): Promise<void> {
  const end = endOfTest() - LAST_WORDS_MS;
  for (;;) {
    let cause: unknown;
    try {
      if ((await condition()) !== false) return;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw notYet(condition, cause);
    await sleep(EVERY_MS);
  }
}

/** In ms, as Date.now() has it. */
function endOfTest(): number {
  const test = TestRunner.getCurrentTest();
  const start = test?.result?.startTime;
  return start === undefined ? Date.now() + HOOK_MS : start + test!.timeout;
}

function notYet(condition: () => unknown, cause: unknown): Error {
  const text = condition.toString().replace(/\(0, (\w+\.)+(\w+)\)|__vi_import_\d+__\./g, "$2");
  const last = cause instanceof Error ? `; last: ${cause.message}` : "";
  return new Error(`waited in vain until ${text}${last}`, { cause });
}
