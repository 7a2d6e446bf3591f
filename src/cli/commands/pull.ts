/**
 * `sealfs pull`: finds a signed image beside an OCI image in a registry, and verifies it.
 *
 * @module
 */
import type { Command } from "commander";
import { type Pulled, pullImage } from "../../distribution/pull.ts";
import { mountImage } from "../../mount/mount-image.ts";
import { parsePlatform } from "../../oci/platform.ts";
import { parseRegistryReference } from "../../oci/registry-reference.ts";
import { formatTime } from "../../trust/time.ts";
import { collect } from "../options/image-argument.ts";
import { interruptible } from "../terminal/interruption.ts";
import { type Io, formatBytes } from "../terminal/io.ts";
import {
  type RegistryFlags,
  declareRegistry,
  registryOptions,
} from "../options/registry-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, RegistryFlags {
  readonly store: [string, ...string[]];
  readonly name?: string;
  readonly platform?: string;
  readonly mount?: string;
  readonly mirror: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  declareRegistry(declareTrust(command))
    .argument("<reference>", "docker://HOST/REPOSITORY:TAG")
    .requiredOption("--store <dir>", "where it goes; repeat for more that have objects", collect)
    .option("--name <reference>", "the name that must be signed (default: HOST/REPOSITORY:TAG)")
    .option("--platform <os/arch>", "which image of an index, such as linux/arm64/v8")
    .option(
      "--mount <dir>",
      "mount it at once; files come from the image's layers when they are read",
    )
    .option("--mirror <where>", "where else files may come from, before the layers", collect, [])
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nWhat is found there is verified exactly as sealfs verify does. Files are not downloaded: sealfs\n" +
        "fetch NAME --mirror docker://HOST/REPOSITORY gets them all, a mount those that are read.",
    )
    .action((text: string, options: Options) => pull(text, options, io));
}

async function pull(text: string, options: Options, io: Io): Promise<void> {
  const reference = parseRegistryReference(text);
  const { platform, name, store: stores } = options;
  const now = new Date();
  const { trust, state } = readTrust(options, io, now);
  const interruption = interruptible("pull");
  let pulled: Pulled;
  try {
    pulled = await pullImage({
      reference,
      registry: registryOptions(options),
      platform: platform === undefined ? undefined : parsePlatform(platform),
      trust: { trust, state },
      name,
      stores,
      now,
      signal: interruption.signal,
    });
  } finally {
    interruption.end();
  }
  report(pulled, options, io);
  if (options.mount === undefined) return;
  const { host, repository } = reference;
  const mirrors = [...options.mirror, `docker://${host}/${repository}`];
  const mount = await mountImage(pulled.verified, options.mount, {
    stores,
    lazy: { mirrors, reach: registryOptions(options) },
  });
  io.log(`mounted ${pulled.name} on ${mount.target} (${mount.mode}, ${mount.promise})`);
}

function report(
  { verified, name, subject, fitsSubject, hasSeekIndex, missing }: Pulled,
  { json }: Options,
  io: Io,
) {
  const { statement, keyIds } = verified;
  const bytes = [...missing.values()].reduce((sum, size) => sum + size, 0);
  if (json) {
    const missed = { objects: missing.size, bytes };
    const { digest: id, progress } = verified;
    const { version, expires } = statement;
    const told = { id, name, version, expires: formatTime(expires), keyIds, progress };
    io.print(JSON.stringify({ ...told, subject, fitsSubject, hasSeekIndex, missing: missed }));
  } else io.print(verified.digest);
  io.log(`verified ${name}, version ${statement.version}, signed by ${keyIds.join(", ")}`);
  if (verified.progress === "first") {
    io.log("first use of this name here: older versions were not known, from now on they are");
  }
  if (!fitsSubject) io.log("warning: it was built from another image than the one in the registry");
  if (missing.size === 0) io.log("all of its objects are here");
  else
    io.log(`missing: ${missing.size} of ${statement.objects.count} objects, ${formatBytes(bytes)}`);
}
