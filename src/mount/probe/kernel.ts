/**
 * Tries the kernel stack with a small image of its own: whether it mounts, whether fs-verity works
 * where the objects are, and whether the overlay really refuses content without the signed digest.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { ascii } from "../../bytes/bytestring.ts";
import { SealfsError, SystemError } from "../../errors.ts";
import { writeImage } from "../../erofs/writer.ts";
import { failure } from "../../fs/failure.ts";
import { enableVerity, measureVerity } from "../../sys/fsverity.ts";
import { newMount } from "../../sys/fsmount.ts";
import { hasLibc } from "../../sys/koffi.ts";
import { Inode, S_IFREG, newDirectory } from "../../tree/inode.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../../verity/index.ts";
import { type Finding, attempt } from "./finding.ts";
import { guardDirectory } from "../guard/directory-guard.ts";
import { type ImageDevice, sealedDevice, verityDevice } from "../kernel/image-device.ts";
import { type LayerStyle, layerStyles, mountErofs, mountOverlay } from "../kernel/layers.ts";

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

/** Tries the kernel; `store` is a store, or any directory of the objects' file system. */
export function probeKernel(store: string, trials: Partial<KernelTrials> = {}): KernelFindings {
  const own: KernelTrials = { sealedDevice, mountOverlay, enableVerity, measureVerity };
  const place = new ProbePlace(store, { ...own, ...trials });
  try {
    const privileged = attempt(probePrivilege);
    const verity = attempt(() => probeVerity(place), "NO_VERITY");
    const image = privileged.ok
      ? attempt(() => probeImage(place, verity.ok), "NO_IMAGE_DEVICE")
      : privileged;
    const overlay = image.ok ? attempt(() => probeOverlay(place), "NO_OVERLAY") : image;
    const tried = [overlay, verity].find(({ ok }) => !ok);
    const enforcement = tried ?? attempt(() => probeEnforcement(place), "NO_VERITY");
    return { privileged, image, overlay, verity, enforcement };
  } finally {
    place.remove();
  }
}

const contents = {
  good: Buffer.from("sealfs probe: content with the signed digest. ".repeat(4)),
  /** Under the right name and with the right bytes, but the kernel does not answer for them. */
  plain: Buffer.from("sealfs probe: content without fs-verity. ".repeat(4)),
  /** fs-verity is on, but with the digest of other bytes. */
  wrong: Buffer.from("sealfs probe: content that was exchanged. ".repeat(4)),
} as const;
type Name = keyof typeof contents;

const digestOf = (name: Name): VerityDigest => verityDigestOf(contents[name], "sha256");

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

function probeImage(place: ProbePlace, hasVerity: boolean): string {
  try {
    closeSync(mountProbe(place));
    return "loop device";
  } catch (error) {
    if (!hasVerity) throw error;
    place.useVerityImage();
    closeSync(mountProbe(place));
    return VERITY_IMAGE;
  }
}

/** Mounts the probe's image, as the place can do it. */
function mountProbe(place: ProbePlace): number {
  const device = place.imageDevice();
  try {
    return mountErofs(device.source);
  } finally {
    device.close();
  }
}

