/**
 * What xz and bzip2 have compressed, by the programs of these names, as docker and tar do it: Node
 * has no decoder for them.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FormatError } from "../../errors.ts";
import { readFully, writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { limits } from "../../limits.ts";
import { RAISE_BOUND } from "../../tar/tar-options.ts";
import type { BlobRange, FileRange } from "../blob.ts";
import { layerBound } from "../codec/decode.ts";
import type { Sniffed } from "../codec/sniff.ts";
import type { DecompressOptions } from "./decompressed.ts";
import { openUnnamed } from "./spool.ts";

const tools: ReadonlyMap<Sniffed, readonly [program: string, ...args: string[]]> = new Map([
  ["xz", ["xz", "-dc", "-T1", `-M${limits.xzMemory}`]],
  ["bzip2", ["bzip2", "-dc"]],
]);

/** Whether there may be a program for it. */
export function hasTool(compression: Sniffed): boolean {
  return tools.has(compression);
}

/**
 * A decompressed copy in a file without a name; undefined where the program is not installed.
 *
 * @throws {@link FormatError} `LIMIT`, or `MALFORMED` with what the program says;
 *   {@link SystemError}; the reason of `signal`
 */
export async function copyByTool(
  range: FileRange,
  compression: Sniffed,
  label: string,
  { signal, maxLayerBytes }: DecompressOptions = {},
): Promise<BlobRange | undefined> {
  const [program, ...args] = tools.get(compression)!;
  const bound = layerBound(range.size, maxLayerBytes);
  const child = spawn(program, args, {
    stdio: "pipe",
    ...(signal === undefined ? {} : { signal }),
  });
  const ended = new Promise<number | string | NodeJS.ErrnoException>((resolve) => {
    child.once("error", resolve);
    child.once("close", (code, by) => resolve(code ?? by ?? "nothing"));
  });
  // Where it takes no more, its exit status says why.
  pipeline(Readable.from(piecesOf(range)), child.stdin).catch(() => undefined);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text.slice(0, 500)));
  const copy = openUnnamed();
  let size = 0;
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bound) {
        const message = `${label}: at most ${bound} uncompressed bytes (of ${range.size}), got more`;
        throw new FormatError("LIMIT", message, { hint: RAISE_BOUND });
      }
      writeFully(copy.fd, chunk);
    }
    const end = await ended;
    signal?.throwIfAborted();
    if (end === 0) return { ...copy, size };
    if (!(end instanceof Error)) {
      const why = said.trim().split("\n")[0] ?? "";
      throw new FormatError("MALFORMED", `${label}: ${program} ended with ${end}: ${why}`);
    }
    if (end.code !== "ENOENT") throw failure(program, end);
    copy.close();
    return undefined;
  } catch (error) {
    copy.close();
    signal?.throwIfAborted();
    throw failure(`${label}: decompressing it into a temporary file`, error);
  } finally {
    child.kill();
  }
}

const PIECE_BYTES = 256 * 1024;

function* piecesOf({ fd, offset, size }: FileRange): Generator<Buffer> {
  for (let at = 0; at < size;) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, size - at));
    const got = readFully(fd, piece, offset + at);
    if (got === 0) return; // it has become shorter, which the program will notice
    at += got;
    yield piece.subarray(0, got);
  }
}
