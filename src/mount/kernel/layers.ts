/**
 * The two file systems of the kernel stack, as mounts that no path leads to: the image as EROFS, and
 * the overlay that joins its names with the objects (Linux kernel documentation, `overlayfs.rst`,
 * "Data-only lower layers" and "fs-verity support").
 *
 * @module
 */
import { closeSync, constants, mkdtempSync, openSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SealfsError } from "../../errors.ts";
import {
  type FileSystemContext,
  MountAttribute,
  attachMount,
  newMount,
} from "../../sys/fsmount.ts";
import { unmountTarget } from "../../sys/mount.ts";

const LAYER = MountAttribute.READ_ONLY | MountAttribute.NO_SUID | MountAttribute.NO_DEV;

/** Mounts an image; `source` is a block device or a file. The caller closes the mount. */
export function mountErofs(source: string): number {
  return newMount("erofs", LAYER, (context) => context.setString("source", source).setFlag("ro"));
}

/** How the overlay is to be. */
export interface OverlayOptions {
  /** What the list of mounts shows as the device. */
  readonly source: string;
  /** Open directories of objects, searched in this order. */
  readonly objects: readonly number[];
  /** The kernel refuses files whose object does not have the signed digest by fs-verity. */
  readonly requireVerity: boolean;
  /** Makes the overlay writable: open directories of one file system that has xattrs. */
  readonly writable?: { readonly upper: number; readonly work: number };
}

/** How overlayfs is told its layers: descriptors need Linux 6.13, of loose mounts 6.15. */
export type LayerStyle = "descriptors" | "paths";

/**
 * Mounts the overlay of `image`, a mount from {@link mountErofs}, and the objects. The caller closes
 * the mount. Layers are given in `style`, or in the first that this kernel knows.
 *
 * @throws {@link SystemError} with the kernel's words
 */
export function mountOverlay(image: number, options: OverlayOptions, style?: LayerStyle): number {
  if (style === "paths") return mountByPaths(image, options);
  // A mount's own descriptor has no rights to read; its root opened as a directory has.
  const root = openSync(`/proc/self/fd/${image}`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return newOverlay(options, (context, key, fd) => context.setDescriptor(key, fd), root);
  } catch (error) {
    if (style === "descriptors" || !(error instanceof SealfsError)) throw error;
  } finally {
    closeSync(root);
  }
  return mountByPaths(image, options);
}

/**
 * For kernels that want paths: those of descriptors. Loose mounts cannot be layers then, so the image
 * is attached, for the moment, to a directory of our own.
 */
function mountByPaths(image: number, options: OverlayOptions): number {
  const place = mkdtempSync(join(tmpdir(), "sealfs-layer-"));
  try {
    attachMount(image, place);
    try {
      const root = openSync(place, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        const set: SetLayer = (context, key, fd) => context.setString(key, `/proc/self/fd/${fd}`);
        return newOverlay(options, set, root);
      } finally {
        closeSync(root);
      }
    } finally {
      unmountTarget(place, { lazy: true });
    }
  } finally {
    rmdirSync(place);
  }
}

type SetLayer = (context: FileSystemContext, key: string, fd: number) => void;

function newOverlay(options: OverlayOptions, setLayer: SetLayer, image: number): number {
  const { source, objects, requireVerity, writable } = options;
  const attributes =
    MountAttribute.NO_SUID |
    MountAttribute.NO_DEV |
    (writable === undefined ? MountAttribute.READ_ONLY : 0);
  return newMount("overlay", attributes, (context) => {
    context.setString("source", source);
    context.setString("metacopy", "on").setString("redirect_dir", "on");
    if (requireVerity) context.setString("verity", "require");
    if (writable === undefined) context.setFlag("ro");
    else {
      setLayer(context, "upperdir", writable.upper);
      setLayer(context, "workdir", writable.work);
    }
    setLayer(context, "lowerdir+", image);
    for (const fd of objects) setLayer(context, "datadir+", fd);
  });
}
