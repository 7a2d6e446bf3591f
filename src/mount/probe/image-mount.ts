/**
 * Tries to mount the probe's image as EROFS.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { type ImageDevice, verityDevice } from "../kernel/image-device.ts";
import { mountErofs } from "../kernel/layers.ts";
import type { Finding } from "./finding.ts";
import type { Trial } from "./trial.ts";

/** As what an image is given to the kernel; the second is for machines without loop devices. */
const LOOP_DEVICE = "loop device";
const VERITY_FILE = "with fs-verity, in the store only";
export type ImageWay = typeof LOOP_DEVICE | typeof VERITY_FILE;

/** Whether images can only be mounted as they lie in a store. */
export function needsVerityImage({ image }: { readonly image: Finding }): boolean {
  return wayOf(image) === VERITY_FILE;
}

/** The way that {@link probeImage} has found. */
export function wayOf(image: Finding): ImageWay {
  return image.ok && image.detail === VERITY_FILE ? VERITY_FILE : LOOP_DEVICE;
}

/**
 * Mounts the image, where it is attached nowhere: in a sealed memory file behind a loop device, or else
 * as a file with fs-verity.
 *
 * @throws {@link SystemError} what the kernel says
 */
export function probeImage(trial: Trial, hasVerity: boolean): ImageWay {
  try {
    closeSync(mountProbeImage(trial, LOOP_DEVICE));
    return LOOP_DEVICE;
  } catch (error) {
    if (!hasVerity) throw error;
    addVerityFile(trial);
    closeSync(mountProbeImage(trial, VERITY_FILE));
    return VERITY_FILE;
  }
}

/** Mounts the image the way that works; returns a descriptor of the mount. */
export function mountProbeImage(trial: Trial, way: ImageWay): number {
  const device = openDevice(trial, way);
  try {
    return mountErofs(device.source);
  } finally {
    device.close();
  }
}

const FILE = "image";

function openDevice({ kernel, scratch, image }: Trial, way: ImageWay): ImageDevice {
  if (way === LOOP_DEVICE) return kernel.sealedDevice(image);
  return verityDevice(scratch.open(FILE), image);
}

function addVerityFile({ kernel, scratch, image }: Trial): void {
  scratch.write(FILE, image.bytes);
  const fd = scratch.open(FILE);
  try {
    kernel.enableVerity(fd, "sha256");
  } finally {
    closeSync(fd);
  }
}
