/**
 * What the kernel is given to mount: the very bytes that were verified, where nobody can change them
 * any more. That is either a sealed memory file behind a read-only loop device, or an object on which
 * the kernel enforces fs-verity with the signed digest.
 *
 * Spec: docs/threat-model.md, "The kernel".
 *
 * @module
 */
import { closeSync } from "node:fs";
import { IntegrityError, SystemError } from "../../errors.ts";
import type { VerifiedImage } from "../../verify/verified-image.ts";
import { digestOfFile } from "../../store/objects.ts";
import { measureVerity } from "../../sys/fsverity.ts";
import { openLoop } from "../../sys/loop.ts";
import { anonymousFile } from "../../sys/memfd.ts";
import { type VerityDigest, algorithmOf } from "../../verity/verity-digest.ts";

/** The parts of a {@link VerifiedImage} that are shown to the kernel. */
export type KernelImage = Pick<VerifiedImage, "bytes" | "digest">;

/** An image that stays as it was verified. */
export interface ImageDevice {
  readonly kind: "loop" | "verity";
  /** For mounting: it leads to the open descriptor, whatever happens to names meanwhile. */
  readonly source: string;
  /** Lets go of it; a mount keeps what it needs. */
  close(): void;
}

/**
 * The image in a sealed memory file behind a loop device.
 *
 * @throws {@link SystemError} `NO_KOFFI`, `PERMISSION`, or what the kernel says
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when the sealed bytes are not the verified ones
 */
export function sealedDevice(image: KernelImage): ImageDevice {
  const { fd, sealed } = anonymousFile(image.bytes);
  try {
    if (!sealed) throw new SystemError("NO_KOFFI", "image: a sealed memory file needs koffi");
    requireDigest(digestOfFile(fd, algorithmOf(image.digest)), image.digest);
    const loop = openLoop(fd, `sealfs ${image.digest}`);
    return device("loop", loop.fd);
  } finally {
    closeSync(fd); // the loop device holds it
  }
}

/**
 * The image as a file with fs-verity, open as `fd`, which then belongs to the result (or is closed).
 * The digest is measured on this descriptor, so that it does not matter what its name leads to.
 *
 * @throws {@link SystemError} `NO_VERITY` when the file has no fs-verity
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` when it is of another image
 */
export function verityDevice(fd: number, image: Pick<KernelImage, "digest">): ImageDevice {
  try {
    const measured = measureVerity(fd);
    if (measured === undefined) {
      throw new SystemError("NO_VERITY", `image ${image.digest}: fs-verity is not on for its file`);
    }
    requireDigest(measured, image.digest);
    return device("verity", fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function device(kind: ImageDevice["kind"], fd: number): ImageDevice {
  let isOpen = true;
  return {
    kind,
    source: `/proc/thread-self/fd/${fd}`,
    close: () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

function requireDigest(got: VerityDigest, signed: VerityDigest): void {
  if (got === signed) return;
  throw new IntegrityError("DIGEST_MISMATCH", `image: signed was ${signed}, its file has ${got}`);
}
