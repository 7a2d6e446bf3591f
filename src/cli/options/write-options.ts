/**
 * Options of the commands that write to a store.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { type Durability, durabilities } from "../../store/durability.ts";
import { MIN_FREE_PERCENT } from "../../store/space.ts";

export interface WriteOptions {
  durability: Durability;
  minFree: number;
}

export function declareWriting(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--durability <how>",
        "how it gets to the disk: one sync for all of it, an fsync for each object, or none, for tests",
      )
        .choices([...durabilities])
        .default("transaction"),
    )
    .option(
      "--min-free <percent>",
      "stop while so much of the disk is free (at most 1 GiB); 0: do not look",
      percent,
      MIN_FREE_PERCENT,
    );
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 100) return value;
  throw new UsageError("USAGE", `--min-free: expected 0 to 100, got ${text}`);
}
