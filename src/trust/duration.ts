/**
 * Lengths of time as people write them: `90d`, `36h`. A unit is a letter: minutes, hours, days,
 * weeks, years of 365 days.
 *
 * Spec: docs/policy.md, "Policy file".
 *
 * @module
 */

const UNIT_SECONDS: ReadonlyMap<string, number> = new Map([
  ["y", 365 * 24 * 3600],
  ["w", 7 * 24 * 3600],
  ["d", 24 * 3600],
  ["h", 3600],
  ["m", 60],
]);
const DURATION = /^(0|[1-9][0-9]{0,8})([mhdwy])$/;

/** Seconds; undefined when `text` is not a length of time. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * UNIT_SECONDS.get(match[2]!)!;
}

/** The shortest text for a number of whole minutes. */
export function formatDuration(seconds: number): string {
  for (const [unit, size] of UNIT_SECONDS) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${Math.floor(seconds / 60)}m`;
}
