/**
 * Waiting for a server that is busy (statuses 429 and 503): as long as it asks for, or longer each
 * time where it does not say, and never for ever.
 *
 * Spec: RFC 9110, 10.2.3; RFC 6585, section 4.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NetworkError } from "../errors.ts";
import { isBusy, retryAfter } from "./answer.ts";
import type { HttpResponse } from "./client.ts";

/** How often one request is made, and how long it is waited for in all, while its server is busy. */
export interface Patience {
  readonly asks: number;
  readonly waitMs: number;
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

/** Where there is no other server to ask. */
export const usualPatience: Patience = {
  asks: 10,
  waitMs: 60_000,
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** Busy is an answer like any other: the caller has others to ask meanwhile. */
export const noPatience: Patience = { ...usualPatience, asks: 1 };

/** The first pause where the server does not say how long; each further one is twice as long. */
const PAUSE_MS = 1_000;

/**
 * The answer of `ask`, or its error, once it is another one than busy. When patience is over, that
 * is the last answer.
 *
 * @throws the reason of `signal` when it ends during a pause
 */
export async function whileBusy<T extends HttpResponse>(
  ask: () => Promise<T>,
  { asks, waitMs, sleep: pause }: Patience,
  signal: AbortSignal | undefined,
): Promise<T> {
  let left = waitMs;
  for (let asked = 1; ; asked++) {
    let answer: T | undefined;
    let error: unknown;
    try {
      answer = await ask();
    } catch (thrown) {
      error = thrown;
    }
    const busy = answer === undefined ? busyError(error) : busyAnswer(answer);
    // Zero would be to ask again at once, for ever.
    const ms = busy?.retryAfterMs || PAUSE_MS * 2 ** (asked - 1);
    if (busy === undefined || asked === asks || ms > left) {
      if (answer === undefined) throw error;
      return answer;
    }
    await answer?.discard();
    left -= ms;
    try {
      await pause(ms, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      throw cause;
    }
  }
}

interface Busy {
  readonly retryAfterMs: number | undefined;
}

function busyAnswer({ status, headers }: HttpResponse): Busy | undefined {
  return isBusy(status) ? { retryAfterMs: retryAfter(headers) } : undefined;
}

function busyError(error: unknown): Busy | undefined {
  return error instanceof NetworkError && error.code === "BUSY" ? error : undefined;
}
