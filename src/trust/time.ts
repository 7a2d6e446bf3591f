/**
 * Times of a statement: RFC 3339 in UTC to the second, written in exactly one way.
 *
 * Spec: RFC 3339, section 5.6.
 *
 * @module
 */

const UTC_SECONDS = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/**
 * Parses a time; undefined for everything else, such as an offset, a fraction, a leap second or 30
 * February.
 */
export function parseTime(text: string): Date | undefined {
  if (!UTC_SECONDS.test(text)) return undefined;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) || formatTime(time) !== text ? undefined : time;
}

/** `2026-09-01T00:00:00Z`; fractions of a second are cut off. */
export function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, -5)}Z`;
}
