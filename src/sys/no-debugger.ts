/**
 * Keeps Node from opening its debugger on SIGUSR1: whoever may connect to that port of this machine, and
 * that is every user, could then run code in this process.
 *
 * @module
 */

let isRefused = false;

/** From now on the signal does nothing. */
export function refuseDebugger(): void {
  if (!isRefused) process.on("SIGUSR1", () => undefined);
  isRefused = true;
}
