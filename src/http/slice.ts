/**
 * The part that was asked for out of an answer that may be the whole.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";
import type { GoodResponse } from "./client.ts";
import { redact } from "./redact.ts";

/**
 * The bytes from `start` to `end` of the resource; what comes before is dropped, and what comes after is
 * not waited for.
 *
 * @throws {@link NetworkError} `WRONG_SIZE` when the answer begins later or ends earlier
 */
export async function* slice(
  { body, extent, url }: GoodResponse,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void> {
  let at = extent.start;
  try {
    if (at > start) throw missing(url, start, at);
    for await (const chunk of body) {
      const from = Math.max(0, start - at);
      const to = Math.min(chunk.length, end - at);
      at += chunk.length;
      if (from < to) yield chunk.subarray(from, to);
      // The end of a part is its answer's end, too: reading on keeps its connection.
      if (at >= end && extent.bytes !== end - extent.start) return;
    }
    if (at < end) throw missing(url, end, at);
  } finally {
    await body.return();
  }
}

function missing(url: URL, wanted: number, got: number): NetworkError {
  return new NetworkError("WRONG_SIZE", `${redact(url)}: expected byte ${wanted}, got ${got}`);
}
