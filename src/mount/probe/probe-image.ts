/**
 * The image that a kernel is tried with: three files whose content is in objects.
 *
 * @module
 */
import { ascii } from "../../bytes/bytestring.ts";
import { writeImage } from "../../erofs/writer.ts";
import { Inode, S_IFREG, newDirectory } from "../../tree/inode.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../../verity/index.ts";

/** Files of the image by name, and what their objects should hold. */
export const probeContents = {
  good: Buffer.from("sealfs probe: content with the signed digest. ".repeat(4)),
  /** Under the right name and with the right bytes, but the kernel does not answer for them. */
  plain: Buffer.from("sealfs probe: content without fs-verity. ".repeat(4)),
  /** fs-verity is on, but with the digest of other bytes. */
  wrong: Buffer.from("sealfs probe: content that was exchanged. ".repeat(4)),
} as const;

export type ProbeFile = keyof typeof probeContents;

/** The digest that the image has of a file. */
export function probeDigest(name: ProbeFile): VerityDigest {
  return verityDigestOf(probeContents[name], "sha256");
}

/** The image, with its own digest. */
export function probeImage(): { readonly bytes: Uint8Array; readonly digest: VerityDigest } {
  const root = newDirectory();
  for (const name of Object.keys(probeContents) as ProbeFile[]) {
    const inode = new Inode(S_IFREG | 0o444);
    inode.size = BigInt(probeContents[name].length);
    inode.digest = probeDigest(name);
    inode.payload = ascii(objectPath(inode.digest));
    root.entries.set(ascii(name), inode);
  }
  const bytes = writeImage(root);
  return { bytes, digest: verityDigestOf(bytes, "sha256") };
}
