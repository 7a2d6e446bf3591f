/**
 * Asking the server of a mount for its report (see report-server.ts).
 *
 * @module
 */
import { request } from "node:http";
import { limits } from "../../limits.ts";
import type { MountReport } from "./report.ts";

const ANSWER_MS = 2000;

/**
 * What a server says of its mount. `dead`: nobody listens there; `silent`: no report comes, or
 * something else.
 */
export async function askReport(socketPath: string): Promise<MountReport | "dead" | "silent"> {
  return new Promise((done) => {
    const asked = request({ socketPath, path: "/status", timeout: ANSWER_MS }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes <= limits.reportBytes) return;
        done("silent"); // its end may have come already
        asked.destroy();
      });
      response.on("error", () => done("silent"));
      response.on("end", () => {
        try {
          done(JSON.parse(Buffer.concat(chunks).toString()) as MountReport);
        } catch {
          done("silent");
        }
      });
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", ({ code }: NodeJS.ErrnoException) => {
      done(code === "ECONNREFUSED" || code === "ENOENT" ? "dead" : "silent");
    });
    asked.on("close", () => done("silent"));
    asked.end();
  });
}
