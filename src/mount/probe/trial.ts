/**
 * What the probes of the kernel try with.
 *
 * @module
 */
import type { enableVerity, measureVerity } from "../../sys/fsverity.ts";
import type { KernelImage, sealedDevice } from "../kernel/image-device.ts";
import type { mountOverlay } from "../kernel/layers.ts";
import type { ScratchObjects } from "./scratch-objects.ts";

/** What the kernel is asked to do; tests play kernels that lack something, or are faulty. */
export interface KernelCalls {
  readonly sealedDevice: typeof sealedDevice;
  readonly mountOverlay: typeof mountOverlay;
  readonly enableVerity: typeof enableVerity;
  readonly measureVerity: typeof measureVerity;
}

/** The same for every probe of one run. */
export interface Trial {
  readonly kernel: KernelCalls;
  /** Where objects may be written. */
  readonly scratch: ScratchObjects;
  readonly image: KernelImage;
}
