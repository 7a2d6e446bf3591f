/**
 * How many threads serve a mount: more do not answer faster, but one hash must not stall the rest.
 *
 * @module
 */
import { availableParallelism } from "node:os";

const LEAST_THREADS = 2;
const MOST_THREADS = 4;

/** As many as wanted, by default as many as processors, within bounds. */
export function threadCount(wanted: number | undefined): number {
  return wanted ?? Math.min(MOST_THREADS, Math.max(LEAST_THREADS, availableParallelism()));
}
