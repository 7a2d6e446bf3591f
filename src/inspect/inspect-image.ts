/**
 * What an image is made of: its header, counts and sizes.
 *
 * @module
 */
import type { Image } from "../erofs/image.ts";
import { ImageView } from "../erofs/view.ts";
import { walkFiles } from "../erofs/walk.ts";
import { COMPOSEFS_HAS_ACL } from "../erofs/format.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../tree/inode.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import { formatSeconds } from "./seconds.ts";
import { sha256Of } from "../sys/sha256.ts";

/** Facts about an image. Sizes in bytes; sums are exact up to 2^53. */
export interface ImageSummary {
  readonly size: number;
  /** Format version of the composefs header. */
  readonly formatVersion: number;
  /** Header flags by name. */
  readonly flags: readonly string[];
  readonly algorithm: VerityAlgorithm;
  readonly verityDigest: VerityDigest;
  readonly sha256: string;
  /** Seconds since 1970 of the oldest modification time. */
  readonly buildTime: string;
  /** Inodes as the superblock counts them, stubs included. */
  readonly inodes: number;
  /** Names below the root, by the type of what they lead to. */
  readonly names: Readonly<Record<string, number>>;
  /** Inodes with several names. */
  readonly hardLinked: number;
  readonly withXattrs: number;
  readonly inline: { readonly files: number; readonly bytes: number };
  readonly external: { readonly files: number; readonly bytes: number };
  readonly objects: { readonly count: number; readonly bytes: number };
  /** External files without a digest that vouches for their content. */
  readonly unverifiable: number;
}

const typeNames = new Map([
  [S_IFREG, "files"],
  [S_IFDIR, "directories"],
  [S_IFLNK, "symlinks"],
  [S_IFCHR, "characterDevices"],
  [S_IFBLK, "blockDevices"],
  [S_IFIFO, "fifos"],
  [S_IFSOCK, "sockets"],
]);

/**
 * Reads the whole image and counts.
 *
 * @throws {@link FormatError} when it cannot be read
 */
export function inspectImage(image: Image): ImageSummary {
  const census = new Census(image);
  const { bytes, header, superblock } = image;
  const [first] = census.objects.keys();
  const algorithm = first === undefined ? "sha256" : algorithmOf(first);
  return {
    size: bytes.length,
    formatVersion: header.composefsVersion,
    flags: (header.flags & COMPOSEFS_HAS_ACL) !== 0 ? ["acl"] : [],
    algorithm,
    verityDigest: verityDigestOf(bytes, algorithm),
    sha256: sha256Of(bytes),
    buildTime: formatSeconds(superblock.buildTime, superblock.buildTimeNsec),
    inodes: Number(superblock.inos),
    names: census.names,
    hardLinked: census.hardLinked,
    withXattrs: census.withXattrs,
    inline: census.inline,
    external: census.external,
    objects: {
      count: census.objects.size,
      bytes: [...census.objects.values()].reduce((sum, size) => sum + size, 0),
    },
    unverifiable: census.unverifiable,
  };
}

/** One walk that counts everything. */
class Census {
  readonly names: Record<string, number> = {};
  readonly inline = { files: 0, bytes: 0 };
  readonly external = { files: 0, bytes: 0 };
  readonly objects = new Map<VerityDigest, number>();
  hardLinked = 0;
  withXattrs = 0;
  unverifiable = 0;

  constructor(image: Image) {
    const seen = new Map<number, number>();
    for (const { inode } of walkFiles(new ImageView(image))) {
      const type = typeNames.get(inode.mode & S_IFMT) ?? "unknown";
      this.names[type] = (this.names[type] ?? 0) + 1;
      const names = (seen.get(inode.nid) ?? 0) + 1;
      seen.set(inode.nid, names);
      if (names === 2) this.hardLinked++;
      if (names > 1) continue;
      if (inode.xattrIcount > 0 && image.xattrs(inode).size > 0) this.withXattrs++;
      if (type !== "files") continue;
      const content = image.content(inode);
      if (content.kind === "unverifiable") this.unverifiable++;
      else if (content.kind === "inline") add(this.inline, content.bytes.length);
      else {
        add(this.external, content.size);
        this.objects.set(content.digest, content.size);
      }
    }
  }
}

function add(sum: { files: number; bytes: number }, bytes: number): void {
  sum.files++;
  sum.bytes += bytes;
}
