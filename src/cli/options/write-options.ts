/**
 * How a command writes to a store.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { type Durability, durabilities } from "../../store/durability.ts";
import { MIN_FREE_PERCENT } from "../../store/space.ts";
import { type ForeignStoreOption, foreignStore } from "./foreign-store.ts";

export interface WriteOptions extends ForeignStoreOption {
  readonly durability: Durability;
  readonly minFree: number;
}

/** Adds `--durability`, `--min-free` and `--foreign-store`. */
export function declareWriting(command: Command): Command {
  return command
    .optionsGroup("Writing:")
    .addOption(
      new Option(
        "--durability <how>",
        "how objects reach the disk: transaction (one sync for all), object (an fsync of " +
          "each), none (for tests)",
      )
        .choices([...durabilities])
        .default("transaction"),
    )
    .option(
      "--min-free <percent>",
      "how much of the disk to leave free (at most 1 GiB); 0: no limit",
      percent,
      MIN_FREE_PERCENT,
    )
    .addOption(foreignStore());
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 100) return value;
  throw new UsageError("USAGE", `--min-free: expected 0 to 100, got ${text}`);
}
