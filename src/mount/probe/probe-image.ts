/**
 * The image that probes mount, and what its files contain.
 *
 * @module
 */
import { ascii } from "../../bytes/bytestring.ts";
import { writeImage } from "../../erofs/writer.ts";
import { Inode, S_IFREG, newDirectory } from "../../tree/inode.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../../verity/index.ts";
import type { KernelImage } from "../kernel/image-device.ts";

/** What the image says that its files contain. */
export const probeContents = {
  good: Buffer.from("sealfs probe: content with the signed digest. ".repeat(4)),
  /** For an object with the right name and bytes, but without fs-verity. */
  plain: Buffer.from("sealfs probe: content without fs-verity. ".repeat(4)),
  /** For an object that has fs-verity, but other bytes. */
  wrong: Buffer.from("sealfs probe: content that was exchanged. ".repeat(4)),
} as const;

/** A file of the image. */
export type ProbeFile = keyof typeof probeContents;

export function probeDigest(name: ProbeFile): VerityDigest {
  return verityDigestOf(probeContents[name], "sha256");
}

export function makeProbeImage(): KernelImage {
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
