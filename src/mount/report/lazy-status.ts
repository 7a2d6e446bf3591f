/**
 * What a mount tells of its fetching.
 *
 * @module
 */
import type { SourceStats } from "../../mirror/health.ts";
import type { LazyStats } from "../../mirror/lazy-objects.ts";

/**
 * What a mount has fetched so far, and from whom. With `background` done the network is not needed
 * any more.
 */
export interface LazyStatus extends LazyStats {
  readonly sources: readonly SourceStats[];
  /** How far the fetching of everything is; undefined when that was not asked for. */
  readonly background: BackgroundStatus | undefined;
}

export interface BackgroundStatus {
  readonly state: "running" | "done" | "failed";
  /** Objects that were missing at the start, and how many of them have come. */
  readonly objects: number;
  readonly fetched: number;
  readonly bytes: number;
  /** Why it ended, when it did not get everything. */
  readonly reason: string | undefined;
}
