/**
 * `sealfs push`: puts a signed image beside its OCI image in a registry.
 *
 * @module
 */
import type { Command } from "commander";
import { pushImage } from "../../distribution/push.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { parseRegistryReference } from "../../oci/registry-reference.ts";
import { Store } from "../../store/store.ts";
import { collect } from "../options/image-argument.ts";
import { interruptible } from "../terminal/interruption.ts";
import { type Io, formatBytes } from "../terminal/io.ts";
import {
  type RegistryFlags,
  declareRegistry,
  registryOptions,
} from "../options/registry-options.ts";

interface Options extends RegistryFlags {
  readonly store: string;
  readonly platform?: string;
  readonly mountFrom: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  declareRegistry(command)
    .argument("<image>", "a name or id in the store")
    .argument("<reference>", "docker://HOST/REPOSITORY:TAG, the OCI image that it was built from")
    .requiredOption("--store <dir>", "the store that has the image")
    .option("--platform <os/arch>", "which image of an index, where the statement does not say")
    .option(
      "--mount-from <repository>",
      "a repository of the same registry that may have its parts; may be repeated",
      collect,
      [],
    )
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nBootstrap, bundles and seek index become one artifact that refers to that image; objects stay in\n" +
        "the image's layers. sealfs pull finds and verifies it.",
    )
    .action(async (image: string, text: string, options: Options) => {
      const reference = parseRegistryReference(text);
      const { platform, mountFrom, json } = options;
      const interruption = interruptible("push");
      try {
        const pushed = await pushImage({
          store: Store.open(options.store),
          image,
          reference,
          registry: registryOptions(options),
          platform: platform === undefined ? undefined : parsePlatform(platform),
          mountFrom,
          signal: interruption.signal,
        });
        const sent = pushed.uploads.filter(({ how }) => how === "sent");
        const bytes = sent.reduce((sum, { size }) => sum + size, 0);
        if (json) io.print(JSON.stringify(pushed));
        else io.print(pushed.artifact);
        io.log(
          `pushed ${pushed.id} beside ${pushed.subject}: ${pushed.bundles} bundles, ` +
            `${pushed.seekIndexes} seek indexes, ${formatBytes(bytes)} sent`,
        );
      } finally {
        interruption.end();
      }
    });
}
