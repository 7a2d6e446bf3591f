/**
 * Taking an upper directory from the image that it was used with to another one. What it borrows from
 * the old image becomes its own, unless the new image has the very same; what cannot be its own is
 * refused, before anything is changed.
 *
 * @module
 */
import { statSync } from "node:fs";
import { ascii, printable } from "../../bytes/bytestring.ts";
import { verifyImage } from "../../erofs/check.ts";
import type { FileContent, Image } from "../../erofs/image.ts";
import { ImageView } from "../../erofs/view.ts";
import { NotFoundError, SealfsError, UsageError } from "../../errors.ts";
import { isPresent } from "../../store/missing-objects.ts";
import type { Stores } from "../../store/stores.ts";
import { removeXattr } from "../../sys/xattr.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";
import { verityDigestOf } from "../../verity/hasher.ts";
import { type Borrowed, upperFiles } from "./borrowed.ts";
import { completeFile } from "./complete-file.ts";
import { type Placed, contentOf, holdSame, isSameContent } from "./same-tree.ts";

/** Refers to the inode below, of whose number overlayfs makes use. */
const ORIGIN = ascii("trusted.overlay.origin");
/** So many reasons are told. */
const REASONS_SHOWN = 3;

/** What has become of an upper directory. */
export interface Rebased {
  /** How many files have been given content of their own. */
  readonly completed: number;
  /** Its root has the attributes that the old image's has: nobody has changed them. */
  readonly hasOldRoot: boolean;
}

/**
 * Makes `upper`, used with the image `from` so far, fit over `image`. `isOwned`: its files have the owners that
 * the image says, and are not shown as those of others.
 *
 * @throws {@link NotFoundError} or {@link UsageError} with what it borrows and cannot have; nothing is
 *   changed then. {@link SystemError} or {@link IntegrityError} when a file cannot be written, or its object
 *   is wrong: it still fits over `from` then
 */
export function rebaseUpper(
  upper: string,
  from: VerityDigest,
  image: Image,
  stores: Stores,
  isOwned: boolean,
): Rebased {
  const old = openOld(upper, from, stores);
  const views = [new ImageView(old), new ImageView(image)];
  const files: { path: Borrowed["path"]; content: FileContent }[] = [];
  const reasons: string[] = [];
  for (const { borrowed } of upperFiles(upper, views)) {
    if (borrowed === undefined) continue;
    const [before, now] = borrowed.lower.map((inode, i) => place(views[i]!.image, inode));
    const name = printable(borrowed.shown);
    if (borrowed.kind === "directory") {
      const isSame = before !== undefined && now !== undefined && holdSame(before, now);
      const was = printable(borrowed.redirect ?? borrowed.shown);
      if (!isSame) reasons.push(`${name} is the renamed directory ${was}, which is another there`);
      continue;
    }
    const content = before && contentOf(before);
    if (content === undefined) reasons.push(`${name}: that image has no such file`);
    else if (isSameContent(content, now && contentOf(now))) continue;
    else if (content.kind === "object" && !isPresent(stores, content.digest, content.size))
      reasons.push(`${name}: no store has its object ${content.digest}`);
    else files.push({ path: borrowed.path, content });
  }
  if (reasons.length > 0) throw refused(upper, from, reasons);
  for (const { path, content } of files) completeFile(path, content, stores);
  for (const { path } of upperFiles(upper, [])) removeXattr(path, ORIGIN);
  return { completed: files.length, hasOldRoot: isRootOf(views[0]!, upper, isOwned) };
}

function isRootOf({ root }: ImageView, upper: string, withOwner: boolean): boolean {
  const { mode, uid, gid } = statSync(upper);
  if ((mode & 0o7777) !== (root.mode & 0o7777)) return false;
  return !withOwner || (uid === root.uid && gid === root.gid);
}

/** Whether a directory that was used with an unknown image, or with none, borrows anything. */
export function firstBorrowed(upper: string): Borrowed | undefined {
  for (const { borrowed } of upperFiles(upper, [])) if (borrowed !== undefined) return borrowed;
  return undefined;
}

/** The old image: the digest was recorded when it had been verified. */
function openOld(upper: string, from: VerityDigest, stores: Stores): Image {
  try {
    const bytes = stores.readImage(from);
    const got = verityDigestOf(bytes, algorithmOf(from));
    if (got === from) return verifyImage(bytes);
    throw new NotFoundError("NO_OBJECT", `image ${from}: its file has ${got}`);
  } catch (cause) {
    if (!(cause instanceof SealfsError)) throw cause;
    throw new NotFoundError("NO_OBJECT", `--upper ${upper}: the image ${from} that it belongs to is in no store`, {
      cause,
      hint: "name the store that has it with a further --store",
    }); // prettier-ignore
  }
}

function place(image: Image, inode: Placed["inode"] | undefined): Placed | undefined {
  return inode && { image, inode };
}

function refused(upper: string, from: VerityDigest, reasons: readonly string[]): UsageError {
  const shown = reasons.slice(0, REASONS_SHOWN).join("; ");
  const more = reasons.length > REASONS_SHOWN ? `; and ${reasons.length - REASONS_SHOWN} more` : "";
  return new UsageError(
    "USAGE",
    `--upper ${upper}: refers to files of the image ${from} that cannot be carried over: ${shown}${more}`,
    {
      hint: "mount that image with this --upper, copy what is named (cp -a) and remove the original; or start with an empty directory",
    },
  );
}
