/**
 * What stands under a name of a store in which anything may be wrong.
 *
 * @module
 */
import type { Stats } from "node:fs";
import { IntegrityError } from "../errors.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";

/** A store, or its directory. */
interface Place {
  readonly files: HeldDirectory;
}

/** Undefined when nothing is there, also when it is below something that is not a directory. */
export function statOf({ files }: Place, name: string): Stats | undefined {
  try {
    return files.stat(name);
  } catch (error) {
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
}

/** Whether a directory is there. */
export function hasDirectory(store: Place, name: string): boolean {
  return statOf(store, name)?.isDirectory() === true;
}
