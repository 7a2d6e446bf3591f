/**
 * Paths as people type them: text in UTF-8, with `\xhh` for other bytes, as listings print them.
 *
 * @module
 */
import { type ByteString, fromText } from "../bytes/bytestring.ts";
import { UsageError } from "../errors.ts";

/**
 * The bytes that {@link printable} printed as `text`.
 *
 * @throws {@link UsageError} for a backslash that begins neither `\\` nor `\xhh`
 */
export function parsePrintable(text: string): ByteString {
  let out = "";
  for (const [part] of text.matchAll(/\\\\|\\x[0-9a-fA-F]{2}|[^\\]+|\\/g)) {
    if (part === "\\\\") out += "\\";
    else if (part.startsWith("\\x")) out += String.fromCharCode(parseInt(part.slice(2), 16));
    else if (part === "\\") {
      throw new UsageError("USAGE", `${text}: expected \\\\ or \\xhh after a backslash`);
    } else out += fromText(part);
  }
  return out as ByteString;
}

/**
 * The names in a path, from the root. Slashes at either end, doubled slashes and "." are dropped;
 * ".." is left to the caller.
 */
export function splitPath(path: ByteString): ByteString[] {
  return path.split("/").filter((name) => name !== "" && name !== ".") as ByteString[];
}

/** The path of a name in a directory; the root's path is "". */
export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return `${directory}/${name}` as ByteString;
}
