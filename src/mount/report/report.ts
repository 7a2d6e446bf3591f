/**
 * What a mount's server knows of itself at this moment.
 *
 * @module
 */
import { type CounterValues, readCounters } from "../../fuse/counters.ts";
import type { PrefetchStatus } from "../../fuse/prefetch/prefetch-input.ts";
import type { LazyStatus } from "./lazy-status.ts";
import type { MountState } from "../table/run-state.ts";
import { defined } from "../../optional.ts";

/** A mount, now. One JSON document; later versions add fields. */
export interface MountReport extends MountState {
  readonly uptimeSeconds: number;
  /** The statement's time is over: this mount stays, new ones are refused. */
  readonly expired: boolean;
  /** Bytes of memory that the server has. */
  readonly residentBytes: number;
  /** What was done so far; undefined where the kernel does everything and counts nothing. */
  readonly counters?: CounterValues;
  /** How far the prefetch is; undefined without one. */
  readonly prefetch?: PrefetchStatus;
  /** What was fetched; undefined when nothing is. */
  readonly fetch?: LazyStatus;
}

/** What a report is made from. */
export interface ReportInput {
  readonly state: MountState;
  readonly counters?: SharedArrayBuffer | undefined;
  readonly prefetch?: { status(): PrefetchStatus } | undefined;
  readonly lazy?: { status(): LazyStatus } | undefined;
}

/** The report of the mount that this process serves. */
export function reportOf(
  { state, counters, prefetch, lazy }: ReportInput,
  now = new Date(),
): MountReport {
  return defined({
    ...state,
    uptimeSeconds: Math.max(0, Math.floor((now.getTime() - Date.parse(state.since)) / 1000)),
    expired: isExpired(state, now),
    residentBytes: process.memoryUsage.rss(),
    counters: counters && readCounters(counters),
    prefetch: prefetch?.status(),
    fetch: lazy?.status(),
  });
}

/** Whether the statement about the mounted image does not hold any more. */
export function isExpired({ image }: Pick<MountState, "image">, now: Date): boolean {
  return now.getTime() >= Date.parse(image.expires);
}
