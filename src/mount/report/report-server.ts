/**
 * Where a mount's server answers: HTTP over a Unix socket. `GET /status` gives the report as JSON,
 * `GET /metrics` the same for Prometheus.
 *
 * A socket without a listener refuses connections, so that a killed server is known to be dead
 * whatever process ids say, also from another pid namespace.
 *
 * @module
 */
import { lstatSync, rmSync } from "node:fs";
import type { Server as HttpServer, ServerResponse } from "node:http";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemError } from "../../errors.ts";
import { failure } from "../../fs/failure.ts";
import { formatMetrics } from "./metrics.ts";
import type { MountReport } from "./report.ts";

const PATIENCE_MS = 2000;
const STEP_MS = 50;

/** A socket that is being listened on. */
export interface ReportServer {
  /** Ends it, and removes its name. */
  close(): void;
}

/**
 * Answers on the socket `path`. A socket that a dead server left there is replaced.
 *
 * @throws {@link SystemError} `BUSY` when another process listens there or another file has that name; or
 *   what the system says
 */
export async function serveReports(path: string, report: () => MountReport): Promise<ReportServer> {
  await clear(path);
  let http: HttpServer | undefined;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    // The HTTP module takes time and memory to load: only for the first request.
    void import("node:http").then(({ createServer: create }) => {
      http ??= create((request, response) => answer(request.url, response, report));
      http.emit("connection", socket);
      socket.resume();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(failure(`socket ${path}`, error)));
    server.listen(path, resolve);
  });
  server.unref(); // the mount keeps the process, this does not
  return {
    close: () => {
      http?.closeAllConnections();
      server.close(); // removes the name
    },
  };
}

function answer(
  url: string | undefined,
  response: ServerResponse,
  report: () => MountReport,
): void {
  response.setHeader("connection", "close");
  if (url === "/metrics") {
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(formatMetrics(report()));
  } else if (url === "/status") {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(report()));
  } else {
    response.statusCode = 404;
    response.end("expected /status or /metrics\n");
  }
}

/** Removes a socket that nobody listens on. */
async function clear(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new SystemError("BUSY", `socket ${path}: another file is there`);
  // A mount that has just ended may have had the same device number: its server is about to go.
  for (let waited = 0; await isListening(path); waited += STEP_MS) {
    if (waited >= PATIENCE_MS) throw new SystemError("BUSY", `socket ${path}: in use`);
    await sleep(STEP_MS);
  }
  rmSync(path, { force: true });
}

async function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT");
    });
  });
}
