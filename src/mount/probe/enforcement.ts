/**
 * Tries whether an overlay with `verity=require` keeps its promise: kernels have had faults here.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { SystemError } from "../../errors.ts";
import type { ImageWay } from "./image-mount.ts";
import { readThrough } from "./overlay.ts";
import { probeContents } from "./probe-image.ts";
import type { Trial } from "./trial.ts";

/**
 * Reads content with the signed digest, without fs-verity, and with another digest; after
 * {@link probeVerity}, which has enabled fs-verity on the first.
 *
 * @throws {@link SystemError} `NO_VERITY` when the first cannot be read, or one of the others can
 */
export function probeEnforcement(trial: Trial, way: ImageWay): void {
  const { kernel, scratch } = trial;
  scratch.put("plain", probeContents.plain);
  scratch.put("wrong", Buffer.from(probeContents.wrong.toString().toUpperCase()));
  const fd = scratch.openInStore("wrong");
  kernel.enableVerity(fd, "sha256");
  closeSync(fd);
  const outcomes = readThrough(trial, way, {
    names: ["good", "plain", "wrong"],
    requireVerity: true,
  });
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
