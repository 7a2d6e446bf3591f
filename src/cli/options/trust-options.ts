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
}

/** Adds `--key`, `--keys`, `--policy`, `--state`, `--tuf` and `--tuf-root`. */
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
    .option("--tuf-root <file>", "the root.json from which trust in that repository starts");
}

/** Reads what the options name, and prints its warnings. */
export function readTrust(options: TrustOptions, io: Io, now: Date): OpenedTrust {
  const { key = [], keys = [], policy, state } = options;
  const opened = openTrust({ key, keys, policy, state }, now);
  for (const warning of opened.warnings) io.log(warning);
  const listing = openListing(options, opened.state, now);
  return { ...opened, trust: opened.trust.withListing(listing) };
}

/** Printed when there was no version to compare with. */
export const FIRST_USE = "first use of this name here: from now on, older versions are refused";
