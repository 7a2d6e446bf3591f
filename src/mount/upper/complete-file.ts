/**
 * Gives a file of an upper directory the content that overlayfs read from the image so far.
 *
 * @module
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync } from "node:fs";
import { type ByteString, ascii, printable } from "../../bytes/bytestring.ts";
import type { FileContent } from "../../erofs/image.ts";
import { METACOPY, REDIRECT } from "../../erofs/overlay-xattrs.ts";
import { IntegrityError } from "../../errors.ts";
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { readObject } from "../../store/read-object.ts";
import type { Stores } from "../../store/stores.ts";
import { setFileTimes } from "../../sys/file-times.ts";
import { getXattr, removeXattr, setXattr } from "../../sys/xattr.ts";
import { systemPath } from "./borrowed.ts";

/** Attributes that a write takes away. */
const CAPABILITY = ascii("security.capability");

/**
 * Writes the content into the file and makes it one of its own; its attributes and times stay. Whatever
 * happens before the end, overlayfs goes on to read the content from the image.
 *
 * @throws as {@link readObject}; {@link SystemError}
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
      for (const chunk of readObject(stores, content.digest, content.size)) writeFully(fd, chunk);
      return content.size;
    case "unverifiable":
      throw new IntegrityError("WRONG_TYPE", content.reason);
  }
}
