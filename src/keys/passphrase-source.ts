/**
 * Where the passphrase of a key comes from when nobody is asked: `env:NAME`, `fd:N`, or a file. The
 * first line counts.
 *
 * @module
 */
import { fstatSync, lstatSync, readSync, readdirSync, readlinkSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";

/** A place that holds one passphrase. */
export interface PassphraseSource {
  /**
   * Reads it; a pipe gives it once, so it is kept.
   *
   * @throws {@link UsageError} when there is none, or it is empty; as {@link readUserFile}
   */
  read(): string;
}

const BY_FILE = "or name a file whose first line is the passphrase";

/**
 * The source that a user has named. A variable is taken out of the environment at once, so that no
 * process that is started from here inherits it.
 *
 * @throws {@link UsageError} for a name that no variable, or a number that no descriptor has
 */
export function parsePassphraseSource(
  text: string,
  environment: Record<string, string | undefined> = process.env,
): PassphraseSource {
  const read = reader(text, environment);
  let known: string | undefined;
  return {
    read() {
      known ??= read();
      if (known !== "") return known;
      throw new UsageError("USAGE", `passphrase: expected one, ${text} has an empty first line`, {
        hint: `put the passphrase there, ${BY_FILE}`,
      });
    },
  };
}

function reader(text: string, environment: Record<string, string | undefined>): () => string {
  const [, kind, rest = ""] = /^(env|fd):(.*)$/s.exec(text) ?? [];
  if (kind === "env") {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(rest)) throw unusable(text, "env:NAME with a variable");
    const value = environment[rest];
    delete environment[rest];
    return () => (value === undefined ? throwUnset(rest) : firstLine(Buffer.from(value)));
  }
  if (kind === "fd") {
    if (!/^[0-9]{1,6}$/.test(rest)) throw unusable(text, "fd:N with the number of a descriptor");
    return () => firstLine(readDescriptor(Number(rest)));
  }
  return () => firstLine(readUserFile(text, limits.keyBytes, `passphrase file ${text}`));
}

function firstLine(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).split(/\r?\n/, 1)[0]!;
}

function unusable(text: string, expected: string): UsageError {
  return new UsageError("USAGE", `passphrase: expected ${expected}, got ${JSON.stringify(text)}`, {
    hint: `a file of that name is given as ./${text}`,
  });
}

function throwUnset(name: string): never {
  throw new UsageError("USAGE", `passphrase: the environment variable ${name} is not set`, {
    hint: `export ${name}, ${BY_FILE}`,
  });
}

/** Up to the end of the first line: whoever writes into a pipe may leave it open. */
function readDescriptor(fd: number): Uint8Array {
  if (!isGiven(fd)) {
    throw new UsageError("USAGE", `passphrase: descriptor ${fd} is not open`, {
      hint: `open it in the shell, as in ${fd}< FILE, ${BY_FILE}`,
    });
  }
  const bytes = Buffer.alloc(limits.keyBytes);
  let at = 0;
  try {
    while (at < bytes.length && !bytes.subarray(0, at).includes(0x0a)) {
      const got = readSync(fd, bytes, at, Math.min(bytes.length - at, 4096), null);
      if (got === 0) break;
      at += got;
    }
  } catch (error) {
    throw failure(`passphrase: descriptor ${fd}`, error);
  }
  return bytes.subarray(0, at);
}

/**
 * Whether a descriptor is one that whoever started this process has given to it. Node has opened
 * some for itself, under the numbers that were free.
 */
function isGiven(fd: number): boolean {
  try {
    fstatSync(fd);
  } catch (error) {
    if (errnoOf(error) === "EBADF") return false;
    throw error;
  }
  const target = targetOf(fd);
  if (target === undefined) return true;
  if (target.startsWith("anon_inode:")) return false;
  // Nobody else writes into a pipe whose other end is here.
  const isPipe = target.startsWith("pipe:");
  return !isPipe || !descriptors().some((other) => targetOf(other) === target && isWritable(other));
}

const OWNER_MAY_WRITE = 0o200;

/** The mode of the link says how the descriptor was opened (proc_pid_fd(5)). */
function isWritable(fd: number): boolean {
  const stat = lstatSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false });
  return stat !== undefined && (stat.mode & OWNER_MAY_WRITE) !== 0;
}

function descriptors(): number[] {
  return readdirSync("/proc/self/fd").map(Number);
}

function targetOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
