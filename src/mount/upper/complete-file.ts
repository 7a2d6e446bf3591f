/**
 * Gives a file of an upper directory the content that overlayfs read from the image so far.
 *
 * @module
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
} from "node:fs";
import { type ByteString, ascii, printable } from "../../bytes/bytestring.ts";
import type { FileContent } from "../../erofs/image.ts";
import { METACOPY, REDIRECT } from "../../erofs/overlay-xattrs.ts";
import { IntegrityError } from "../../errors.ts";
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import type { Stores } from "../../store/stores.ts";
import { setFileTimes } from "../../sys/file-times.ts";
import { getXattr, removeXattr, setXattr } from "../../sys/xattr.ts";
import { VerityHasher } from "../../verity/hasher.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";
import { systemPath } from "./borrowed.ts";

/** Attributes that a write takes away. */
const CAPABILITY = ascii("security.capability");
const CHUNK = 1 << 20;

/**
 * Writes the content into the file and makes it one of its own; its attributes and times stay. Whatever
 * happens before the end, overlayfs goes on to read the content from the image.
 *
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when no store has the right bytes; {@link SystemError}
 */
export function completeFile(path: ByteString, content: FileContent, stores: Stores): void {
  const fd = openSync(systemPath(path), constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const { atimeNs, mtimeNs } = fstatSync(fd, { bigint: true });
    const capability = getXattr(path, CAPABILITY);
    ftruncateSync(fd, write(fd, content, stores));
    if (capability !== undefined) setXattr(path, CAPABILITY, capability);
    setFileTimes(fd, { atimeNs, mtimeNs });
    fsyncSync(fd);
    removeXattr(path, METACOPY);
    removeXattr(path, REDIRECT);
  } catch (error) {
    throw failure(printable(path), error);
  } finally {
    closeSync(fd);
  }
}

/** Returns how many bytes there were. */
function write(fd: number, content: FileContent, stores: Stores): number {
  switch (content.kind) {
    case "inline":
      writeFully(fd, content.bytes, 0);
      return content.bytes.length;
    case "object":
      copyObject(fd, content.digest, stores);
      return content.size;
    case "unverifiable":
      throw new IntegrityError("WRONG_TYPE", content.reason);
  }
}

function copyObject(to: number, digest: VerityDigest, stores: Stores): void {
  for (const { fd } of stores.openings(digest)) {
    try {
      if (copy(fd, to, new VerityHasher(algorithmOf(digest))) === digest) return;
    } finally {
      closeSync(fd);
    }
  }
  throw new IntegrityError("DIGEST_MISMATCH", `object ${digest}: no store has its content`);
}

function copy(from: number, to: number, hasher: VerityHasher): VerityDigest {
  const bytes = Buffer.allocUnsafeSlow(CHUNK);
  for (let position = 0; ;) {
    const got = readSync(from, bytes, 0, CHUNK, position);
    if (got === 0) return hasher.digest();
    hasher.update(bytes.subarray(0, got));
    writeFully(to, bytes.subarray(0, got), position);
    position += got;
  }
}
