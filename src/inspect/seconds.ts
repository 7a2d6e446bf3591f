/**
 * Times as decimal numbers.
 *
 * @module
 */

/**
 * Seconds since 1970 with nine decimals, exact for any time. -1 second and 250 000 000 nanoseconds
 * are `-0.750000000`, since the nanoseconds are added to the seconds.
 */
export function formatSeconds(seconds: bigint, nanoseconds: number): string {
  const total = seconds * 1_000_000_000n + BigInt(nanoseconds);
  const digits = (total < 0n ? -total : total).toString().padStart(10, "0");
  return `${total < 0n ? "-" : ""}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}
