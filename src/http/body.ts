/**
 * The body of an answer: never more than was asked for, never slower than a minimum, and told apart
 * when it ends early.
 * Spec: docs/hostile-inputs.md, 110 to 115, 137, 138.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { NetworkError } from "../errors.ts";
import { networkFailure } from "./failure.ts";
import { type Pace, timeouts } from "./timeouts.ts";

/** Bytes as they come. */
export type Body = AsyncGenerator<Uint8Array, void>;

/** `body`, which calls `giveUp` when it is ended before it was begun: generators do not notice. */
export function unlessUnread(body: Body, giveUp: () => void): Body {
  let begun = false;
  const guarded: Body = {
    next: () => {
      begun = true;
      return body.next();
    },
    return: () => {
      if (!begun) giveUp();
      return body.return();
    },
    throw: (error) => body.throw(error),
    [Symbol.asyncIterator]: () => guarded,
    [Symbol.asyncDispose]: () => guarded.return().then(() => undefined),
  };
  return guarded;
}

/** What a body must keep to. */
export interface BodyRules {
  /** The redacted URL. */
  readonly what: string;
  /** Bytes that it has; undefined: it may have up to `max`. */
  readonly exactly: number | undefined;
  readonly max: number;
  readonly pace: Pace;
}

/**
 * The bytes of `stream`, which is done with when this ends, however it does. Only time in which we
 * wait for the server counts.
 *
 * @throws {@link NetworkError} `WRONG_SIZE`, `CUT_SHORT`, `TOO_SLOW`; the reason of `signal`
 */
export async function* readBody(
  stream: Readable,
  { what, exactly, max, pace }: BodyRules,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const most = exactly ?? max;
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const watch = new PaceWatch(pace, what);
  let got = 0;
  try {
    for (;;) {
      const isWhole = got === exactly;
      const waiting = isWhole
        ? within(chunks.next(), timeouts.endMs)
        : watch.over(chunks.next(), stream);
      const next = await until(waiting, signal, stream);
      // All is there, and the end does not come: it is the connection that is to go.
      if (next === undefined || next.done === true) break;
      const chunk = next.value;
      got += chunk.length;
      watch.count(chunk.length);
      if (got > most) throw wrongSize(what, exactly, most, `more than ${most}`);
      yield chunk;
    }
    if (exactly !== undefined && got < exactly) {
      throw new NetworkError("CUT_SHORT", `${what}: expected ${exactly} bytes, got ${got}`);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw networkFailure(error, what, true);
  } finally {
    // After its end this changes nothing; before, it ends the connection, which nobody uses again.
    stream.destroy();
  }
}

/** @throws the reason of `signal` when it ends first */
async function until<T>(promise: Promise<T>, signal: AbortSignal, stream: Readable): Promise<T> {
  if (signal.aborted) throw signal.reason;
  let end: () => void;
  const aborted = new Promise<never>((_, reject) => {
    end = () => {
      reject(signal.reason as Error);
      stream.destroy();
    };
    signal.addEventListener("abort", end, { once: true });
  });
  promise.catch(() => undefined); // its reason is told, or another is
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", end!);
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer!);
  }
}

/**
 * Ends a stream that is too slow: the time in which it is waited for is cut into windows, one behind
 * the other, and each has to bring enough.
 */
class PaceWatch {
  readonly #pace: Pace;
  readonly #what: string;
  /** Of the window under way: bytes, and ms of waiting. */
  #bytes = 0;
  #waited = 0;

  constructor(pace: Pace, what: string) {
    this.#pace = pace;
    this.#what = what;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Waits for `promise`; destroys `stream` when a window ends meanwhile with too few bytes.
   *
   * @throws {@link NetworkError} `TOO_SLOW` for what comes after the end of such a window
   */
  async over<T>(promise: Promise<T>, stream: Readable): Promise<T> {
    let since = performance.now();
    const isInPace = () => {
      const now = performance.now();
      this.#waited += now - since;
      since = now;
      return this.#closeWindows();
    };
    let timer: NodeJS.Timeout | undefined;
    const arm = () => {
      // What comes at the very end of a window is in it.
      const ms = this.#pace.windowMs - this.#waited + 1;
      timer = setTimeout(() => {
        if (isInPace()) arm();
        else stream.destroy(this.#error());
      }, ms);
    };
    arm();
    let result: T;
    try {
      result = await promise;
    } finally {
      clearTimeout(timer);
    }
    if (!isInPace()) throw this.#error();
    return result;
  }

  /** Whether each window that is over now had enough bytes. */
  #closeWindows(): boolean {
    const { bytesPerSecond, windowMs } = this.#pace;
    for (; this.#waited > windowMs; this.#waited -= windowMs) {
      if (this.#bytes < (bytesPerSecond * windowMs) / 1000) return false;
      this.#bytes = 0;
    }
    return true;
  }

  #error(): NetworkError {
    const { bytesPerSecond, windowMs } = this.#pace;
    const seconds = windowMs / 1000;
    const message = `${this.#what}: under ${bytesPerSecond} bytes a second for ${seconds} s`;
    return new NetworkError("TOO_SLOW", message);
  }
}

export function wrongSize(
  what: string,
  exactly: number | undefined,
  most: number,
  got: string,
): NetworkError {
  const expected = exactly === undefined ? `at most ${most}` : String(exactly);
  return new NetworkError("WRONG_SIZE", `${what}: expected ${expected} bytes, got ${got}`);
}
