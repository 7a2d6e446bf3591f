/**
 * Upper directories in one another: what one mount changes, the other would show, behind the back of the
 * kernel. Overlayfs does not notice.
 *
 * @module
 */
import { closeSync, constants, openSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { SystemError } from "../../errors.ts";
import { isServer, knownDevices, readState } from "../table/run-state.ts";
import { isAtOrBelow } from "../table/target.ts";
import type { WritablePlaces } from "./upper-places.ts";
import { isInUse } from "./upper-use.ts";

/**
 * Makes sure that the directories neither lie in those of another mount nor contain them. Of mounts of
 * other programs only the former is seen.
 *
 * @throws {@link SystemError} `BUSY`
 */
export function checkNesting(places: WritablePlaces): void {
  const others = placesOfOthers();
  for (const option of ["upper", "work"] as const) {
    const path = realpathSync(places[option]);
    const above = usedDirectoryAbove(path);
    if (above !== undefined) throw nested(option, places, `lies inside ${above}`);
    const below = others.find((each) => isAtOrBelow(each, path));
    if (below !== undefined) throw nested(option, places, `contains ${below}`);
  }
}

/** A file system that is mounted in an upper directory is no part of it. */
function usedDirectoryAbove(path: string): string | undefined {
  const { dev } = statSync(path);
  for (let at = dirname(path); at !== "/" && statSync(at).dev === dev; at = dirname(at)) {
    const fd = openSync(at, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (isInUse(fd)) return at;
    } finally {
      closeSync(fd);
    }
  }
  return undefined;
}

function placesOfOthers(): string[] {
  return knownDevices().flatMap((device) => {
    const state = readState(device);
    if (state?.writable === undefined || !isServer(state)) return [];
    return [state.writable.upper, state.writable.work];
  });
}

function nested(option: "upper" | "work", places: WritablePlaces, how: string): SystemError {
  return new SystemError(
    "BUSY",
    `--${option} ${places[option]}: ${how}, which another mount uses for its changes`,
    { hint: "give each mount directories apart from those of others" },
  );
}
