/**
 * Checking one object file against its name; runs in the threads of fsck.
 *
 * @module
 */
import { closeSync, fstatSync } from "node:fs";
import { IntegrityError, NotFoundError, SystemError } from "../../errors.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";
import { errnoOf } from "../../fs/failure.ts";
import type { OpenFile } from "../../fs/regular-file.ts";
import type { FoundProblem } from "./problem.ts";
import { type ObjectStore, digestOfFile } from "../objects.ts";

/** What was found under an object's name. */
export interface CheckedObject {
  readonly bytes: number;
  readonly problem?: FoundProblem;
}

/** Error numbers of a disk that cannot give back what it was given. */
const LOST = new Set(["EIO", "EUCLEAN", "EBADMSG", "ENODATA", "EILSEQ"]);
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Reads an object and compares it with its name. An object that was removed meanwhile is not a
 * problem.
 *
 * @throws {@link SystemError} when the system cannot read it for reasons that are not the disk's
 */
export function checkObject(objects: ObjectStore, digest: VerityDigest): CheckedObject {
  const name = objects.nameOf(digest);
  const problem = (kind: "object" | "mode", message: string): FoundProblem => ({
    kind,
    name,
    digest,
    message,
    bad: true,
  });
  let file: OpenFile | undefined;
  try {
    file = objects.openFile(digest);
    const { size, fd } = file;
    const got = digestOfFile(fd, algorithmOf(digest));
    if (got !== digest) {
      return { bytes: size, problem: problem("object", `${size} bytes with the digest ${got}`) };
    }
    const mode = fstatSync(fd).mode & 0o7777;
    if ((mode & WRITABLE_BY_OTHERS) === 0) return { bytes: size };
    return { bytes: size, problem: problem("mode", `mode ${mode.toString(8)}: others can write`) };
  } catch (error) {
    if (error instanceof NotFoundError) return { bytes: 0 };
    if (error instanceof IntegrityError) {
      return { bytes: 0, problem: problem("object", error.message) };
    }
    const errno = errnoOf(error) ?? errnoOf(error instanceof SystemError ? error.cause : undefined);
    if (errno === undefined || !LOST.has(errno)) throw error;
    return { bytes: 0, problem: problem("object", `cannot be read: ${errno}`) };
  } finally {
    if (file !== undefined) closeSync(file.fd);
  }
}

/** A batch for one thread, and what it found. */
export interface Batch {
  readonly digests: readonly VerityDigest[];
}
export interface BatchResult {
  readonly objects: number;
  readonly bytes: number;
  readonly problems: readonly FoundProblem[];
}

export function checkBatch(objects: ObjectStore, { digests }: Batch): BatchResult {
  let bytes = 0;
  const problems: FoundProblem[] = [];
  for (const digest of digests) {
    const checked = checkObject(objects, digest);
    bytes += checked.bytes;
    if (checked.problem !== undefined) problems.push(checked.problem);
  }
  return { objects: digests.length, bytes, problems };
}
