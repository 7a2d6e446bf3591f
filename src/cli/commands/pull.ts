/**
 * `sealfs pull`: finds a signed image beside an OCI image in a registry, and verifies it.
 *
 * @module
 */
import type { Command } from "commander";
import { type ForeignStoreOption, foreignStore } from "../options/foreign-store.ts";
import { type Pulled, pullImage } from "../../distribution/pull.ts";
import { mountImage } from "../../mount/mount-image.ts";
import { parseRegistryReference } from "../../oci/registry-reference.ts";
import { formatTime } from "../../trust/time.ts";
import { mountedLine } from "../print/mount.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { addNote } from "../options/help-note.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";
import { repeated } from "../options/repeated.ts";
import { FIRST_USE, type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, SourceFlags, ForeignStoreOption {
  readonly store: [string, ...string[]];
  readonly name?: string;
  readonly mount?: string;
  readonly mirror?: string[];
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<reference>", "docker://HOST/REPOSITORY:TAG")
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
  declareSource(command);
  addNote(
    command,
    "The image is verified as sealfs verify does it. File content is not downloaded: sealfs " +
      "fetch NAME --mirror docker://HOST/REPOSITORY fetches all of it, a mount only what is read.",
  );
}

async function pull(text: string, options: Options, io: Io): Promise<void> {
  const reference = parseRegistryReference(text);
  const { name, store: stores, mirror = [] } = options;
  const { registry, platform } = sourceOptions(options, io);
  const { trust, state, now } = readTrust(options, io);
  const interruption = interruptible("pull");
  let pulled: Pulled;
  try {
    pulled = await pullImage({
      reference,
      registry,
      platform,
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
  const { caFile, authFile, insecure } = registry;
  const mirrors = [...mirror, `docker://${host}/${repository}`];
  const mount = await mountImage(pulled.verified, options.mount, {
    stores,
    lazy: { mirrors, reach: { caFile, authFile, insecure } },
  });
  io.log(mountedLine(pulled.name, mount));
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
    io.log(FIRST_USE);
  }
  if (!fitsSubject) io.log("warning: it was built from another image than the one in the registry");
  if (missing.size === 0) io.log("no object is missing");
  else
    io.log(
      `missing: ${missing.size} of ${counted(statement.objects.count, "object")}, ${formatBytes(bytes)}`,
    );
}
