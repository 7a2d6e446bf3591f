/**
 * Leases: files in `leases/` that say which images or objects a living process needs, so that gc
 * keeps them though no name leads to them. The process holds an exclusive flock on its file as long
 * as it lives; a file whose lock is free is dead, whatever its name or its age say. So neither a
 * process id that is used again nor a clock that jumps can make a lease look alive or dead.
 *
 * ```
 * leases/<boot id>-<random>    sealfs lease 1
 *                              image <id>
 *                              object <digest>
 * ```
 *
 * Leases are made under the shared lock of the store and read under the exclusive one: gc never
 * sees half of one.
 *
 * Spec: docs/store.md, "Leases".
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync } from "node:fs";
import { FormatError, NotFoundError, SystemError } from "../errors.ts";
import { limits } from "../limits.ts";
import { flock } from "../sys/flock.ts";
import { type VerityDigest, parseVerityDigest } from "../verity/verity-digest.ts";
import { readFully, writeFully } from "../fs/descriptor-io.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { bootId } from "./boot-id.ts";
import { StoreLock } from "./lock.ts";
import { lockMode } from "./ownership.ts";
import type { Store } from "./store.ts";

const LEASES = "leases";
const NAME = /-[0-9a-f]{24}$/;
const HEADER = "sealfs lease 1";
const LINE = /^(image|object) ([0-9a-f]+)$/;

/** What a process needs. */
export interface LeaseContent {
  /** Images of the store, with everything that they refer to. */
  readonly images: readonly VerityDigest[];
  /** Further objects. */
  readonly objects: readonly VerityDigest[];
}

/** A lease of this process. */
class Lease {
  readonly #files: HeldDirectory;
  readonly #name: string;
  #fd: number;

  private constructor(files: HeldDirectory, name: string, fd: number) {
    this.#files = files;
    this.#name = name;
    this.#fd = fd;
  }

  /**
   * Takes a lease; it ends with {@link release}, or with the process.
   *
   * @throws {@link SystemError} `BUSY` while the store is being cleaned up; `READ_ONLY`,
   *   `PERMISSION`, `NO_SPACE`, `IO`
   */
  static take(store: Store, content: LeaseContent, timeoutMs?: number): Lease {
    const lock = StoreLock.shared(store, timeoutMs);
    try {
      return Lease.#write(store, content);
    } catch (error) {
      throw failure(`store ${store.path}: lease`, error);
    } finally {
      lock.release();
    }
  }

  static #write({ files }: Store, content: LeaseContent): Lease {
    files.makeDirectory(LEASES); // a store that another tool made has none
    const name = `${LEASES}/${bootId()}-${randomBytes(12).toString("hex")}`;
    const fd = files.newFile(name, lockMode(files));
    try {
      flock(fd, "exclusive"); // a file of our own: it is free, or cannot be locked at all
      const bytes = Buffer.from(format(content));
      writeFully(fd, bytes);
      return new Lease(files, name, fd);
    } catch (error) {
      files.unlink(name);
      closeSync(fd);
      throw error;
    }
  }

  /** Never throws: a file that stays is a dead lease, which gc removes. */
  release(): void {
    if (this.#fd < 0) return;
    try {
      this.#files.unlink(this.#name);
    } catch {
      // gc removes it
    }
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/**
 * Takes a lease on an image that is about to be used: on its id when the store has it, otherwise on
 * each of its objects. The store keeps those that it has; it may still lack the others afterwards.
 * Undefined when this process cannot write to the store.
 *
 * @throws {@link SystemError} `BUSY` while the store is being cleaned up; `NO_SPACE`, `IO`
 */
export function takeLease(
  store: Store,
  id: VerityDigest,
  objects: () => Iterable<VerityDigest>,
  timeoutMs?: number,
): Lease | undefined {
  // gc may run between the look and the lease, so the store is looked at again under the lease.
  try {
    const known = store.images.has(id);
    const content = known ? { images: [id], objects: [] } : { images: [], objects: [...objects()] };
    const lease = Lease.take(store, content, timeoutMs);
    if (!known || store.images.has(id)) return lease;
    lease.release(); // gc took the image in between
    return Lease.take(store, { images: [], objects: [...objects()] }, timeoutMs);
  } catch (error) {
    const code = error instanceof SystemError ? error.code : undefined;
    if (code === "READ_ONLY" || code === "PERMISSION") return undefined;
    throw error;
  }
}

/** The leases of a store, by whether their process lives. */
export interface Leases {
  readonly live: readonly LeaseContent[];
  /** Their names in the store. */
  readonly dead: readonly string[];
}

/**
 * Reads all leases. The caller holds the exclusive lock of the store.
 *
 * @throws {@link FormatError} `MALFORMED` when a living process has a lease that cannot be
 *   understood
 * @throws {@link IntegrityError} `WRONG_TYPE` or {@link SystemError} when one cannot be read
 */
export function readLeases(store: Store): Leases {
  const live: LeaseContent[] = [];
  const dead: string[] = [];
  for (const entry of store.files.names(LEASES)) {
    if (!NAME.test(entry)) continue; // not one of ours
    const name = `${LEASES}/${entry}`;
    const content = readLive(store.files, name);
    if (content === undefined) dead.push(name);
    else if (content !== "gone") live.push(content);
  }
  return { live, dead };
}

/** Undefined for a lease whose process is dead. */
function readLive(files: HeldDirectory, name: string): LeaseContent | "gone" | undefined {
  const path = files.pathOf(name);
  let fd: number;
  try {
    ({ fd } = files.openRegular(name, path));
  } catch (error) {
    if (error instanceof NotFoundError) return "gone"; // released just now
    throw error;
  }
  try {
    const lock = flock(fd, "shared");
    if (lock === "locked") return undefined;
    if (lock === "busy") return parse(readLease(fd, path), path);
    throw new SystemError("IO", `${path}: its file system cannot lock files`);
  } finally {
    closeSync(fd);
  }
}

function readLease(fd: number, path: string): string {
  const { size } = fstatSync(fd);
  if (size > limits.leaseBytes) {
    throw new FormatError(
      "LIMIT",
      `lease ${path}: expected at most ${limits.leaseBytes} bytes, got ${size}`,
    );
  }
  const bytes = Buffer.alloc(size);
  return bytes.toString("latin1", 0, readFully(fd, bytes, 0));
}

function format({ images, objects }: LeaseContent): string {
  const lines = [
    HEADER,
    ...images.map((id) => `image ${id}`),
    ...objects.map((digest) => `object ${digest}`),
  ];
  return `${lines.join("\n")}\n`;
}

function parse(text: string, path: string): LeaseContent {
  const lines = text.split("\n");
  if (lines.shift() !== HEADER || lines.pop() !== "") {
    throw new FormatError("MALFORMED", `lease ${path}: expected ${HEADER} and lines`, {
      hint: "another version of sealfs may have made it: end its process, or use that version",
    });
  }
  const images: VerityDigest[] = [];
  const objects: VerityDigest[] = [];
  for (const line of lines) {
    const [, kind, digest] = LINE.exec(line) ?? [];
    if (digest === undefined) {
      throw new FormatError("MALFORMED", `lease ${path}: got the line ${JSON.stringify(line)}`);
    }
    (kind === "image" ? images : objects).push(parseVerityDigest(digest));
  }
  return { images, objects };
}
