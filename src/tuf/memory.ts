/**
 * The trusted metadata of one repository on the disk: a folder with `root.json`, `timestamp.json`,
 * `snapshot.json`, `targets.json`. Rollbacks are detected by it, so it is replaced file by file,
 * durably, by one process at a time; tuf-js itself works on a copy.
 *
 * @module
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { SystemError, TrustError } from "../errors.ts";
import { replaceFile } from "../fs/atomic-file.ts";
import { limits } from "../limits.ts";
import { readRegular } from "../fs/regular-file.ts";
import { flock } from "../sys/flock.ts";
import { checkMetadata } from "./metadata.ts";

/** Files of roles. The names of roles are percent-encoded, and may begin with a dot. */
const METADATA = /\.json$/;
const LOCK = ".lock";
const LOCK_TIMEOUT_MS = 60_000;
const LOCK_RETRY_MS = 50;
/** The order of writing: each file after those that it relies on. */
const WRITE_ORDER = ["root.json", "timestamp.json", "snapshot.json"];

/** The memory, locked by this process. */
export class TufMemory {
  /** The copy to work on. */
  readonly work: string;
  readonly #folder: string;
  readonly #fd: number;
  readonly #kept = new Map<string, Uint8Array>();

  private constructor(folder: string, fd: number, work: string) {
    this.#folder = folder;
    this.#fd = fd;
    this.work = work;
  }

  /**
   * Locks the memory in `folder`. A folder that does not exist is made, and begins with `root`.
   *
   * @throws {@link TrustError} `BAD_STATE` when something in it is damaged, `STATE_NOT_KEPT` when
   *   it cannot be made; {@link SystemError} `BUSY`
   */
  static async open(folder: string, root: Uint8Array | undefined): Promise<TufMemory> {
    const fd = openLock(folder);
    let memory: TufMemory | undefined;
    try {
      await take(fd, folder);
      memory = new TufMemory(folder, fd, mkdtempSync(join(tmpdir(), "sealfs-tuf-")));
      memory.#copy(root);
      return memory;
    } catch (error) {
      if (memory === undefined) closeSync(fd);
      else memory.close();
      throw error;
    }
  }

  #copy(root: Uint8Array | undefined): void {
    for (const name of readdirSync(this.#folder)) {
      if (name.endsWith(".tmp")) rmSync(join(this.#folder, name)); // of a process that died
      if (METADATA.test(name)) this.#kept.set(name, readKept(this.#folder, name));
    }
    // Without a root, the remembered versions would not be compared with anything.
    if (!this.#kept.has("root.json")) {
      if (this.#kept.size > 0) throw damaged(this.#folder, "root.json: missing");
      if (root !== undefined) writeFileSync(join(this.work, "root.json"), root);
    }
    for (const [name, bytes] of this.#kept) writeFileSync(join(this.work, name), bytes);
  }

  /**
   * Keeps what was verified, even when the update failed later: a root that was accepted stays
   * accepted.
   *
   * @throws {@link TrustError} `STATE_NOT_KEPT`
   */
  keep(): void {
    const names = readdirSync(this.work).filter((name) => METADATA.test(name));
    const rank = (name: string) =>
      (WRITE_ORDER.indexOf(name) + WRITE_ORDER.length + 1) % (WRITE_ORDER.length + 1);
    try {
      for (const name of names.sort((a, b) => rank(a) - rank(b))) {
        const bytes = readRegular(join(this.work, name), limits.tufMetadataBytes, name);
        const before = this.#kept.get(name);
        if (before !== undefined && Buffer.from(before).equals(bytes)) continue;
        replaceFile(join(this.#folder, name), bytes, { mode: 0o600, sync: true });
        this.#kept.set(name, bytes);
      }
    } catch (cause) {
      throw notKept(this.#folder, cause);
    }
  }

  close(): void {
    rmSync(this.work, { recursive: true, force: true });
    closeSync(this.#fd); // and the lock with it
  }
}

function openLock(folder: string): number {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openSync(join(folder, LOCK), "a", 0o600);
  } catch (cause) {
    throw notKept(folder, cause);
  }
}

/** Where files cannot be locked, two updates at once may lose the newer of their versions. */
async function take(fd: number, folder: string): Promise<void> {
  for (const end = performance.now() + LOCK_TIMEOUT_MS; performance.now() < end;) {
    if (flock(fd, "exclusive") !== "busy") return;
    await setTimeout(LOCK_RETRY_MS);
  }
  throw new SystemError("BUSY", `${folder}: another process is updating it`);
}

function readKept(folder: string, name: string): Uint8Array {
  try {
    const bytes = readRegular(join(folder, name), limits.tufMetadataBytes, name);
    checkMetadata(bytes, name);
    return bytes;
  } catch (cause) {
    throw damaged(folder, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function damaged(folder: string, why: string, cause?: unknown): TrustError {
  return new TrustError("BAD_STATE", `memory of TUF metadata in ${folder}: ${why}`, {
    cause,
    hint: "what was seen before is lost: repair the file, or remove the folder to start over",
  });
}

function notKept(folder: string, cause: unknown): TrustError {
  return new TrustError("STATE_NOT_KEPT", `TUF metadata: not remembered in ${folder}`, {
    cause,
    hint: "name a writable folder with --state, or go without a memory with --state none",
  });
}
