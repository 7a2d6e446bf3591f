/**
 * All bytes of a stream whose length is known.
 *
 * @module
 */
import { IntegrityError } from "../errors.ts";
import type { Attempt } from "./failover.ts";

/** @throws {@link IntegrityError} `SIZE_MISMATCH` when there are more or fewer than `size` */
export async function collect(
  stream: AsyncIterable<Uint8Array>,
  size: number,
  { progress }: Pick<Attempt, "progress">,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of stream) {
    if (at + chunk.length > size) {
      throw new IntegrityError("SIZE_MISMATCH", `expected ${size} bytes, got more`);
    }
    bytes.set(chunk, at);
    at += chunk.length;
    progress(chunk.length);
  }
  if (at === size) return bytes;
  throw new IntegrityError("SIZE_MISMATCH", `expected ${size} bytes, got ${at}`);
}
