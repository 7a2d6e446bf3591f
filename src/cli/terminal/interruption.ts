/**
 * Ending a command in order when it gets a signal.
 *
 * @module
 */
import { SystemError } from "../../errors.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Does work that the first signal ends in order, and any further one at once.
 *
 * @throws {@link SystemError} `INTERRUPTED` when the signal has ended it, whatever that broke inside
 */
export async function interruptible<T>(
  command: string,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const release = () => {
    for (const signal of signals) process.removeListener(signal, stop);
  };
  const stop = (signal: (typeof signals)[number]) => {
    release();
    controller.abort(new SystemError("INTERRUPTED", `${command}: ended by ${signal}`, { signal }));
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? (controller.signal.reason as SystemError) : error;
  } finally {
    release();
  }
}
