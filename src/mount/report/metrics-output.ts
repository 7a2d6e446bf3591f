/**
 * Where metrics go: into a file that is replaced as a whole every few seconds (as the textfile
 * collector of node_exporter reads it), or out of a Unix socket.
 *
 * @module
 */
import { resolve } from "node:path";
import { replaceFile } from "../../fs/atomic-file.ts";
import { formatMetrics } from "./metrics.ts";
import type { MountReport } from "./report.ts";
import { serveReports } from "./report-server.ts";

const UNIX = "unix:";
const INTERVAL_MS = 10_000;

/** Metrics that are being given out. */
export interface MetricsOutput {
  /** Gives out the last ones. */
  close(): void;
}

/** The socket in `unix:PATH`; undefined for a file. */
export function metricsSocket(place: string): string | undefined {
  return place.startsWith(UNIX) ? place.slice(UNIX.length) : undefined;
}

/** The place with an absolute path. */
export function resolveMetrics(place: string): string {
  const socket = metricsSocket(place);
  return socket === undefined ? resolve(place) : UNIX + resolve(socket);
}

/**
 * Starts to give out metrics at `place`, `unix:PATH` or a file. A file that cannot be written later
 * on (the disk is full) is told to `onProblem` once, and tried again.
 *
 * @throws {@link SystemError} when that is not possible
 */
export async function startMetrics(
  place: string,
  report: () => MountReport,
  onProblem: (message: string) => void,
): Promise<MetricsOutput> {
  const socket = metricsSocket(place);
  if (socket !== undefined) return serveReports(socket, report);
  let failed = false;
  const write = (up: boolean) => {
    try {
      // Not synced: it is worthless after a power loss.
      replaceFile(place, formatMetrics(report(), up), { mode: 0o644, sync: false });
      failed = false;
    } catch (error) {
      if (!failed) onProblem(`metrics: ${(error as Error).message}`);
      failed = true;
    }
  };
  write(true);
  const timer = setInterval(() => write(true), INTERVAL_MS).unref();
  return {
    close: () => {
      clearInterval(timer);
      write(false);
    },
  };
}
