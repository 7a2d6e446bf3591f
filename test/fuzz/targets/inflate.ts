/** Our inflater against zlib: the same output, or both refuse. */
import { inflateRawSync } from "node:zlib";
import { FormatError } from "../../../src/errors.ts";
import { Inflater } from "../../../src/seek/inflater.ts";
import { accepted, pieces, same } from "../invariant.ts";

const MOST_BYTES = 4 * 1024 * 1024;

export function fuzz(data: Uint8Array): void {
  const oracle = zlib(data);
  if (oracle === "too much") return;
  for (const chunks of [[data], pieces(data)]) {
    same(
      oracle,
      accepted(() => inflate(chunks)),
      "zlib, and the inflater",
    );
  }
}

/** Undefined when zlib refuses. */
function zlib(data: Uint8Array): Buffer | "too much" | undefined {
  try {
    return inflateRawSync(data, { maxOutputLength: MOST_BYTES });
  } catch (error) {
    return (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE" ? "too much" : undefined;
  }
}

function inflate(chunks: Iterable<Uint8Array>): Buffer {
  const inflater = new Inflater();
  const parts: Buffer[] = [];
  const drain = () => {
    for (;;) {
      const stop = inflater.run();
      parts.push(Buffer.from(inflater.take()));
      if (stop === "end" || stop === "input") return stop === "end";
    }
  };
  for (const chunk of chunks) {
    inflater.push(chunk);
    if (drain()) return Buffer.concat(parts);
  }
  inflater.finish();
  if (drain()) return Buffer.concat(parts);
  throw new FormatError("TRUNCATED", "no end");
}
