/**
 * `sealfs trust`: everything that is known about the trust in an image.
 *
 * @module
 */
import type { Command } from "commander";
import { reportTrust } from "../../policy/trust-report.ts";
import { Stores } from "../../store/stores.ts";
import { TrustError } from "../../errors.ts";
import { trustLines } from "../print/trust.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";
import { type SignedImageOptions, declareSignedImage } from "../options/signed-image-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends SignedImageOptions, TrustOptions {
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--json", "print one JSON document")
    .action(async (image: string, options: Options) => {
      const { name, platform, bundle: bundles, json } = options;
      const { trust, state, document, now } = readTrust(options, io);
      const places = { stores: options.store && Stores.open(options.store), bundles };
      const demands = { trust, state, name, platform, now };
      const report = await reportTrust(image, places, demands, document);
      if (json) io.document(report);
      else for (const line of trustLines(report)) io.print(line);
      if (!report.ok) throw new TrustError("NO_GOOD_BUNDLE", `${image}: not trusted`);
    });
  declareSignedImage(command, "a store with the image; may be repeated, in order");
  declareTrust(command);
  addNote(
    command,
    "This changes nothing: no version is remembered. The exit status is 5 when the image is " +
      "not trusted.",
  );
}