function probeOverlay(place: ProbePlace): LayerStyle {
  place.put("good", contents.good);
  const problems: string[] = [];
  for (const style of layerStyles) {
    try {
      const { good } = readThrough(place, ["good"], false, style);
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

function probeVerity(place: ProbePlace): void {
  const fd = place.open("good");
  try {
    place.trials.enableVerity(fd, "sha256");
    const measured = place.trials.measureVerity(fd);
    if (measured === digestOf("good")) return;
    throw new SystemError("NO_VERITY", `fs-verity: expected ${digestOf("good")}, got ${measured}`);
  } finally {
    closeSync(fd);
  }
}

/** Kernels have had faults here, so that the promise is tried and not believed. */
function probeEnforcement(place: ProbePlace): void {
  place.put("plain", contents.plain);
  place.put("wrong", Buffer.from(contents.wrong.toString().toUpperCase()));
  const fd = place.open("wrong");
  place.trials.enableVerity(fd, "sha256");
  closeSync(fd);
  const outcomes = readThrough(place, ["good", "plain", "wrong"], true);
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
function readThrough<N extends Name>(
  place: ProbePlace,
  names: readonly N[],
  requireVerity: boolean,
  style?: LayerStyle,
): Record<N, string> {
  const fds: number[] = [];
  try {
    const erofs = mountProbe(place);
    fds.push(erofs);
    const objects = openSync(place.objects, "r");
    fds.push(objects);
    const options = { source: "sealfs-probe", objects: [objects], requireVerity };
    const overlay = place.trials.mountOverlay(erofs, options, style);
    fds.push(overlay);
    const outcomes = names.map((name) => [name, outcomeOf(`/proc/self/fd/${overlay}/${name}`)]);
    return Object.fromEntries(outcomes) as Record<N, string>;
  } finally {
    for (const fd of fds) closeSync(fd);
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

function probeTree(): Uint8Array {
  const root = newDirectory();
  for (const name of Object.keys(contents) as Name[]) {
    const inode = new Inode(S_IFREG | 0o444);
    inode.size = BigInt(contents[name].length);
    inode.digest = digestOf(name);
    inode.payload = ascii(objectPath(inode.digest));
    root.entries.set(ascii(name), inode);
  }
  return writeImage(root);
}

/** A directory for objects of the probe: in the store, or where else it may write. */
class ProbePlace {
  readonly trials: KernelTrials;
  readonly #store: string;
  readonly #image = probeTree();
  readonly #digest = verityDigestOf(this.#image, "sha256");
  #hasVerityImage = false;
  #path: string | undefined;
  #dismiss = () => {};
  #isInStore = false;

  constructor(store: string, trials: KernelTrials) {
    this.#store = store;
    this.trials = trials;
  }

  /** From now on the image is a file of the store that has fs-verity. */
  useVerityImage(): void {
    const path = `${this.objects}/image`;
    writeFileSync(path, this.#image, { mode: 0o444 });
    const fd = openSync(path, "r");
    try {
      this.trials.enableVerity(fd, "sha256");
    } finally {
      closeSync(fd);
    }
    this.#hasVerityImage = true;
  }

  imageDevice(): ImageDevice {
    const image = { bytes: this.#image, digest: this.#digest };
    if (!this.#hasVerityImage) return this.trials.sealedDevice(image);
    return verityDevice(openSync(`${this.objects}/image`, "r"), image);
  }

  get objects(): string {
    if (this.#path !== undefined) return this.#path;
    let problem: unknown;
    const inStore = [`${this.#store}/tmp`, this.#store];
    for (const parent of [...inStore, tmpdir()]) {
      const path = `${parent}/probe-${randomUUID()}`;
      const dismiss = guardDirectory(path);
      try {
        mkdirSync(path, { mode: 0o700 });
        this.#dismiss = dismiss;
        this.#isInStore = inStore.includes(parent);
        return (this.#path = path);
      } catch (error) {
        dismiss();
        problem = error;
      }
    }
    throw failure("probe", problem);
  }

  /** Puts content under an object's name, unless there is some: with fs-verity it cannot be written to. */
  put(name: Name, content: Uint8Array): void {
    const path = `${this.objects}/${objectPath(digestOf(name))}`;
    if (existsSync(path)) return;
    mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    writeFileSync(path, content, { mode: 0o444 });
  }

  /** Opens a file in the store itself: another file system would tell nothing. */
  open(name: Name): number {
    const { objects } = this;
    if (!this.#isInStore) {
      throw new SystemError("READ_ONLY", `${this.#store}: not writable, so fs-verity is not tried`);
    }
    const path = `${objects}/${objectPath(digestOf(name))}`;
    try {
      return openSync(path, "r");
    } catch {
      this.put(name, contents[name]);
      return openSync(path, "r");
    }
  }

  remove(): void {
    if (this.#path !== undefined) rmSync(this.#path, { recursive: true, force: true });
    this.#dismiss();
  }
}
