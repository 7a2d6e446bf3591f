/**
 * Whom a command trusts.
 *
 * @module
 */
import type { Command } from "commander";
import { type OpenedTrust, openTrust } from "../../policy/open-trust.ts";
import { type ListingRequest, openListing } from "../../tuf/listing.ts";
import type { Io } from "../terminal/io.ts";
import { repeated } from "./repeated.ts";

/** The values of {@link declareTrust}'s options. */
export interface TrustOptions extends ListingRequest {
  readonly key?: string[];
  readonly keys?: string[];
  readonly policy?: string;
  readonly state?: string;
  readonly clockFloor?: string[];
}

/** Adds `--key`, `--keys`, `--policy`, `--state`, `--tuf`, `--tuf-root` and `--clock-floor`. */
export function declareTrust(command: Command): Command {
  return command
    .optionsGroup("Trust:")
    .addOption(repeated("--key <file>", "a public key to trust; may be repeated"))
    .addOption(
      repeated("--keys <dir>", "a directory of public keys (*.pem, *.pub); may be repeated"),
    )
    .option("--policy <file>", "a trust policy, instead of keys (see sealfs policy)")
    .option(
      "--state <dir>",
      "where the newest version of each name is remembered, so that older ones are refused; " +
        "none: nowhere (default: $SEALFS_STATE, /var/lib/sealfs, ~/.local/state/sealfs)",
    )
    .option(
      "--tuf <place>",
      "accept only bundles that this TUF repository (directory or URL) lists",
    )
    .option("--tuf-root <file>", "the root.json from which trust in that repository starts")
    .addOption(
      repeated(
        "--clock-floor <time>",
        "where the clock is behind this, take it to be this time or later, and do not notice what " +
          "expires after it: a date, a file (its time of change), or memory (the latest time that " +
          "was signed); may be repeated: the latest counts",
      ),
    );
}

/** Reads what the options name, and the clock, and prints warnings about both. */
export function readTrust(options: TrustOptions, io: Io): OpenedTrust {
  const { key = [], keys = [], policy, state, clockFloor } = options;
  const opened = openTrust({ key, keys, policy, state, clockFloor }, new Date());
  for (const warning of opened.warnings) io.log(warning);
  const listing = openListing(options, opened.state, opened.now);
  return { ...opened, trust: opened.trust.withListing(listing) };
}

/** Printed when there was no version to compare with. */
export const FIRST_USE = "first use of this name here: from now on, older versions are refused";
