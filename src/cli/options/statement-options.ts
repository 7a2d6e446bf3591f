/**
 * What a signed statement says beside the image itself.
 *
 * @module
 */
import type { Command } from "commander";
import { type Validity, settleValidity } from "../../sign/validity.ts";

/** The values of {@link declareStatement}'s options. */
export interface StatementOptions {
  readonly created?: string;
  readonly expires?: string;
  readonly version?: string;
}

/** Adds `--expires`, `--created` and `--version`. */
export function declareStatement(command: Command): Command {
  return command
    .optionsGroup("Statement:")
    .option("--expires <when>", "a date, or a time from creation such as 90d (default: 365d)")
    .option("--created <time>", "the time of creation (default: SOURCE_DATE_EPOCH, or now)")
    .option("--version <n>", "grows with each signing of a name (default: seconds of creation)");
}

/** @throws {@link UsageError} as {@link settleValidity} */
export function validityOf({ created, expires, version }: StatementOptions, now: Date): Validity {
  const sourceDateEpoch = process.env["SOURCE_DATE_EPOCH"];
  return settleValidity({ created, expires, version, sourceDateEpoch }, now);
}
