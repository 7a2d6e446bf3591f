/**
 * Files and pipes that the user has named: a pipe, as of `<(…)`, /dev/stdin or mkfifo(1), is read to
 * its end into a file without a name.
 *
 * @module
 */
import { constants, existsSync, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { NotFoundError } from "../../errors.ts";
import { failure } from "../../fs/failure.ts";
import { type BlobRange, openNamed } from "../blob.ts";
import { spool } from "./spool.ts";

/**
 * Opens what a path names; of a pipe, the end is waited for.
 *
 * @param whole the text of which the path is a part, where a colon or comma ends it, for a hint
 * @throws {@link NotFoundError} `NO_FILE`; {@link UsageError} for devices and directories;
 *   {@link SystemError}; the reason of `signal`
 */
export async function openGiven(
  path: string,
  signal?: AbortSignal,
  whole = path,
): Promise<BlobRange> {
  if (isPipe(path)) return readPipe(path, signal);
  try {
    return openNamed(path);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError("NO_FILE", error.message, { hint: meantHint(path, whole) });
  }
}

/** What to say where nothing is at a path that a colon or comma of `whole` ends. */
export function meantHint(path: string, whole: string): string | undefined {
  if (path === "-") return "standard input is - without a transport, or /dev/stdin with one";
  if (whole === path || !existsSync(whole)) return undefined;
  const plain = /^\.{0,2}\//.test(whole) ? whole : `./${whole}`;
  return `a colon or comma ends the path; without a transport, ${plain} is read whole`;
}

function isPipe(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
  } catch {
    return false; // opening it says why
  }
}

async function readPipe(path: string, signal: AbortSignal | undefined): Promise<BlobRange> {
  let fd: number;
  try {
    // Whose other end nobody has opened yet is waited for below, where a signal ends that.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw failure(path, error);
  }
  const pipe = new Socket({ fd, readable: true, writable: false });
  try {
    return await spool(pipe, { label: path, signal });
  } finally {
    pipe.destroy();
  }
}
