/**
 * Where a mount gets content that no store has.
 *
 * @module
 */
import type { SharedDirectory } from "../fs/held-directory.ts";
import type { ByteRange, ObjectFile } from "./object-reader.ts";

/** How often what was provided may turn out not to be readable before that is an error. */
export const SUPPLY_TRIES = 3;

/** Gets content from elsewhere, checked, into a place where it can be read. */
export interface Supply {
  /** The directory of the objects of which a part is there; asked after the stores. */
  readonly directory: SharedDirectory;
  /**
   * Resolves when the object can be opened, or with a `range` when these bytes can be read, from a
   * store or from {@link directory}.
   *
   * @throws what was wrong with each source; within its own deadline, or when `signal` aborts
   */
  provide(file: ObjectFile, range: ByteRange | undefined, signal: AbortSignal): Promise<void>;
}
