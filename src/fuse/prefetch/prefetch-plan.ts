/**
 * Which objects are to be read ahead of their readers, and in what order.
 *
 * @module
 */
import { type ByteString, printable } from "../../bytes/bytestring.ts";
import type { Image } from "../../erofs/image.ts";
import { ImageView } from "../../erofs/view.ts";
import { type WalkedFile, findFile, walkFiles } from "../../erofs/walk.ts";
import { NotFoundError } from "../../errors.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../tree/inode.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";

/** Content that is to be read once. */
export interface PlannedObject {
  readonly digest: VerityDigest;
  readonly size: number;
  /** Every inode that has it; at least one. */
  readonly nids: [number, ...number[]];
}

/** What is to be read, in this order. */
export interface PrefetchPlan {
  readonly objects: readonly PlannedObject[];
  /** Paths of the list that the image does not have, printable. */
  readonly absent: readonly string[];
}

/**
 * All objects of the image, or those of the files in `list`: paths from the image's root, where a
 * directory stands for everything in it.
 */
export function planPrefetch(image: Image, list?: readonly ByteString[]): PrefetchPlan {
  const view = new ImageView(image);
  const absent: string[] = [];
  const order: VerityDigest[] = [];
  const wanted = new Set<VerityDigest>();
  const want = ({ inode }: WalkedFile) => {
    const object = objectOf(image, inode);
    if (object === undefined || wanted.has(object.digest)) return;
    wanted.add(object.digest);
    order.push(object.digest);
  };
  const objects = new Map<VerityDigest, PlannedObject>();
  for (const path of list ?? []) {
    try {
      const found = findFile(view, path);
      if ((found.inode.mode & S_IFMT) === S_IFDIR)
        for (const each of walkFiles(view, found)) want(each); // prettier-ignore
      else want(found);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      absent.push(printable(path));
    }
  }
  // Equal content may have names that the list does not have; their readers gain too.
  const seen = new Set<number>();
  for (const { inode } of walkFiles(view)) {
    const object = objectOf(image, inode);
    if (object === undefined || seen.has(inode.nid)) continue;
    seen.add(inode.nid);
    const known = objects.get(object.digest);
    if (known === undefined) objects.set(object.digest, { ...object, nids: [inode.nid] });
    else known.nids.push(inode.nid);
  }
  if (list === undefined) return { objects: [...objects.values()], absent };
  return { objects: order.map((digest) => objects.get(digest)!), absent };
}

function objectOf(
  image: Image,
  inode: WalkedFile["inode"],
): { digest: VerityDigest; size: number } | undefined {
  if ((inode.mode & S_IFMT) !== S_IFREG) return undefined;
  const content = image.content(inode);
  return content.kind === "object" ? { digest: content.digest, size: content.size } : undefined;
}
