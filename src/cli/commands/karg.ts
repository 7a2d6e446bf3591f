/**
 * `sealfs karg`: the boot argument that names an image.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { bootArgument, familyDigest } from "../../composefs/marks.ts";
import { openImage } from "../../verify/open-image.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";

interface Options {
  readonly store?: string[];
  readonly algorithm?: VerityAlgorithm;
}

export function declare(command: Command, io: Io): void {
  addImageArgument(command)
    .addOption(
      new Option(
        "--algorithm <name>",
        "the hash of the digest (default: that of its objects)",
      ).choices(["sha256", "sha512"]),
    )
    .action(async (target: string, { store, algorithm }: Options) => {
      io.print(bootArgument(familyDigest(await openImage(target, store), algorithm)));
    });
}
