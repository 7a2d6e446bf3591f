/**
 * What other processes can see of a live mount: its state in the run directory, the socket where its
 * server answers, its metrics, and a line in the log when its image expires. The mount needs none of
 * it: a failure is logged, and the mount goes on.
 *
 * @module
 */
import type { Served } from "../../fuse/transport.ts";
import { type MetricsOutput, startMetrics } from "../report/metrics-output.ts";
import { type MountReport, type ReportInput, isExpired, reportOf } from "../report/report.ts";
import { type ReportServer, serveReports } from "../report/report-server.ts";
import type { ServerInput } from "./server-input.ts";
import { type MountState, removeState, statePath, writeState } from "../table/run-state.ts";

/** What there is to see. */
export interface AnnouncementInput {
  readonly device: string;
  readonly state: MountState;
  readonly served: Served;
  readonly prefetch: ReportInput["prefetch"];
  readonly lazy: ReportInput["lazy"];
  readonly log: (line: string) => void;
}

/** What has been started around a mount. */
export interface Announcement {
  end(): void;
}

/**
 * Starts it.
 *
 * @throws {@link SystemError} when metrics were asked for and cannot be written or served
 */
export async function announce(
  { metrics }: Pick<ServerInput, "metrics">,
  { device, state, served, prefetch, lazy, log }: AnnouncementInput,
): Promise<Announcement> {
  const report = (): MountReport => reportOf({ state, prefetch, lazy, counters: served.counters });
  // First, because its failure fails the mount.
  const output = metrics === undefined ? undefined : await startMetrics(metrics, report, log);
  // Before the socket: a server that is ending looks there whether the files are still its own.
  await tryTo(log, "state", () => writeState(device, state));
  const server = await tryTo(log, "status", () => serveReports(statePath(device, "sock"), report));
  const expiry = watchExpiry(state, log);
  return { end: () => end(device, state, [expiry, server, output]) };
}

function end(
  device: string,
  { pid }: MountState,
  parts: readonly (MetricsOutput | ReportServer | undefined)[],
): void {
  for (const part of parts) part?.close();
  removeState(device, pid);
}

async function tryTo<T>(
  log: (line: string) => void,
  what: string,
  work: () => T | Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    log(`${what}: ${(error as Error).message}; sealfs status will not show this mount fully`);
    return undefined;
  }
}

/** The longest that a timer can take. */
const LONGEST_MS = 2 ** 31 - 1;

/** Says when the statement's time is over. */
function watchExpiry(state: MountState, log: (line: string) => void): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const now = new Date();
    if (isExpired(state, now)) {
      const { name, expires } = state.image;
      log(`${name} has expired at ${expires}: this mount stays, new ones are refused`);
      return;
    }
    const left = Date.parse(state.image.expires) - now.getTime();
    timer = setTimeout(wait, Math.min(left, LONGEST_MS)).unref();
  };
  wait();
  return { close: () => clearTimeout(timer) };
}
