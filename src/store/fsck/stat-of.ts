/**
 * What stands under a name of a store in which anything may be wrong.
 *
 * @module
 */
import type { Stats } from "node:fs";
import { IntegrityError } from "../../errors.ts";
import type { Store } from "../store.ts";

/** Undefined when nothing is there, also when it is below something that is not a directory. */
export function statOf({ files }: Store, name: string): Stats | undefined {
  try {
    return files.stat(name);
  } catch (error) {
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
}

/** Whether a directory is there. */
export function hasDirectory(store: Store, name: string): boolean {
  return statOf(store, name)?.isDirectory() === true;
}
