/**
 * Ports of this machine.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below those that the system gives to those who want just any (Linux: 32768 and up; servers with port 0, too). */
const FIRST = 10_000;
const LAST = 32_000;

/** A port on which nobody listens; nobody else gets it by chance before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
