/** zstd frames: what the decoder gives, fzstd gives too; the framing does not depend on the chunks. */
import { decompress } from "fzstd";
import { unzstdWasm } from "../../../src/oci/codec/unzstd.ts";
import { ZstdFrames } from "../../../src/oci/codec/zstd-frames.ts";
import { FuzzInput, MOST_BYTES } from "../decoder-input.ts";
import { accepted, acceptedLater, pieces, same } from "../invariant.ts";

export async function fuzz(data: Uint8Array): Promise<void> {
  const whole = accepted(() => framesOf([data]));
  same(
    whole,
    accepted(() => framesOf(pieces(data))),
    "frames in one piece, and in several",
  );
  if (whole === undefined) return; // an error's memory is the decoder's for ever
  const output = await acceptedLater(() => collect(data));
  if (output === undefined || output.length > MOST_BYTES) return;
  let other: Uint8Array;
  try {
    other = decompress(data);
  } catch {
    return; // it knows less than RFC 8878
  }
  if (other.length > 0) same(output, Buffer.from(other), "zstddec, and fzstd");
}

function framesOf(chunks: Iterable<Uint8Array>): number {
  const frames = new ZstdFrames("layer");
  for (const chunk of chunks) frames.push(chunk);
  frames.end();
  return frames.begun;
}

async function collect(data: Uint8Array): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of unzstdWasm(new FuzzInput(data), "layer")) {
    size += chunk.length;
    parts.push(Buffer.from(chunk));
    if (size > MOST_BYTES) break;
  }
  return Buffer.concat(parts);
}
