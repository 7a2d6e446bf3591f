/**
 * The kernel stack of one mount: the verified image as EROFS, the objects as data-only layers under
 * it, joined by an overlay that is then attached to a directory. Everything on the way there is held
 * by descriptors alone, so that a failure at any step leaves nothing behind, and unmounting the
 * overlay takes the rest with it.
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";
import { SealfsError, SystemError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { failure } from "../../fs/failure.ts";
import type { ObjectStore } from "../../store/objects.ts";
import { attachMount, cloneDirectory, newMount } from "../../sys/fsmount.ts";
import { type IdMap, mapOwners, openIdNamespace } from "../../sys/idmap.ts";
import { type ImageDevice, type KernelImage, sealedDevice, verityDevice } from "./image-device.ts";
import { mountOf } from "../table/mountinfo.ts";
import type { WritablePlaces } from "../upper/upper-places.ts";
import { copyRoot } from "../upper/upper-root.ts";
import { attachPrivately } from "./private-place.ts";
import { type MountRights, rightsOf } from "../../sys/mount-rights.ts";
import {
  type Layer,
  type LayerStyle,
  type OverlayOptions,
  mountErofs,
  mountOverlay,
} from "./layers.ts";

/** Directories for what is changed. */
export interface WritableLayers extends WritablePlaces {
  /** The upper directory is used for the first time, and its root is to look as the image's. */
  readonly isNew?: boolean;
}

/** What the kernel is to mount, and where. */
export interface StackOptions extends MountRights {
  /** What the list of mounts shows as the device. */
  readonly source: string;
  /** An existing directory, absolute. */
  readonly target: string;
  /** Where objects are: paths of directories, or layers; searched in this order. */
  readonly objects: readonly (string | Layer)[];
  /** Places that may hold the image as an object with fs-verity. */
  readonly images?: readonly Pick<ObjectStore, "openFile">[];
  /** Files whose object does not have the signed digest by fs-verity cannot be opened. */
  readonly requireVerity: boolean;
  /** Directories for what is changed, of one file system that has xattrs: the mount is writable. */
  readonly writable?: WritableLayers;
  /** Owners are shown as other users. */
  readonly idmap?: IdMap;
  /** The only directory that is attached, as a path from the root through directories. */
  readonly subdir?: string;
  /** How overlayfs is told its layers; by default the first way that this kernel knows. */
  readonly style?: LayerStyle;
}

/** The rest of {@link StackOptions}: what goes over the image. */
export type OverlayStackOptions = Omit<StackOptions, "images">;

/**
 * Mounts a verified image with nothing but the kernel.
 *
 * @throws {@link SystemError} or {@link NotFoundError} what this machine or the kernel lacks; nothing
 *   is mounted then
 */
export function mountStack(image: KernelImage, options: StackOptions): void {
  const erofs = mountImage(image, options.images ?? []);
  try {
    mountOverImage(erofs, options);
  } finally {
    closeSync(erofs);
  }
}

/**
 * The same for an image from {@link mountImage}.
 *
 * @throws as {@link mountStack}
 */
export function mountOverImage(erofs: number, options: OverlayStackOptions): void {
  const open = new Descriptors();
  try {
    const objects = options.objects.map((place) =>
      typeof place === "string" ? open.directory(place) : place,
    );
    const writable = options.writable && {
      upper: open.directory(options.writable.upper),
      work: open.directory(options.writable.work),
    };
    const { source, requireVerity } = options;
    if (options.idmap !== undefined) {
      mapOwners(erofs, open.add(openIdNamespace(options.idmap)));
    }
    if (writable !== undefined && options.writable?.isNew === true) copyRoot(erofs, writable.upper);
    const settings = {
      source,
      objects,
      requireVerity,
      ...rightsOf(options),
      ...defined({ writable }),
    };
    const overlay = open.add(mountChanged(erofs, settings, options));
    const { subdir } = options;
    const shown = subdir === undefined ? overlay : open.add(cloneSubdirectory(overlay, subdir));
    attachMount(shown, options.target);
  } finally {
    open.close();
  }
}

/** Mounts the overlay, and says so when the directories for changes are what the kernel cannot use. */
function mountChanged(
  erofs: number,
  settings: OverlayOptions,
  { writable: places, style, target }: OverlayStackOptions,
): number {
  try {
    return mountOverlay(erofs, settings, style);
  } catch (cause) {
    const { writable } = settings;
    if (writable === undefined || places === undefined || !(cause instanceof SealfsError)) {
      throw cause;
    }
    if (canKeepChanges(writable, target)) throw cause;
    const type = mountOf(writable.upper)?.type ?? "unknown";
    const what = `--upper ${places.upper}: overlayfs cannot keep changes on its file system (${type})`;
    throw new SystemError("NO_OVERLAY", what, {
      cause,
      hint: "use directories on ext4, XFS, Btrfs or tmpfs",
    });
  }
}

/** Tries it without an image. */
function canKeepChanges({ upper, work }: { upper: number; work: number }, lower: string): boolean {
  const path = (fd: number) => `/proc/thread-self/fd/${fd}`;
  const directory = openSync(lower, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const trial = newMount("overlay", 0, (context) =>
      context
        .setString("lowerdir", path(directory))
        .setString("upperdir", path(upper))
        .setString("workdir", path(work)),
    );
    closeSync(trial);
    return true;
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    return false;
  } finally {
    closeSync(directory);
  }
}

/**
 * Mounts the image alone, attached nowhere; the caller closes it. A stored image with fs-verity is
 * mounted as it lies there, which takes no memory; otherwise a sealed copy is.
 *
 * @throws as {@link mountStack}
 */
export function mountImage(
  image: KernelImage,
  places: readonly Pick<ObjectStore, "openFile">[],
): number {
  for (const place of places) {
    try {
      return mountDevice(verityDevice(place.openFile(image.digest).fd, image));
    } catch (error) {
      // Not there, no fs-verity, other content, or a kernel that mounts block devices only.
      if (!(error instanceof SealfsError)) throw error;
    }
  }
  return mountDevice(sealedDevice(image));
}

function mountDevice(device: ImageDevice): number {
  try {
    return mountErofs(device.source);
  } finally {
    device.close();
  }
}

function cloneSubdirectory(mount: number, subdir: string): number {
  const path = subdir.split("/").filter((name) => name !== "").join("/"); // prettier-ignore
  const clone = (root: string) => {
    const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return cloneDirectory(fd, path === "" ? "." : path);
    } finally {
      closeSync(fd);
    }
  };
  try {
    return clone(`/proc/thread-self/fd/${mount}`);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "IO") throw error;
    // Before Linux 6.15 only of mounts that are attached somewhere.
    const place = attachPrivately(mount);
    try {
      return clone(place.path);
    } finally {
      place.remove();
    }
  }
}

/** Open descriptors that are to be closed together. */
class Descriptors {
  readonly #fds: number[] = [];

  add(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }

  directory(path: string): number {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    try {
      return this.add(openSync(path, flags));
    } catch (error) {
      const reason = failure(path, error);
      if (reason instanceof SystemError) throw reason;
      throw new SystemError("IO", reason.message, { cause: error });
    }
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }
}
