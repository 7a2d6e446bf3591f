/**
 * Tries the kernel stack with a small image of its own: whether it mounts, whether fs-verity works
 * where the objects are, and whether the overlay really refuses content without the signed digest.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { ascii } from "../bytes/bytestring.ts";
import { SealfsError, SystemError } from "../errors.ts";
import { writeImage } from "../erofs/writer.ts";
import { failure } from "../store/failure.ts";
import { enableVerity, measureVerity } from "../sys/fsverity.ts";
import { newMount } from "../sys/fsmount.ts";
import { hasLibc } from "../sys/koffi.ts";
import { Inode, S_IFREG, newDirectory } from "../tree/inode.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../verity/index.ts";
import { type Finding, attempt } from "./finding.ts";
import { sealedDevice } from "./kernel/image-device.ts";
import { type LayerStyle, mountErofs, mountOverlay } from "./kernel/layers.ts";

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

/**
 * Tries the kernel; `store` is a store, or any directory of the objects' file system. `overlayMount` is
 * how overlays are mounted: tests play faulty kernels.
 */
export function probeKernel(
  store: string,
  overlayMount: typeof mountOverlay = mountOverlay,
): KernelFindings {
  const place = new ProbePlace(store, overlayMount);
  try {
    const privileged = attempt(probePrivilege);
    const image = privileged.ok ? attempt(() => probeImage()) : privileged;
    const overlay = image.ok ? attempt(() => probeOverlay(place)) : image;
    const verity = attempt(() => probeVerity(place));
    const enforcement = !overlay.ok ? overlay : !verity.ok ? verity : attempt(() => probeEnforcement(place)); // prettier-ignore
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

function probeImage(): void {
  const bytes = probeTree();
  const device = sealedDevice({ bytes, digest: verityDigestOf(bytes, "sha256") });
  try {
    closeSync(mountErofs(device.source));
  } finally {
    device.close();
  }
}

function probeOverlay(place: ProbePlace): LayerStyle {
  place.put("good", contents.good);
  let style: LayerStyle = "descriptors";
  let outcome: string;
  try {
    outcome = readThrough(place, ["good"], false, style).good;
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    style = "paths";
    outcome = readThrough(place, ["good"], false, style).good;
  }
  if (outcome === "read") return style;
  throw new SystemError("IO", `overlay: a file of the image cannot be read: ${outcome}`);
}

function probeVerity(place: ProbePlace): void {
  const fd = place.open("good");
  try {
    enableVerity(fd, "sha256");
    const measured = measureVerity(fd);
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
  enableVerity(fd, "sha256");
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
  const bytes = probeTree();
  const device = sealedDevice({ bytes, digest: verityDigestOf(bytes, "sha256") });
  const fds: number[] = [];
  try {
    const erofs = mountErofs(device.source);
    fds.push(erofs);
    const objects = openSync(place.objects, "r");
    fds.push(objects);
    const options = { source: "sealfs-probe", objects: [objects], requireVerity };
    const overlay = place.overlayMount(erofs, options, style);
    fds.push(overlay);
    const outcomes = names.map((name) => [name, outcomeOf(`/proc/self/fd/${overlay}/${name}`)]);
    return Object.fromEntries(outcomes) as Record<N, string>;
  } finally {
    device.close();
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
  readonly overlayMount: typeof mountOverlay;
  readonly #store: string;
  #path: string | undefined;
  #isInStore = false;

  constructor(store: string, overlayMount: typeof mountOverlay) {
    this.#store = store;
    this.overlayMount = overlayMount;
  }

  get objects(): string {
    if (this.#path !== undefined) return this.#path;
    let problem: unknown;
    const inStore = [`${this.#store}/tmp`, this.#store];
    for (const parent of [...inStore, tmpdir()]) {
      const path = `${parent}/probe-${randomUUID()}`;
      try {
        mkdirSync(path, { mode: 0o700 });
        this.#isInStore = inStore.includes(parent);
        return (this.#path = path);
      } catch (error) {
        problem = error;
      }
    }
    throw failure("probe", problem);
  }

  put(name: Name, content: Uint8Array): void {
    const path = `${this.objects}/${objectPath(digestOf(name))}`;
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
  }
}
