/**
 * `sealfs explain`: why two images have different digests.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { explain } from "../../inspect/explain.ts";
import { type ProfileName, profileNames } from "../../tree/merge.ts";
import { explanationLines } from "../print/explain.ts";
import type { Io } from "../terminal/io.ts";
import { repeated } from "../options/repeated.ts";

interface Options {
  readonly store?: string[];
  readonly profile?: ProfileName[];
  readonly all?: true;
  readonly json?: true;
}

const SHOWN = 40;

export function declare(command: Command, io: Io): void {
  command
    .argument("<left>", "an image file, a name or id in a store, or a source as sealfs build takes")
    .argument("[right]", "the other image (default: the left one, under the second --profile)")
    .addOption(repeated("--store <dir>", "a store with the images; may be repeated, in order"))
    .addOption(
      repeated(
        "--profile <name>",
        "how layers become one tree; given once for both sides, or repeated for each",
        profileNames,
      ),
    )
    .option("--all", `print every difference (default: the first ${SHOWN})`)
    .option("--json", "print one JSON document, with every difference")
    .action(async (left: string, right: string | undefined, options: Options) => {
      const { store = [], profile = [], json, all } = options;
      if (right === undefined && profile.length !== 2) {
        throw new UsageError(
          "USAGE",
          "explain: expected two images, or one source and two profiles",
        );
      }
      const explanation = await explain(
        { target: left, profile: profile[0] },
        { target: right ?? left, profile: profile[1] ?? profile[0] },
        store,
        json || all ? Infinity : SHOWN,
      );
      if (json) io.document(explanation);
      else for (const line of explanationLines(explanation)) io.print(line);
    });
}
