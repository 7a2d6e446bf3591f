/**
 * What this machine's kernel offers for a mount, tried with a small image: whether it mounts, whether
 * fs-verity works where the objects are, and whether the overlay really refuses content without the
 * signed digest.
 *
 * @module
 */
import { enableVerity, measureVerity } from "../../sys/fsverity.ts";
import { sealedDevice } from "../kernel/image-device.ts";
import { mountOverlay } from "../kernel/layers.ts";
import { probeEnforcement } from "./enforcement.ts";
import { type Finding, attempt } from "./finding.ts";
import { probeImage, wayOf } from "./image-mount.ts";
import { probeOverlay } from "./overlay.ts";
import { probePrivilege } from "./privilege.ts";
import { makeProbeImage } from "./probe-image.ts";
import { ScratchObjects } from "./scratch-objects.ts";
import type { KernelCalls, Trial } from "./trial.ts";
import { probeVerity } from "./verity.ts";

/** What was found about the kernel. */
export interface KernelFindings {
  /** This process may mount. */
  readonly privileged: Finding;
  /** The image mounts as EROFS; as what it is given to the kernel. */
  readonly image: Finding;
  /** Files of the image can be read through an overlay with data-only layers; how layers are given. */
  readonly overlay: Finding;
  /** fs-verity can be enabled on files of the store, and gives the digests of the format. */
  readonly verity: Finding;
  /** An overlay that requires fs-verity reads content that has the digest, and nothing else. */
  readonly enforcement: Finding;
}

const calls: KernelCalls = { sealedDevice, mountOverlay, enableVerity, measureVerity };

/**
 * Tries the kernel, in a scratch folder that is removed at the end.
 *
 * @param store a store, or any directory of the objects' file system
 */
export function probeKernel(store: string, played: Partial<KernelCalls> = {}): KernelFindings {
  const scratch = ScratchObjects.create(store);
  const trial: Trial = { kernel: { ...calls, ...played }, scratch, image: makeProbeImage() };
  try {
    const privileged = attempt(probePrivilege);
    const verity = attempt(() => probeVerity(trial), "NO_VERITY");
    const image = privileged.ok
      ? attempt(() => probeImage(trial, verity.ok), "NO_IMAGE_DEVICE")
      : privileged;
    const way = wayOf(image);
    const overlay = image.ok ? attempt(() => probeOverlay(trial, way), "NO_OVERLAY") : image;
    const missing = [overlay, verity].find(({ ok }) => !ok);
    const enforcement = missing ?? attempt(() => probeEnforcement(trial, way), "NO_VERITY");
    return { privileged, image, overlay, verity, enforcement };
  } finally {
    scratch.remove();
  }
}
