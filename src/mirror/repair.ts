/**
 * A mirror as a place from which a store is repaired.
 *
 * @module
 */
import type { RepairSource } from "../store/fsck/repair-source.ts";
import { type ObjectSource, wholeOf } from "./source.ts";

/** Gives objects whose size is known: without it nobody knows when a mirror has sent enough. */
export function repairFromMirror(source: ObjectSource): RepairSource {
  return {
    give(digest, size) {
      if (size === undefined) return undefined;
      const object = { digest, size };
      return source.cost(object) === undefined
        ? undefined
        : source.read(object, wholeOf(object), {});
    },
  };
}
