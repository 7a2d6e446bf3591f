/**
 * The options by which commands learn whom to trust.
 *
 * @module
 */
import type { Command } from "commander";
import { type OpenedTrust, type TrustRequest, openTrust } from "../../policy/open-trust.ts";
import { type ListingRequest, openListing } from "../../tuf/listing.ts";
import type { Io } from "../terminal/io.ts";

/** The values of {@link declareTrust}'s options. */
export interface TrustOptions extends TrustRequest, ListingRequest {
  readonly key: string[];
  readonly keys: string[];
}

/** Adds `--key`, `--keys`, `--policy`, `--state`, `--tuf` and `--tuf-root`. */
export function declareTrust(command: Command): Command {
  const collect = (value: string, all: string[]) => [...all, value];
  return command
    .option("--key <file>", "a public key to trust; may be repeated", collect, [])
    .option("--keys <dir>", "a folder of public keys to trust (*.pem, *.pub)", collect, [])
    .option("--policy <file>", "a trust policy, in place of keys (see sealfs policy)")
    .option(
      "--state <dir>",
      "where versions are remembered, so that none goes back; none for no memory " +
        "(default: $SEALFS_STATE, /var/lib/sealfs, ~/.local/state/sealfs)",
    )
    .option(
      "--tuf <place>",
      "a TUF repository (folder or URL) whose targets are the bundles that count",
    )
    .option("--tuf-root <file>", "the root.json with which trust in that repository begins");
}

/** Reads what the options name, and tells its warnings. */
export function readTrust(options: TrustOptions, io: Io, now: Date): OpenedTrust {
  const opened = openTrust(options, now);
  for (const warning of opened.warnings) io.log(warning);
  const listing = openListing(options, opened.state, now);
  return { ...opened, trust: opened.trust.withListing(listing) };
}
