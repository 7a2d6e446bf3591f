/**
 * The paths that a mount's server opens while it serves. A mount must not hide them.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseLocation } from "../mirror/location.ts";
import type { MountOptions } from "./mount-options.ts";
import { storeDirectories } from "../store/layout.ts";
import { metricsSocket } from "./report/metrics-output.ts";
import { stateDirectory } from "./table/run-state.ts";

/** Directories of the stores, of which everything is needed. */
export function neededDirectories({ stores }: MountOptions): string[] {
  return stores.flatMap((store) => storeDirectories.map((name) => `${store}/${name}`));
}

export function neededPaths({ stores, log, metrics, writable, lazy }: MountOptions): string[] {
  const mirrors = (lazy?.mirrors ?? []).map((mirror) => parseLocation(mirror));
  return [
    ...stores,
    ...mirrors.flatMap((place) => ("path" in place ? [place.path] : [])),
    ...(log === undefined ? [] : [log]),
    ...(metrics === undefined ? [] : [metricsSocket(metrics) ?? metrics]),
    ...(writable === undefined ? [] : [writable.upper, writable.work]),
    stateDirectory(),
    fileURLToPath(new URL("..", import.meta.url)), // code that is loaded when it is needed
  ];
}
