/**
 * One request and its answer on their way: waited for, watched while they are sent, and given up.
 *
 * @module
 */
import { limits } from "../limits.ts";
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { timeouts } from "./timeouts.ts";

/** The answer, unless `signal` ends first; then it is given up when it comes. */
export async function ended(
  signal: AbortSignal,
  answer: Promise<Dispatcher.ResponseData>,
): Promise<Dispatcher.ResponseData> {
  let end: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    end = () => reject(signal.reason as Error);
    signal.addEventListener("abort", end, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } catch (error) {
    answer.then(
      ({ body }) => body.on("error", () => undefined).destroy(),
      () => undefined,
    );
    throw error;
  } finally {
    signal.removeEventListener("abort", end!);
  }
}

/** As long as the server takes what is sent, it need not answer yet. */
export async function* watched(
  body: AsyncIterable<Uint8Array>,
  onTaken: () => void,
): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    onTaken();
    yield chunk;
  }
  onTaken();
}

/** Gives up a body: a short one is read to its end in the background, else the connection ends. */
export function drop({ stream }: { readonly stream: Readable }): void {
  if (!("dump" in stream)) {
    stream.destroy();
    return;
  }
  const body = stream as Readable & Dispatcher.ResponseData["body"];
  body
    .dump({ limit: limits.httpRestBytes, signal: AbortSignal.timeout(timeouts.restMs) })
    .catch(() => undefined);
}
