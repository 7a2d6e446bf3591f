/**
 * `sealfs pull`: finds a signed image beside an OCI image in a registry, and verifies it.
 *
 * @module
 */
import type { Command } from "commander";
import { type ForeignStoreOption, foreignStore } from "../options/foreign-store.ts";
import { type Pulled, pullImage } from "../../distribution/pull.ts";
import { mountImage } from "../../mount/mount-image.ts";
import { UsageError } from "../../errors.ts";
import { formatPlatform } from "../../platform/platform.ts";
import { parseRegistryArgument } from "../../oci/registry-reference.ts";
import { formatTime } from "../../trust/time.ts";
import { mountedLine } from "../print/mount.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { addNote } from "../options/help-note.ts";
import {
  type PlatformsOption,
  declarePlatforms,
  platformsToTake,
} from "../options/platform-option.ts";
import {
  type RegistryFlags,
  declareRegistry,
  registryOptions,
} from "../options/registry-options.ts";
import { repeated } from "../options/repeated.ts";
import { FIRST_USE, type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, PlatformsOption, RegistryFlags, ForeignStoreOption {
  readonly allPlatforms?: true;
  readonly store: [string, ...string[]];
  readonly name?: string;
  readonly mount?: string;
  readonly mirror?: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<reference>", "[docker://]HOST/REPOSITORY:TAG")
    .addOption(
      repeated(
        "--store <dir>",
        "the store to put it into; may be repeated: further ones are only read",
      ).makeOptionMandatory(),
    )
    .option("--name <reference>", "the name that must be signed (default: HOST/REPOSITORY:TAG)")
    .option("--mount <dir>", "also mount it there; files are fetched from the layers when read")
    .addOption(
      repeated("--mirror <place>", "a mirror to ask before the layers; may be repeated, in order"),
    )
    .addOption(foreignStore())
    .option("--json", "print one JSON document")
    .action((text: string, options: Options) => pull(text, options, io));
  declareTrust(command);
  declarePlatforms(command);
  declareRegistry(command);
  addNote(
    command,
    "The image is verified as sealfs verify does it. File content is not downloaded: sealfs " +
      "fetch NAME --mirror docker://HOST/REPOSITORY fetches all of it, a mount only what is read.",
  );
}

async function pull(text: string, options: Options, io: Io): Promise<void> {
  const reference = parseRegistryArgument(text);
  const { name, store: stores, mirror = [] } = options;
  const registry = registryOptions(options, io);
  const { trust, state, now } = readTrust(options, io);
  const all = await interruptible("pull", async (signal) => {
    const platforms = await platformsToTake(reference, options, { registry });
    if (platforms.length > 1 && options.mount !== undefined) {
      throw new UsageError("USAGE", "--mount: one image is mounted, so name one --platform");
    }
    const pulled: Pulled[] = [];
    for (const platform of platforms) {
      signal.throwIfAborted();
      pulled.push(
        await pullImage({
          reference,
          registry,
          platform,
          trust: { trust, state },
          name,
          stores,
          now,
          signal,
        }),
      );
    }
    return pulled;
  });
  report(all, options, io);
  const [pulled] = all;
  if (options.mount === undefined || pulled === undefined) return;
  const { host, repository } = reference;
  const { caFile, authFile, insecure } = registry;
  const mirrors = [...mirror, `docker://${host}/${repository}`];
  const mount = await mountImage(pulled.verified, options.mount, {
    stores,
    lazy: { mirrors, reach: { caFile, authFile, insecure } },
  });
  io.log(mountedLine(pulled.name, mount));
}

function report(all: readonly Pulled[], { json }: Options, io: Io): void {
  if (json) {
    const documents = all.map(asJson);
    io.document(all.length === 1 ? documents[0]! : { images: documents });
  } else for (const { verified } of all) io.print(verified.digest);
  for (const pulled of all) describe(pulled, io);
}

function asJson({ verified, name, subject, fitsSubject, hasSeekIndex, missing }: Pulled): object {
  const { statement, keyIds, digest: id, progress } = verified;
  const { version, expires } = statement;
  const platform = statement.platform ? formatPlatform(statement.platform) : null;
  const told = { id, name, platform, version, expires: formatTime(expires), keyIds, progress };
  const missed = { objects: missing.size, bytes: bytesOf(missing) };
  return { ...told, subject, fitsSubject, hasSeekIndex, missing: missed };
}

function describe({ verified, name, fitsSubject, missing }: Pulled, io: Io): void {
  const { statement, keyIds } = verified;
  const { platform, version } = statement;
  const what = platform === undefined ? name : `${name} for ${formatPlatform(platform)}`;
  io.log(`verified ${what}, version ${version}, signed by ${keyIds.join(", ")}`);
  if (verified.progress === "first") io.log(FIRST_USE);
  if (!fitsSubject) io.log("warning: it was built from another image than the one in the registry");
  if (missing.size === 0) io.log("no object is missing");
  else {
    const count = counted(statement.objects.count, "object");
    io.log(`missing: ${missing.size} of ${count}, ${formatBytes(bytesOf(missing))}`);
  }
}

function bytesOf(objects: Pulled["missing"]): number {
  return [...objects.values()].reduce((sum, size) => sum + size, 0);
}
