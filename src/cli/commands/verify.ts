/**
 * `sealfs verify`: checks an image's signature and the image itself.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { checkSeal } from "../../composefs/seal.ts";
import { openCurrent } from "../../verify/locate.ts";
import type { VerifiedImage } from "../../verify/verified-image.ts";
import { Stores } from "../../store/stores.ts";
import { formatTime } from "../../trust/time.ts";
import type { Io } from "../terminal/io.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, SourceFlags {
  bundle?: string[];
  name?: string;
  store?: string[];
  json?: true;
  cert?: string;
  signature?: string;
  source?: string;
}

export function declare(command: Command, io: Io): void {
  const collect = (value: string, all: string[] = []) => [...all, value];
  declareSource(declareTrust(command))
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--name <reference>", "the name that must be signed (default: that in the store)")
    .option("--store <dir>", "a store that has the image; may be repeated", collect)
    .option("--bundle <file>", "a bundle (default: those in the store, IMAGE.bundle.json)", collect)
    .option("--json", "print one JSON document")
    .option("--cert <file>", "check composefs's own signature instead, by this certificate (X.509)")
    .option(
      "--signature <path>",
      "with --cert: artifact or PKCS#7 (default: IMAGE.composefs, .p7s)",
    )
    .option(
      "--source <image>",
      "with --cert: the OCI image, whose manifest has to be the signed one",
    )
    .addHelpText(
      "after",
      "\nA certificate's signature binds bytes, no name, version or expiry: nothing is mounted by it.",
    )
    .action(async (target: string, options: Options) => {
      if (options.cert !== undefined) return verifySeal(target, options.cert, options, io);
      if (options.signature !== undefined || options.source !== undefined) {
        throw new UsageError("USAGE", "--signature and --source: only with --cert");
      }
      const { name, bundle: bundles } = options;
      const now = new Date();
      const { trust, state } = readTrust(options, io, now);
      const stores = options.store && Stores.open(options.store);
      const demands = { trust, state, name, now };
      const verified = await openCurrent(target, { stores, bundles }, demands);
      if (options.json) io.print(JSON.stringify(asJson(verified)));
      else for (const line of lines(verified)) io.print(line);
      if (!verified.nameChecked) {
        io.log(`no name was asked for: whether it is the right image, the name above must tell`);
      } else if (verified.progress === "first" && state !== undefined) {
        io.log(`first use of this name here: older versions were not known, from now on they are`);
      }
      for (const hint of verified.unverified) {
        // A stranger's words: nothing that a terminal would take for more than text.
        io.log(`another signature was not checked: ${quoted(hint)}`);
      }
    });
}

const quoted = (text: string) => text.slice(0, 100).replace(/[^\x21-\x7e]+/g, "?");

async function verifySeal(image: string, cert: string, options: Options, io: Io): Promise<void> {
  const { signature, source, store: stores, key, keys, policy, tuf, name, bundle } = options;
  if (key.length + keys.length > 0 || [policy, tuf, name, bundle].some((each) => each)) {
    throw new UsageError("USAGE", "--cert: stands alone, without keys, policy, name or bundle");
  }
  const verdict = await checkSeal({
    image,
    stores,
    cert,
    signature,
    source,
    opening: sourceOptions(options),
  });
  const { digest, compared, subject } = verdict;
  if (options.json) io.print(JSON.stringify(verdict));
  else {
    io.print(`verified    ${compared.join(", ")}`);
    io.print(`image       ${digest}`);
    if (subject !== undefined) io.print(`manifest    ${subject}`);
  }
  io.log("a certificate binds the image's bytes: no name, no version, no expiry");
  if (subject !== undefined && !compared.includes("manifest")) {
    io.log("manifest and configuration were not compared: name the OCI image with --source");
  }
}

function asJson(verified: VerifiedImage): object {
  const { created, expires, ...statement } = verified.statement;
  return {
    ...statement,
    created: formatTime(created),
    expires: formatTime(expires),
    keyIds: verified.keyIds,
    threshold: verified.threshold.needed,
    nameChecked: verified.nameChecked,
    progress: verified.progress,
  };
}

function lines(verified: VerifiedImage): string[] {
  const { statement, keyIds } = verified;
  const { count, bytes } = statement.objects;
  return [
    `verified    ${statement.name}`,
    `image       ${statement.verityDigest} (${statement.size} bytes)`,
    `sha256      ${statement.sha256}`,
    ...keyIds.map((id) => `signed by   ${id}`),
    `version     ${statement.version}`,
    `created     ${formatTime(statement.created)}`,
    `expires     ${formatTime(statement.expires)}`,
    ...(statement.profile === undefined ? [] : [`profile     ${statement.profile}`]),
    ...(statement.source === undefined ? [] : [`source      ${statement.source.digest}`]),
    `objects     ${count} (${bytes} bytes)`,
  ];
}
