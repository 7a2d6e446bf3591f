/**
 * `sealfs push`: puts a signed image beside its OCI image in a registry.
 *
 * @module
 */
import type { Command } from "commander";
import { type Pushed, pushImages } from "../../distribution/push.ts";
import { parseRegistryArgument } from "../../oci/registry-reference.ts";
import { Store } from "../../store/store.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { addNote } from "../options/help-note.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";
import { platformOption } from "../options/platform-option.ts";
import { repeated } from "../options/repeated.ts";

interface Options extends SourceFlags {
  readonly store: string;
  readonly mountFrom?: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "a name or id in the store")
    .argument("<reference>", "[docker://]HOST/REPOSITORY:TAG, the OCI image that it was built from")
    .requiredOption("--store <dir>", "the store with the image")
    .addOption(
      repeated(
        "--mount-from <repository>",
        "another repository of the same registry, whose blobs may be reused; may be repeated",
      ),
    )
    .option("--json", "print one JSON document")
    .action((image: string, text: string, options: Options) => push(image, text, options, io));
  declareSource(
    command,
    platformOption("the image for this platform only (default: those for all platforms)"),
  );
  addNote(
    command,
    "Bootstrap, bundles and seek index become one artifact that refers to the OCI image; the " +
      "objects stay in its layers. sealfs pull finds and verifies it.",
  );
}

async function push(image: string, text: string, options: Options, io: Io): Promise<void> {
  const { store, mountFrom = [], json } = options;
  const all = await interruptible("push", (signal) =>
    pushImages({
      ...sourceOptions(options, io),
      store: Store.open(store),
      image,
      reference: parseRegistryArgument(text),
      mountFrom,
      signal,
    }),
  );
  for (const pushed of all) report(pushed, io);
  if (json) io.document(all.length === 1 ? all[0]! : { images: all });
  else for (const { artifact } of all) io.print(artifact);
}

function report({ id, subject, bundles, seekIndexes, uploads, warnings }: Pushed, io: Io): void {
  const sent = uploads.filter(({ how }) => how === "sent");
  const bytes = sent.reduce((sum, { size }) => sum + size, 0);
  for (const warning of warnings) io.log(`warning: ${warning}`);
  io.log(
    `pushed ${id} beside ${subject}: ${counted(bundles, "bundle")}, ` +
      `${counted(seekIndexes, "seek index")}, ${formatBytes(bytes)} sent`,
  );
}
