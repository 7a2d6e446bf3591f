/**
 * Standard input as a file that can be read at any offset: itself when it is one, else a copy in a
 * temporary file that has no name any more, so that nothing is left behind however we end.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { type Readable, addAbortSignal } from "node:stream";
import { SystemError } from "../../errors.ts";
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import type { BlobRange } from "../blob.ts";

export interface SpoolOptions {
  /** What the stream is, for messages. */
  readonly label?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of `stream` to its end. Memory does not grow with them; disk space in `TMPDIR` (else
 * /var/tmp) does, unless the stream is a regular file that nobody has read from yet.
 *
 * @throws {@link SystemError} `NO_SPACE` and others; the reason of `signal`
 */
export async function spool(
  stream: Readable & { readonly fd?: number },
  { label = "standard input", signal }: SpoolOptions = {},
): Promise<BlobRange> {
  const { fd } = stream;
  if (fd !== undefined && !stream.readableDidRead && atStart(fd)) {
    return { fd, offset: 0, size: fstatSync(fd).size, close() {} };
  }
  if (signal !== undefined) addAbortSignal(signal, stream);
  const { fd: copy } = openUnnamed();
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      writeFully(copy, chunk);
      size += chunk.length;
    }
  } catch (error) {
    closeSync(copy);
    signal?.throwIfAborted();
    throw failure(label, error);
  }
  return { fd: copy, offset: 0, size, close: () => closeSync(copy) };
}

/** Whether the descriptor is a regular file whose offset is 0, as far as /proc tells. */
function atStart(fd: number): boolean {
  try {
    if (!fstatSync(fd).isFile()) return false;
    return /^pos:\s+0$/m.test(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"));
  } catch {
    return false;
  }
}

/**
 * An empty file that goes away with its descriptor, in `TMPDIR` (else /var/tmp).
 *
 * @throws {@link SystemError} `IO`
 */
export function openUnnamed(): BlobRange {
  const folder = process.env["TMPDIR"] || "/var/tmp";
  const path = join(folder, `sealfs-${randomUUID()}`);
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    unlinkSync(path);
    return { fd, offset: 0, size: 0, close: () => closeSync(fd) };
  } catch (cause) {
    throw new SystemError("IO", `${folder}: no temporary file`, {
      cause,
      hint: "set TMPDIR to a folder with room for the archive",
    });
  }
}
