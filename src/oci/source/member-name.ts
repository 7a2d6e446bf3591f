/**
 * Names of files in archives of images. Tools write and look for the same file as `a`, `./a`, `/a`
 * and `x/../a`; all of them compare names in this form.
 *
 * @module
 */
import type { ByteString } from "../../bytes/bytestring.ts";

/** An empty component, `.` or `..`. */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** The name without what does not change its meaning; empty for the root itself. */
export function memberName(path: ByteString): ByteString {
  if (!UNCLEAN.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!path.startsWith("/")) parts.push(part); // leads out of the archive, to no file of it
  }
  return parts.join("/") as ByteString;
}
