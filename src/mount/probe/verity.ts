/**
 * Tries fs-verity on the file system of the objects.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { SystemError } from "../../errors.ts";
import { probeDigest } from "./probe-image.ts";
import type { Trial } from "./trial.ts";

/**
 * Enables fs-verity on an object and compares its digest.
 *
 * @throws {@link SystemError} `READ_ONLY`, `NO_VERITY`, or what the kernel says
 */
export function probeVerity({ kernel, scratch }: Trial): void {
  const fd = scratch.openInStore("good");
  try {
    kernel.enableVerity(fd, "sha256");
    const measured = kernel.measureVerity(fd);
    if (measured === probeDigest("good")) return;
    throw new SystemError(
      "NO_VERITY",
      `fs-verity: expected ${probeDigest("good")}, got ${measured}`,
    );
  } finally {
    closeSync(fd);
  }
}
