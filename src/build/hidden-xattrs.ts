/**
 * Refuses xattrs that no signed image has, by the file that has them: the checker knows only where in
 * the image they lie.
 *
 * Spec: docs/image-format.md, "Rules of xattrs".
 *
 * @module
 */
import { type ByteString, printable } from "../bytes/bytestring.ts";
import { isShown } from "../erofs/overlay-xattrs.ts";
import { FormatError } from "../errors.ts";
import { type Directory, HardLink, isDirectory } from "../tree/inode.ts";
import { joinPath } from "../tree/paths.ts";

/** @throws {@link FormatError} `UNSUPPORTED` for the first key that the kernel does not show */
export function refuseHiddenXattrs(root: Directory): void {
  const pending: { readonly directory: Directory; readonly path: ByteString }[] = [
    { directory: root, path: "" as ByteString },
  ];
  refuseHidden(root.xattrs, "/" as ByteString);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const [name, entry] of next.directory.entries) {
      if (entry instanceof HardLink) continue;
      if (entry.xattrs.size > 0) refuseHidden(entry.xattrs, joinPath(next.path, name));
      if (isDirectory(entry)) pending.push({ directory: entry, path: joinPath(next.path, name) });
    }
  }
}

function refuseHidden(xattrs: Directory["xattrs"], path: ByteString): void {
  for (const key of xattrs.keys()) {
    if (isShown(key)) continue;
    throw new FormatError(
      "UNSUPPORTED",
      `${printable(path)}: xattr "${printable(key)}": expected one of user., trusted. or security., ` +
        "or a POSIX ACL, as the kernel shows no others",
      { hint: "remove the attribute from the source, or build without --key" },
    );
  }
}
