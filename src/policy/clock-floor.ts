/**
 * The time on a device whose clock cannot be relied on: it is at least what the user, the age of a
 * file, or the client's memory says. systemd-timesyncd does the same at boot.
 *
 * Where the clock is behind that, the floor stands in for it, and is only a lower bound: a statement
 * may have been made since, and what has expired since is not noticed.
 *
 * Spec: docs/statement.md, "Devices without a clock".
 *
 * @module
 */
import { statSync } from "node:fs";
import { NotFoundError, UsageError } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import type { TrustPolicy } from "../trust/policy.ts";
import { formatTime, parseTime } from "../trust/time.ts";
import type { TrustState } from "../verify/trust-state.ts";

/** The time of a run. */
export interface SettledTime {
  readonly now: Date;
  /** Whether it may be later than that. */
  readonly isLowerBound: boolean;
  readonly warnings: readonly string[];
}

/** The word for the client's memory. */
const MEMORY = "memory";
/** A clock that is behind by less than this is a working one. */
const SKEW_MS = 5 * 60_000;

/**
 * The time to verify at: the clock's, or the latest floor where the clock is behind it.
 *
 * @param floors times, files, or `memory`; none for the clock alone
 * @throws {@link UsageError} for `memory` without a memory; {@link NotFoundError} `NO_FILE`
 */
export function settleTime(
  clock: Date,
  floors: readonly string[],
  state: TrustState | undefined,
  policy: TrustPolicy,
): SettledTime {
  const known = floors.flatMap((text) => floorOf(text, state, policy)?.getTime() ?? []);
  const floor = new Date(Math.max(...known, -8.64e15));
  if (floor.getTime() - SKEW_MS <= clock.getTime()) {
    return { now: clock, isLowerBound: false, warnings: [] };
  }
  const warning =
    `warning: this machine's clock says ${formatTime(clock)}, so the time is taken to be ` +
    `${formatTime(floor)} or later: what has expired since then is not noticed`;
  return { now: floor, isLowerBound: true, warnings: [warning] };
}

function floorOf(
  text: string,
  state: TrustState | undefined,
  policy: TrustPolicy,
): Date | undefined {
  if (text === MEMORY) {
    if (state !== undefined) return state.latestTime(policy);
    throw new UsageError("USAGE", "--clock-floor memory: expected a memory, and --state is none");
  }
  const time = parseTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  return time ?? ageOf(text);
}

function ageOf(path: string): Date {
  try {
    return statSync(path).mtime;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw failure(`--clock-floor ${path}`, error);
    throw new NotFoundError("NO_FILE", `--clock-floor ${path}: no such file`, {
      hint: "expected a time such as 2026-09-01, a file whose time of change is a floor, or memory",
    });
  }
}
