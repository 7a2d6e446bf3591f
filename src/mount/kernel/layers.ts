/**
 * The two file systems of the kernel stack, as mounts that no path leads to: the image as EROFS, and
 * the overlay that joins its names with the objects (Linux kernel documentation, `overlayfs.rst`,
 * "Data-only lower layers" and "fs-verity support").
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { SealfsError } from "../../errors.ts";
import { type FileSystemContext, newMount } from "../../sys/fsmount.ts";
import { MountAttribute, type MountRights, rightsBits } from "../../sys/mount-rights.ts";
import { attachPrivately } from "./private-place.ts";

const LAYER = MountAttribute.READ_ONLY | MountAttribute.NO_SUID | MountAttribute.NO_DEV;

/** Mounts an image; `source` is a block device or a file. The caller closes the mount. */
export function mountErofs(source: string): number {
  return newMount("erofs", LAYER, (context) => context.setString("source", source).setFlag("ro"));
}

/** A layer: an open directory, or a mount that no path leads to. */
export type Layer = number | { readonly mount: number };

/** How the overlay is to be. */
export interface OverlayOptions extends MountRights {
  /** What the list of mounts shows as the device. */
  readonly source: string;
  /** Where objects are, searched in this order. */
  readonly objects: readonly Layer[];
  /** The kernel refuses files whose object does not have the signed digest by fs-verity. */
  readonly requireVerity: boolean;
  /** Makes the overlay writable: open directories of one file system that has xattrs. */
  readonly writable?: { readonly upper: number; readonly work: number };
}

/**
 * How overlayfs is told its layers: one by one as descriptors (Linux 6.13, of loose mounts 6.15), one by
 * one as paths (6.8), or all in one option (6.5). Paths lead to descriptors, so that no name of a
 * directory is ever a part of an option.
 */
export const layerStyles = ["descriptors", "paths", "option"] as const;
export type LayerStyle = (typeof layerStyles)[number];

/**
 * Mounts the overlay of `image`, a mount from {@link mountErofs}, and the objects. The caller closes
 * the mount. Layers are given in `style`, or in the first that this kernel knows.
 *
 * @throws {@link SystemError} with the kernel's message
 */
export function mountOverlay(image: number, options: OverlayOptions, style?: LayerStyle): number {
  if (style !== undefined) return mountLayered(image, options, style);
  let first: unknown;
  for (const each of layerStyles) {
    try {
      return mountLayered(image, options, each);
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
      first ??= error;
    }
  }
  throw first;
}

function mountLayered(image: number, options: OverlayOptions, style: LayerStyle): number {
  const layers = new Layers(style);
  try {
    const lower = layers.open({ mount: image });
    const objects = options.objects.map((layer) => layers.open(layer));
    return newOverlay(options, layers, lower, objects);
  } finally {
    layers.close();
  }
}

/** Layers while the overlay is being mounted. */
class Layers {
  readonly #style: LayerStyle;
  readonly #cleanup: (() => void)[] = [];

  constructor(style: LayerStyle) {
    this.#style = style;
  }

  /** A directory's descriptor that the overlay takes as a layer. */
  open(layer: Layer): number {
    if (typeof layer === "number") return layer;
    // A mount's own descriptor has no rights to read; its root opened as a directory has.
    const path =
      this.#style === "descriptors"
        ? `/proc/thread-self/fd/${layer.mount}`
        : this.#attach(layer.mount);
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#cleanup.push(() => closeSync(fd));
    return fd;
  }

  set(context: FileSystemContext, key: string, fd: number): void {
    if (this.#style === "descriptors") context.setDescriptor(key, fd);
    else context.setString(key, pathOf(fd));
  }

  /** The image's layer, and the objects under it as layers of data only. */
  setLower(context: FileSystemContext, image: number, objects: readonly number[]): void {
    if (this.#style === "option") {
      context.setString("lowerdir", [image, ...objects].map(pathOf).join("::"));
      return;
    }
    this.set(context, "lowerdir+", image);
    for (const fd of objects) this.set(context, "datadir+", fd);
  }

  close(): void {
    for (const clean of this.#cleanup.toReversed()) clean();
  }

  /** Older kernels do not take loose mounts: for the moment it gets a directory of our own. */
  #attach(mount: number): string {
    const place = attachPrivately(mount);
    this.#cleanup.push(() => place.remove());
    return place.path;
  }
}

const pathOf = (fd: number) => `/proc/thread-self/fd/${fd}`;

function newOverlay(
  options: OverlayOptions,
  layers: Layers,
  image: number,
  objects: readonly number[],
): number {
  const { source, requireVerity, writable } = options;
  const attributes = rightsBits(options) | (writable === undefined ? MountAttribute.READ_ONLY : 0);
  return newMount("overlay", attributes, (context) => {
    context.setString("source", source);
    context.setString("metacopy", "on").setString("redirect_dir", "on");
    if (requireVerity) context.setString("verity", "require");
    if (writable === undefined) context.setFlag("ro");
    else {
      layers.set(context, "upperdir", writable.upper);
      layers.set(context, "workdir", writable.work);
    }
    layers.setLower(context, image, objects);
  });
}
