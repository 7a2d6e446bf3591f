/**
 * From a node back to a path, for messages: the image has no pointers upwards, so all of it is
 * searched.
 *
 * @module
 */
import { type ByteString, printable, toByteString } from "../bytes/bytestring.ts";
import { FT_DIR } from "../erofs/format.ts";
import type { Image } from "../erofs/image.ts";
import { InodeTable } from "./attributes.ts";
import { DirectoryCursor } from "./directory.ts";
import { FUSE_ROOT_ID } from "./wire.ts";

/** A path of the node `nodeid`, printable; `node N` when no path leads there. */
export function pathOf(image: Image, nodeid: number): string {
  if (nodeid === FUSE_ROOT_ID || nodeid === image.rootNid) return "/";
  const cursor = new DirectoryCursor(new InodeTable(image.bytes));
  const seen = new Set<number>([image.rootNid]);
  const queue: { nid: number; path: string }[] = [{ nid: image.rootNid, path: "" }];
  for (const { nid, path } of queue) {
    for (cursor.seek(nid); cursor.next();) {
      const { nameAt, nameLength } = cursor;
      const name: ByteString = toByteString(image.bytes, nameAt, nameAt + nameLength);
      if (name === "." || name === "..") continue;
      if (cursor.nid === nodeid) return `${path}/${printable(name)}`;
      if (cursor.fileType !== FT_DIR || seen.has(cursor.nid)) continue;
      seen.add(cursor.nid);
      queue.push({ nid: cursor.nid, path: `${path}/${printable(name)}` });
    }
  }
  return `node ${nodeid}`;
}
