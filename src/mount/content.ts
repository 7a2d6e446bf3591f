/**
 * How much a mounted image holds, and how much of that the stores have: statfs (`df`) tells it only of mounts
 * over FUSE. Where the kernel's overlay answers, it passes on what EROFS says of the image alone.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { SealfsError } from "../errors.ts";
import { walkFiles } from "../erofs/walk.ts";
import { ImageView } from "../erofs/view.ts";
import { isPresent } from "../store/missing-objects.ts";
import { Stores } from "../store/stores.ts";
import { S_IFMT, S_IFREG } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { ImageSource } from "./server/image-source.ts";
import { IMAGE_FD } from "./server/server-input.ts";
import type { MountState } from "./table/run-state.ts";

/** Sizes in bytes. Of hard links one counts, and files of the same content share an object. */
export interface ContentFigures {
  /** Files of every kind, directories among them. */
  readonly files: number;
  /** The content of all regular files. */
  readonly bytes: number;
  readonly objects: number;
  readonly objectBytes: number;
  /** Objects that no store has, or not in that size. */
  readonly missingObjects: number;
  readonly missingBytes: number;
}

/**
 * Counts; undefined when the server's image or its stores cannot be seen from here. The image is the very
 * one that the server has verified, and its digest is compared again.
 */
export function contentOf(
  state: Pick<MountState, "pid" | "image" | "stores">,
): ContentFigures | undefined {
  let fd: number;
  try {
    fd = openSync(`/proc/${state.pid}/fd/${IMAGE_FD}`, "r");
  } catch {
    return undefined; // it has ended, or is another user's
  }
  try {
    const image = new ImageSource(fd, state.image.digest).get();
    return count(new ImageView(image), Stores.open(state.stores));
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

function count(view: ImageView, stores: Stores): ContentFigures {
  const seen = new Set([view.root.nid]);
  const objects = new Map<VerityDigest, number>();
  let bytes = 0;
  for (const { inode } of walkFiles(view)) {
    if (seen.has(inode.nid)) continue;
    seen.add(inode.nid);
    if ((inode.mode & S_IFMT) !== S_IFREG) continue;
    const content = view.image.content(inode);
    bytes += Number(inode.size);
    if (content.kind === "object") objects.set(content.digest, content.size);
  }
  const all = [...objects];
  const missing = all.filter(([digest, size]) => !isPresent(stores, digest, size));
  return {
    files: seen.size,
    bytes,
    objects: all.length,
    objectBytes: sum(all),
    missingObjects: missing.length,
    missingBytes: sum(missing),
  };
}

function sum(objects: readonly (readonly [VerityDigest, number])[]): number {
  return objects.reduce((total, [, size]) => total + size, 0);
}
