/**
 * Writing as root to a store that is not root's alone.
 *
 * @module
 */
import { Option } from "commander";

export interface ForeignStoreOption {
  readonly foreignStore?: true;
}

/** `--foreign-store`, for commands that write to a store. */
export function foreignStore(): Option {
  return new Option(
    "--foreign-store",
    "write to the store also when, as root, it belongs to somebody else or others can write to it",
  );
}
