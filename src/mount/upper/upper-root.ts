/**
 * The root directory of a writable mount. Overlayfs shows that of the upper directory, whatever the
 * user has made that like; so an upper directory that is used for the first time gets the attributes
 * of the image's root.
 *
 * @module
 */
import { fchmodSync, fchownSync, statSync } from "node:fs";
import { fromText } from "../../bytes/bytestring.ts";
import { isPrivate } from "../../erofs/overlay-xattrs.ts";
import { setFileTimes } from "../../sys/file-times.ts";
import { readXattrs, removeXattr, setXattr } from "../../sys/xattr.ts";

/** Attributes of this machine's security modules, and none of a directory's own. */
const OF_THE_MACHINE = "security.";

/**
 * Gives `upper` the attributes of `root`, both descriptors of directories. Of an image that is mounted
 * with owners shown as others, those are taken.
 *
 * @throws {@link SystemError} what the kernel says
 */
export function copyRoot(root: number, upper: number): void {
  const path = (fd: number) => fromText(`/proc/thread-self/fd/${fd}/.`);
  const stat = statSync(path(root), { bigint: true });
  const wanted = readXattrs(path(root));
  fchownSync(upper, Number(stat.uid), Number(stat.gid));
  fchmodSync(upper, Number(stat.mode & 0o7777n));
  for (const key of readXattrs(path(upper)).keys()) {
    const stays = isPrivate(key) || key.startsWith(OF_THE_MACHINE) || wanted.has(key);
    if (!stays) removeXattr(path(upper), key);
  }
  for (const [key, value] of wanted) {
    if (!isPrivate(key)) setXattr(path(upper), key, value);
  }
  const { mtimeNs } = stat;
  setFileTimes(upper, { atimeNs: mtimeNs, mtimeNs });
}
