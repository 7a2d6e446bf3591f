/** Names of sources, images, platforms and mirrors: what is read is written and read the same. */
import { fullName } from "../../../src/oci/image-name.ts";
import { parsePlatform, formatPlatform } from "../../../src/platform/platform.ts";
import { formatSource, parseSource } from "../../../src/oci/reference.ts";
import { decodeName, encodeName } from "../../../src/store/names.ts";
import { accepted, same } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  const text = Buffer.from(data).toString("utf8");
  for (const each of [text, `docker://${text}`, `oci:${text}`, `docker-archive:${text}`]) {
    const source = accepted(() => parseSource(each));
    if (source !== undefined) same(source, parseSource(formatSource(source)), "source");
  }
  const component = accepted(() => encodeName(text));
  if (component !== undefined) same(text, decodeName(component), "name of an image");
  const decoded = decodeName(text);
  if (decoded !== undefined) same(text, encodeName(decoded), "file name of an image's name");
  const platform = accepted(() => parsePlatform(text));
  if (platform !== undefined) {
    same(platform, parsePlatform(formatPlatform(platform)), "platform");
  }
  same(fullName(text), fullName(fullName(text)), "full name");
}
