/**
 * Tries the kernel stack with a small image of its own: whether it mounts, whether fs-verity works
 * where the objects are, and whether the overlay really refuses content without the signed digest.
 *
 * @module
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import { SealfsError, SystemError } from "../../errors.ts";
import { enableVerity, measureVerity } from "../../sys/fsverity.ts";
import { newMount } from "../../sys/fsmount.ts";
import { hasLibc } from "../../sys/koffi.ts";
import { type ImageDevice, sealedDevice, verityDevice } from "../kernel/image-device.ts";
import { type LayerStyle, layerStyles, mountErofs, mountOverlay } from "../kernel/layers.ts";
import { type Finding, attempt } from "./finding.ts";
import { type ProbeFile, probeContents, probeDigest, probeImage } from "./probe-image.ts";
import { ScratchObjects } from "./scratch-objects.ts";

/** What was found about the kernel. */
export interface KernelFindings {
  /** This process may mount. */
  readonly privileged: Finding;
  /** A sealed memory file behind a loop device mounts as EROFS. */
  readonly image: Finding;
  /** Files of the image read through an overlay with data-only layers; how layers are given. */
  readonly overlay: Finding;
  /** fs-verity can be turned on for files of the store, and gives the digests of the format. */
  readonly verity: Finding;
  /** An overlay that requires fs-verity reads what has the digest, and nothing else. */
  readonly enforcement: Finding;
}

/** What the kernel is asked to do; tests play kernels that lack something, or are faulty. */
export interface KernelTrials {
  readonly sealedDevice: typeof sealedDevice;
  readonly mountOverlay: typeof mountOverlay;
  readonly enableVerity: typeof enableVerity;
  readonly measureVerity: typeof measureVerity;
}

/**
 * Tries the kernel; `store` is a store, or any directory of the objects' file system. What is made for
 * it is gone when it returns.
 */
export function probeKernel(store: string, trials: Partial<KernelTrials> = {}): KernelFindings {
  const kernel: KernelTrials = {
    sealedDevice,
    mountOverlay,
    enableVerity,
    measureVerity,
    ...trials,
  };
  const privileged = attempt(probePrivilege);
  let scratch: ScratchObjects | undefined;
  const place = attempt(() => void (scratch = ScratchObjects.make(store)));
  if (scratch === undefined) {
    const image = privileged.ok ? place : privileged;
    return { privileged, image, overlay: image, verity: place, enforcement: image };
  }
  try {
    return { privileged, ...new KernelProbe(scratch, kernel).run(privileged) };
  } finally {
    scratch.remove();
  }
}

function probePrivilege(): string | void {
  // Without koffi nothing can be tried, but the mount command may do for FUSE.
  if (!hasLibc() && process.geteuid?.() === 0) return "root";
  try {
    closeSync(newMount("tmpfs", 0, () => undefined));
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "PERMISSION") throw error;
    throw new SystemError("PERMISSION", "only root may mount (CAP_SYS_ADMIN)", { cause: error });
  }
}

/** The detail of a machine without loop devices, which mounts images with fs-verity from the store. */
const VERITY_IMAGE = "with fs-verity, in the store only";

/** Whether images can only be mounted as they lie in a store. */
export function needsVerityImage({ image }: Pick<KernelFindings, "image">): boolean {
  return image.ok && image.detail === VERITY_IMAGE;
}

class KernelProbe {
  readonly #scratch: ScratchObjects;
  readonly #kernel: KernelTrials;
  readonly #image = probeImage();
  #hasVerityImage = false;

  constructor(scratch: ScratchObjects, kernel: KernelTrials) {
    this.#scratch = scratch;
    this.#kernel = kernel;
  }

