/**
 * The paths that a mount's server opens while it serves. A mount must not hide them.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseLocation } from "../mirror/location.ts";
import { storeDirectories } from "../store/layout.ts";
import type { MountOptions } from "./mount-options.ts";
import { metricsSocket } from "./report/metrics-output.ts";
import { stateDirectory } from "./table/run-state.ts";

/** Paths that must not be hidden: files, sockets and directories. What lies beside them may be. */
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

/** Directories of which everything is needed: those of the stores, but not what else lies there. */
export function neededDirectories({ stores }: MountOptions): string[] {
  return stores.flatMap((store) => storeDirectories.map((name) => `${store}/${name}`));
}
