/**
 * Files that appear whole or not at all: written under another name, then renamed or linked to their
 * own. A process that is killed in between leaves the other name, which ends in `.tmp`.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, lstatSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { UsageError } from "../errors.ts";
import { writeFully } from "./descriptor-io.ts";
import { errnoOf } from "./failure.ts";
import { openNewFile } from "./new-file.ts";
import { syncPath } from "./sync.ts";

/** How a file is made. */
export interface AtomicFileOptions {
  /** Its rights, without those that the umask takes away. */
  readonly mode: number;
  /** Whether the umask takes nothing away. */
  readonly ignoreUmask?: boolean;
  /**
   * Whether content and name are on the disk when the call returns. Without it a power loss may leave
   * an empty file under the name.
   */
  readonly sync: boolean;
  /** The path to write at first, in the same file system; beside the file by default. */
  readonly temporary?: string;
}

const WITHOUT_LINKS = new Set<string | undefined>(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]);

/** Makes a file, or puts it in the place of another. */
export function replaceFile(
  path: string,
  content: Uint8Array | string,
  options: AtomicFileOptions,
): void {
  throughTemporary(path, content, options, (temporary) => {
    renameSync(temporary, path);
    return true;
  });
}

/** Makes a file; returns false when its name is taken, and leaves what has it as it is. */
export function createFileIfAbsent(
  path: string,
  content: Uint8Array | string,
  options: AtomicFileOptions,
): boolean {
  return throughTemporary(path, content, options, (temporary) => linkIfAbsent(temporary, path));
}

/**
 * Makes a file that the user has named and that must not exist.
 *
 * @throws {@link UsageError} when its name is taken
 */
export function createFile(
  path: string,
  content: Uint8Array | string,
  options: AtomicFileOptions,
): void {
  if (createFileIfAbsent(path, content, options)) return;
  throw new UsageError("USAGE", `${path}: exists already, and is not overwritten`);
}

/** Writes at the temporary path and has it moved to its own by `place`, which tells whether it did. */
function throughTemporary(
  path: string,
  content: Uint8Array | string,
  options: AtomicFileOptions,
  place: (temporary: string) => boolean,
): boolean {
  const { mode, ignoreUmask = false, sync } = options;
  const temporary = options.temporary ?? `${path}.${randomBytes(4).toString("hex")}.tmp`;
  const fd = ignoreUmask ? openNewFile(temporary, mode) : openSync(temporary, "wx", mode);
  let placed: boolean;
  try {
    writeAndClose(fd, content, sync);
    placed = place(temporary);
  } catch (error) {
    remove(temporary);
    throw error;
  }
  remove(temporary); // a link has left it
  if (placed && sync) syncPath(dirname(path));
  return placed;
}

function writeAndClose(fd: number, content: Uint8Array | string, sync: boolean): void {
  try {
    writeFully(fd, typeof content === "string" ? Buffer.from(content) : content);
    if (sync) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function linkIfAbsent(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    if (!WITHOUT_LINKS.has(errnoOf(error))) throw error;
  }
  // A file system without hard links: another process may come in between here.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
  renameSync(temporary, path);
  return true;
}

/** Never throws: the error that led here is the one to report. */
function remove(temporary: string): void {
  try {
    rmSync(temporary, { force: true });
  } catch {
    // it stays, under a name that tells what it is
  }
}