  run(privileged: Finding): Omit<KernelFindings, "privileged"> {
    const verity = attempt(() => this.#verity(), "NO_VERITY");
    const image = privileged.ok
      ? attempt(() => this.#mountedImage(verity.ok), "NO_IMAGE_DEVICE")
      : privileged;
    const overlay = image.ok ? attempt(() => this.#overlay(), "NO_OVERLAY") : image;
    const tried = [overlay, verity].find(({ ok }) => !ok);
    const enforcement = tried ?? attempt(() => this.#enforcement(), "NO_VERITY");
    return { image, overlay, verity, enforcement };
  }

  #verity(): void {
    const fd = this.#scratch.openInStore("good");
    try {
      this.#kernel.enableVerity(fd, "sha256");
      const measured = this.#kernel.measureVerity(fd);
      const expected = probeDigest("good");
      if (measured === expected) return;
      throw new SystemError("NO_VERITY", `fs-verity: expected ${expected}, got ${measured}`);
    } finally {
      closeSync(fd);
    }
  }

  #mountedImage(hasVerity: boolean): string {
    try {
      closeSync(this.#mountImage());
      return "loop device";
    } catch (error) {
      if (!hasVerity) throw error;
      this.#useVerityImage();
      closeSync(this.#mountImage());
      return VERITY_IMAGE;
    }
  }

  /** From now on the image is a file beside the objects that has fs-verity. */
  #useVerityImage(): void {
    const fd = this.#scratch.putImage(this.#image.bytes);
    try {
      this.#kernel.enableVerity(fd, "sha256");
    } finally {
      closeSync(fd);
    }
    this.#hasVerityImage = true;
  }

  #mountImage(): number {
    const device = this.#imageDevice();
    try {
      return mountErofs(device.source);
    } finally {
      device.close();
    }
  }

  #imageDevice(): ImageDevice {
    if (!this.#hasVerityImage) return this.#kernel.sealedDevice(this.#image);
    return verityDevice(this.#scratch.openImage(), this.#image);
  }

  #overlay(): LayerStyle {
    const problems: string[] = [];
    for (const style of layerStyles) {
      try {
        const { good } = this.#readThrough(["good"], false, style);
        if (good === "read") return style;
        problems.push(`a file of the image cannot be read: ${good}`);
      } catch (error) {
        if (!(error instanceof SealfsError)) throw error;
        problems.push(error.message);
      }
    }
    throw new SystemError("NO_OVERLAY", `overlay: ${problems[0]}`, {
      hint: "data-only layers need Linux 6.5 or later",
    });
  }

  /** Kernels have had faults here, so that the promise is tried and not believed. */
  #enforcement(): void {
    this.#scratch.put("plain", probeContents.plain);
    this.#scratch.put("wrong", Buffer.from(probeContents.wrong.toString().toUpperCase()));
    const fd = this.#scratch.openInStore("wrong");
    this.#kernel.enableVerity(fd, "sha256");
    closeSync(fd);
    const outcomes = this.#readThrough(["good", "plain", "wrong"], true);
    if (outcomes.good !== "read") {
      throw new SystemError("NO_VERITY", `overlay: content with its digest: ${outcomes.good}`);
    }
    for (const [name, what] of [
      ["plain", "without fs-verity"],
      ["wrong", "with another digest"],
    ] as const) {
      if (outcomes[name] !== "read") continue;
      throw new SystemError(
        "NO_VERITY",
        `overlay: content ${what} was read although verity=require was set`,
        { hint: "this kernel does not keep the promise: update it" },
      );
    }
  }

  /** What became of reading each file through an overlay that is attached nowhere. */
  #readThrough<N extends ProbeFile>(
    names: readonly N[],
    requireVerity: boolean,
    style?: LayerStyle,
  ): Record<N, string> {
    const fds: number[] = [];
    try {
      const erofs = this.#mountImage();
      fds.push(erofs);
      const objects = openSync(this.#scratch.path, "r");
      fds.push(objects);
      const options = { source: "sealfs-probe", objects: [objects], requireVerity };
      const overlay = this.#kernel.mountOverlay(erofs, options, style);
      fds.push(overlay);
      const outcomes = names.map((name) => [name, outcomeOf(`/proc/self/fd/${overlay}/${name}`)]);
      return Object.fromEntries(outcomes) as Record<N, string>;
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }
}

function outcomeOf(path: string): string {
  try {
    readFileSync(path);
    return "read";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
