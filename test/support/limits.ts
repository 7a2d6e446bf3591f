/**
 * Limits that a test lowers, where as much as the real one would take minutes or gigabytes.
 *
 * @module
 */
import { onTestFinished } from "vitest";
import { limits } from "../../src/limits.ts";

export type LimitRow = keyof typeof limits;

/** Sets a limit until the test ends. Threads and processes have a table of their own. */
export function lower(row: LimitRow, value: number): void {
  const table: Record<LimitRow, number> = limits;
  const usual = table[row];
  table[row] = value;
  onTestFinished(() => void (table[row] = usual));
}
