/**
 * `sealfs label`: the label by which other composefs tools know an image.
 *
 * @module
 */
import type { Command } from "commander";
import { composefsLabel, familyDigest, verifyLabel } from "../../composefs/marks.ts";
import { openImage } from "../../verify/open-image.ts";
import { readSource } from "../../oci/source/typed-source.ts";
import { openSource } from "../../oci/source/open-source.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";

interface Options extends SourceFlags {
  readonly store?: string[];
  readonly check?: string;
}

export function declare(command: Command, io: Io): void {
  declareSource(addImageArgument(command))
    .option(
      "--check <source>",
      "compare with the label of this OCI image; exit status 4 when it differs",
    )
    .action(async (target: string, options: Options) => {
      const { store, check } = options;
      const digest = familyDigest(await openImage(target, store));
      if (check !== undefined) {
        const source = await openSource(readSource(check), sourceOptions(options, io));
        try {
          verifyLabel(source, digest);
        } finally {
          source.close();
        }
      }
      io.print(composefsLabel(digest));
    });
}
