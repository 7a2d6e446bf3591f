/**
 * Files that hold a file system or an archive in a form that is not read, by their magic numbers,
 * and what to do about them.
 *
 * @module
 */
import { readFully } from "../../fs/descriptor-io.ts";
import type { FileRange } from "../blob.ts";

/** What a file is instead, and how to build what is in it. */
export interface OtherFile {
  readonly what: string;
  readonly remedy: string;
}

interface Kind extends OtherFile {
  readonly offset: number;
  /** One byte for each character. */
  readonly magic: string;
}

const MOUNT = "mount it and build the folder: dir:DIR";
const EXTRACT = "extract it into a folder and build that: dir:DIR";

const kinds: readonly Kind[] = [
  squashfs("hsqs"),
  squashfs("sqsh"),
  {
    offset: 32,
    magic: "SIF_MAGIC",
    what: "an image of Singularity or Apptainer (SIF)",
    remedy: "make a folder of it, apptainer build --sandbox DIR FILE, and build that: dir:DIR",
  },
  { offset: 0, magic: "QFI\xfb", what: "a disk image (qcow2)", remedy: MOUNT },
  { offset: 0, magic: "KDMV", what: "a disk image (VMDK)", remedy: MOUNT },
  { offset: 0, magic: "vhdxfile", what: "a disk image (VHDX)", remedy: MOUNT },
  { offset: 512, magic: "EFI PART", what: "a disk image", remedy: MOUNT },
  { offset: 1080, magic: "\x53\xef", what: "an ext4 file system", remedy: MOUNT },
  { offset: 0, magic: "XFSB", what: "an XFS file system", remedy: MOUNT },
  { offset: 65_600, magic: "_BHRfS_M", what: "a btrfs file system", remedy: MOUNT },
  { offset: 32_769, magic: "CD001", what: "an ISO 9660 file system", remedy: MOUNT },
  {
    offset: 1024,
    magic: "\xe2\xe1\xf5\xe0",
    what: "an EROFS file system",
    remedy: `is it an image already, sealfs inspect shows it; of another tool, ${MOUNT}`,
  },
  { offset: 0, magic: "PK\x03\x04", what: "a zip archive", remedy: EXTRACT },
  { offset: 0, magic: "7z\xbc\xaf\x27\x1c", what: "a 7z archive", remedy: EXTRACT },
  { offset: 0, magic: "07070", what: "a cpio archive", remedy: EXTRACT },
  { offset: 0, magic: "\xc7\x71", what: "a cpio archive", remedy: EXTRACT },
  {
    offset: 0,
    magic: "!<arch>\ndebian-binary",
    what: "a Debian package",
    remedy: "dpkg-deb --fsys-tarfile FILE | sealfs build - …",
  },
  { offset: 0, magic: "\xed\xab\xee\xdb", what: "an RPM package", remedy: EXTRACT },
  {
    offset: 0,
    magic: "{",
    what: "a text that may be a document of an image",
    remedy: "of a layout, name its folder: oci:DIR",
  },
];

function squashfs(magic: string): Kind {
  const remedy = "extract it, unsquashfs -d DIR FILE, and build that: dir:DIR";
  return { offset: 0, magic, what: "a squashfs file system", remedy };
}

/** What a file is instead of those that are read; undefined where its magic number is not known. */
export function otherFile(range: FileRange): OtherFile | undefined {
  return kinds.find(({ offset, magic }) => {
    const bytes = Buffer.alloc(magic.length);
    const wanted = bytes.subarray(0, Math.max(0, Math.min(bytes.length, range.size - offset)));
    readFully(range.fd, wanted, range.offset + offset);
    return bytes.toString("latin1") === magic;
  });
}
