/**
 * Tries an overlay whose files have their content in a data-only layer.
 *
 * @module
 */
import { closeSync, readFileSync } from "node:fs";
import { SealfsError, SystemError } from "../../errors.ts";
import { type LayerStyle, layerStyles } from "../kernel/layers.ts";
import { type ImageWay, mountProbeImage } from "./image-mount.ts";
import { type ProbeFile, probeContents } from "./probe-image.ts";
import type { Trial } from "./trial.ts";

/**
 * The first style in which the kernel takes layers and a file can be read.
 *
 * @throws {@link SystemError} `NO_OVERLAY` when there is no such style
 */
export function probeOverlay(trial: Trial, way: ImageWay): LayerStyle {
  trial.scratch.put("good", probeContents.good);
  const problems: string[] = [];
  for (const style of layerStyles) {
    try {
      const { good } = readThrough(trial, way, { names: ["good"], style });
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

/** What to read, and through which overlay. */
interface Reading<N extends ProbeFile> {
  readonly names: readonly N[];
  readonly requireVerity?: boolean;
  readonly style?: LayerStyle;
}

/** The outcome of reading each file through an overlay that is attached nowhere: `read`, or an errno. */
export function readThrough<N extends ProbeFile>(
  trial: Trial,
  way: ImageWay,
  { names, requireVerity = false, style }: Reading<N>,
): Record<N, string> {
  const fds: number[] = [];
  try {
    const erofs = mountProbeImage(trial, way);
    fds.push(erofs);
    const objects = trial.scratch.openDirectory();
    fds.push(objects);
    const options = { source: "sealfs-probe", objects: [objects], requireVerity };
    const overlay = trial.kernel.mountOverlay(erofs, options, style);
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
