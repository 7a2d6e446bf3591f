/**
 * `sealfs trust`: everything that is known about the trust in an image.
 *
 * @module
 */
import type { Command } from "commander";
import { reportTrust, trustLines } from "../../policy/trust-report.ts";
import { Stores } from "../../store/stores.ts";
import { TrustError } from "../../errors.ts";
import type { Io } from "../terminal/io.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions {
  readonly name?: string;
  readonly store?: string[];
  readonly bundle?: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  const gather = (value: string, all: string[] = []) => [...all, value];
  declareTrust(command)
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--name <reference>", "the name that must be signed (default: that in the store)")
    .option("--store <dir>", "a store that has the image; may be repeated", gather)
    .option("--bundle <file>", "a bundle (default: those in the store, IMAGE.bundle.json)", gather)
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nNo version of the image is remembered by asking. Exit status 5 when it is not trusted.",
    )
    .action(async (image: string, options: Options) => {
      const { name, bundle: bundles, json } = options;
      const now = new Date();
      const { trust, state, document } = readTrust(options, io, now);
      const places = { stores: options.store && Stores.open(options.store), bundles };
      const report = await reportTrust(image, places, { trust, state, name, now }, document);
      if (json) io.print(JSON.stringify(report));
      else for (const line of trustLines(report)) io.print(line);
      if (!report.ok) throw new TrustError("NO_GOOD_BUNDLE", `${image}: not trusted`);
    });
}
