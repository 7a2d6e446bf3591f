/**
 * From a stored inode back to what the writer was given: whiteouts devices again, escaped
 * attributes unescaped, references split into path and digest.
 *
 * Spec: docs/image-format.md, "Restoring the tree".
 *
 * @module
 */
import { type ByteString, ascii } from "../bytes/bytestring.ts";
import type { DumpNode } from "../tree/dump-writer.ts";
import { S_IFCHR, S_IFLNK, S_IFMT, S_IFREG } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { readData } from "./data-reader.ts";
import { LAYOUT_CHUNK_BASED } from "./format.ts";
import type { Image, ImageInode } from "./image.ts";
import {
  ESCAPED_WHITEOUT,
  METACOPY,
  REDIRECT,
  isPrivate,
  metacopyDigest,
  unescapeKey,
} from "./overlay-xattrs.ts";

/** Marks that the writer adds beside {@link ESCAPED_WHITEOUT} and to its directory; they carry nothing of the tree. */
const writerMarks: ReadonlySet<ByteString> = new Set(
  ["trusted.overlay.overlay.whiteouts", "user.overlay.whiteouts", "user.overlay.whiteout"].map(
    ascii,
  ),
);

/**
 * What the writer was given for `stored`. Xattrs keep their stored order; a directory's size is the
 * stored one.
 *
 * @throws {@link FormatError} when its attributes or data do not lie inside the image
 */
export function restoreInode(image: Image, stored: ImageInode): DumpNode {
  const type = stored.mode & S_IFMT;
  const xattrs: [ByteString, ByteString][] = [];
  let isEscapedWhiteout = false;
  let payload: ByteString | undefined;
  let digest: VerityDigest | undefined;
  const isExternal = type === S_IFREG && stored.layout === LAYOUT_CHUNK_BASED;
  for (const { key, value } of image.xattrEntries(stored)) {
    if (isPrivate(key)) {
      if (!isExternal) continue;
      if (key === REDIRECT) payload ??= value.slice(1) as ByteString;
      else if (key === METACOPY) digest ??= metacopyDigest(value);
    } else if (key === ESCAPED_WHITEOUT && type === S_IFREG) isEscapedWhiteout = true;
    else if (!writerMarks.has(key)) xattrs.push([unescapeKey(key), value]);
  }
  const hasContent = type === S_IFREG && !isExternal && !isEscapedWhiteout && stored.size > 0n;
  return {
    mode: isEscapedWhiteout ? S_IFCHR | (stored.mode & ~S_IFMT) : stored.mode,
    nlink: stored.nlink,
    uid: stored.uid,
    gid: stored.gid,
    rdev: stored.rdev,
    size: isEscapedWhiteout ? 0n : stored.size,
    mtimeSeconds: stored.mtimeSeconds,
    mtimeNanoseconds: stored.mtimeNanoseconds,
    xattrs,
    target: type === S_IFLNK ? image.target(stored) : undefined,
    content: hasContent ? readData(image.bytes, stored) : undefined,
    payload: isEscapedWhiteout ? undefined : payload,
    digest: isEscapedWhiteout ? undefined : digest,
  };
}
