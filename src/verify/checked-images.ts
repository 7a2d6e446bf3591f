/**
 * Which images have passed the strict check of their format already, so that mounting one again
 * need not repeat it. Whether an image obeys the rules follows from its bytes alone, so an image is
 * remembered by the SHA-256 that was signed and that its bytes have, together with {@link
 * CHECKER_VERSION}.
 *
 * The memory lies with that of versions (`trust-state.ts`), never in a store. It can only save
 * time, and is ignored when it is missing or malformed, comes from another version of the checker,
 * or could have been written by another user.
 *
 * @module
 */
import { closeSync, fstatSync, mkdirSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { join } from "node:path";
import { CHECKER_VERSION } from "../erofs/check.ts";
import { replaceFile } from "../fs/atomic-file.ts";
import { openRegular } from "../fs/regular-file.ts";
import { readFully } from "../fs/descriptor-io.ts";

const HEAD = `sealfs-checked-images ${CHECKER_VERSION}\n`;
const LINE_BYTES = 64 + 1;
/** Images that are remembered; the oldest are forgotten. */
export const MOST_CHECKED_IMAGES = 256;
const MOST_BYTES = HEAD.length + LINE_BYTES * MOST_CHECKED_IMAGES;

/** The memory in the folder of a client's state. */
export class CheckedImages {
  readonly #folder: string;
  readonly #path: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, "checked-images");
  }

  /** Whether the image with this SHA-256 (lower-case hex) has passed this checker. */
  has(sha256: string): boolean {
    return this.#read().includes(sha256);
  }

  /**
   * Remembers one that has passed; the oldest are forgotten. A memory that cannot be written is
   * left as it is.
   */
  add(sha256: string): void {
    const others = this.#read().filter((each) => each !== sha256);
    const all = [...others, sha256].slice(-MOST_CHECKED_IMAGES);
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const text = HEAD + all.map((each) => `${each}\n`).join("");
      replaceFile(this.#path, text, { mode: 0o600, sync: false });
    } catch {
      // the image is checked again next time
    }
  }

  /** Oldest first; empty when the memory cannot be trusted. */
  #read(): string[] {
    try {
      if (!isOwn(statSync(this.#folder))) return [];
      const { fd, size } = openRegular(this.#path, this.#path);
      try {
        if (size > MOST_BYTES || !isOwn(fstatSync(fd))) return [];
        const bytes = Buffer.alloc(size);
        return parse(bytes.toString("latin1", 0, readFully(fd, bytes, 0)));
      } finally {
        closeSync(fd);
      }
    } catch {
      return [];
    }
  }
}

function parse(text: string): string[] {
  const lines = text.slice(HEAD.length);
  return text.startsWith(HEAD) && /^(?:[0-9a-f]{64}\n)*$/.test(lines)
    ? lines.split("\n").slice(0, -1)
    : [];
}

/** Whether nobody but this user can have written to it. */
function isOwn({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}
