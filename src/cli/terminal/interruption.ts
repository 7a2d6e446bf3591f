/**
 * Ending a command in order when it gets a signal.
 *
 * @module
 */
import { SystemError } from "../../errors.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The first signal ends the command in order, a second one at once. */
export function interruptible(command: string): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const stop = (signal: string) =>
    controller.abort(new SystemError("INTERRUPTED", `${command}: ended by ${signal}`));
  for (const signal of signals) process.once(signal, stop);
  const end = () => {
    for (const signal of signals) process.removeListener(signal, stop);
  };
  return { signal: controller.signal, end };
}
