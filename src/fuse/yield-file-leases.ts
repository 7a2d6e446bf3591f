/**
 * File leases of a mount are given up when a writer opens an object, and not only when the
 * kernel breaks them after 45 seconds.
 *
 * @module
 */
import { BackingFiles } from "./backing-files.ts";
import type { Connection } from "./connection.ts";

/**
 * Listens to the kernel, for the main thread of a server process: signals come to no other. Without
 * this the first writer would end the process.
 */
export function yieldFileLeases({ fd, backing }: Pick<Connection, "fd" | "backing">): void {
  if (backing === undefined) return;
  const files = new BackingFiles(fd, [], backing, () => undefined);
  process.on("SIGIO", () => files.yieldFileLeases());
}
