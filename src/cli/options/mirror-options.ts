/**
 * Where objects may be fetched from.
 *
 * @module
 */
import type { Command } from "commander";
import type { VerifiedImage } from "../../verify/verified-image.ts";
import type { ObjectSource } from "../../mirror/source.ts";
import type { Stores } from "../../store/stores.ts";
import type { Io } from "../terminal/io.ts";
import { repeated } from "./repeated.ts";

/** The values of {@link declareMirrors}'s options. */
export interface MirrorOptions {
  readonly mirror?: string[];
  readonly mirrors?: string;
}

/** Adds `--mirror` and `--mirrors`. */
export function declareMirrors(command: Command): Command {
  return command
    .optionsGroup("Mirrors:")
    .addOption(
      repeated(
        "--mirror <place>",
        "a mirror: a store or directory, http(s)://…, docker://HOST/REPO, oci:DIR, " +
          "oci-archive:FILE; may be repeated, asked in order",
      ),
    )
    .option(
      "--mirrors <file>",
      "a file that lists further mirrors; none: do not read one " +
        "(default: ~/.config/sealfs/mirrors.json, /etc/sealfs/mirrors.json)",
    );
}

/** Opens what the options name, for an image. */
export async function readMirrors(
  { mirror = [], mirrors }: MirrorOptions,
  { image, digest, statement }: VerifiedImage,
  stores: Stores,
  io: Io,
): Promise<ObjectSource[]> {
  // Commands that only may need a mirror do not wait for its code.
  const { openSourcesFor } = await import("../../fetch/open-sources.ts");
  const known = { image, digest, name: statement.name, seekIndex: statement.seekIndex };
  return openSourcesFor(known, stores, { mirrors: mirror, mirrorsFile: mirrors }, (message) =>
    io.log(`warning: ${message}`),
  );
}
