/**
 * Which image an upper directory belongs to: the digest in an attribute of the directory itself, among
 * those that overlayfs keeps to itself and shows in no mount. Only with that image the directory means
 * what its user saw: where only a file's mode was changed, overlayfs keeps the size there and takes the
 * content from whatever image lies below.
 *
 * @module
 */
import { ascii, fromText } from "../../bytes/bytestring.ts";
import { SystemError } from "../../errors.ts";
import { getXattr, removeXattr, setXattr } from "../../sys/xattr.ts";
import { type VerityDigest, parseVerityDigest } from "../../verity/verity-digest.ts";

const IMAGE = ascii("trusted.overlay.sealfs.image");

/**
 * The digest of the image that the directory was used with; undefined when it was with none of ours.
 *
 * @throws {@link SystemError} `NO_OVERLAY` when the file system has no such attributes
 */
export function recordedImage(upper: string): VerityDigest | undefined {
  const value = keeping(upper, () => getXattr(fromText(upper), IMAGE));
  return value === undefined ? undefined : parseVerityDigest(value);
}

/** @throws {@link SystemError} `NO_OVERLAY` when the file system has no such attributes */
export function recordImage(upper: string, digest: VerityDigest): void {
  keeping(upper, () => setXattr(fromText(upper), IMAGE, ascii(digest)));
}

function keeping<T>(upper: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new SystemError("NO_OVERLAY", `--upper ${upper}: its file system keeps no trusted extended attributes, which overlayfs needs`, {
      cause: error,
      hint: "use directories on ext4, XFS, Btrfs or tmpfs",
    }); // prettier-ignore
  }
}

/** Takes the record back. */
export function forgetImage(upper: string): void {
  removeXattr(fromText(upper), IMAGE);
}
