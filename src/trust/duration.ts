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

/** ISO 8601 without months, which have no length of their own, and without seconds. */
const ISO =
  /^P(?=.)(?:(?<y>\d{1,9})Y)?(?:(?<w>\d{1,9})W)?(?:(?<d>\d{1,9})D)?(?:T(?=.)(?:(?<h>\d{1,9})H)?(?:(?<m>\d{1,9})M)?)?$/;

/** The same as a person may write it: also as in ISO 8601, `P1Y`, `P365D` or `PT36H`. */
export function parseWrittenDuration(text: string): number | undefined {
  const seconds = parseDuration(text);
  const groups = ISO.exec(text)?.groups;
  if (seconds !== undefined || groups === undefined) return seconds;
  return [...UNIT_SECONDS].reduce((sum, [unit, size]) => sum + Number(groups[unit] ?? 0) * size, 0);
}

/** What {@link parseWrittenDuration} takes, for messages. */
export const DURATION_FORMS = "365d, 52w, 1y, 36h or P365D";

/** The shortest text for a number of whole minutes. */
export function formatDuration(seconds: number): string {
  for (const [unit, size] of UNIT_SECONDS) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${Math.floor(seconds / 60)}m`;
}
