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
import { formatPlatform } from "../../platform/platform.ts";
import { Stores } from "../../store/stores.ts";
import { formatTime } from "../../trust/time.ts";
import type { Io } from "../terminal/io.ts";
import { factLines } from "../terminal/table.ts";
import { type SourceFlags, declareRegistry, sourceOptions } from "../options/registry-options.ts";
import { addNote } from "../options/help-note.ts";
import { type SignedImageOptions, declareSignedImage } from "../options/signed-image-options.ts";
import { FIRST_USE, type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends SignedImageOptions, TrustOptions, SourceFlags {
  readonly cert?: string;
  readonly signature?: string;
  readonly source?: string;
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--json", "print one JSON document")
    .action((image: string, options: Options) =>
      options.cert === undefined
        ? verifyStatement(image, options, io)
        : verifySeal(image, options.cert, options, io),
    );
  declareSignedImage(command, "a store with the image; may be repeated, in order");
  declareTrust(command);
  command
    .optionsGroup("composefs signature:")
    .option("--cert <file>", "check composefs's own signature by this certificate (X.509) instead")
    .option(
      "--signature <path>",
      "an artifact or PKCS#7 file (default: IMAGE.composefs, IMAGE.p7s)",
    )
    .option("--source <image>", "the OCI image whose manifest must be the signed one");
  declareRegistry(command);
  addNote(
    command,
    "A certificate's signature covers the image's bytes, but no name, version or expiry: " +
      "nothing is mounted by it.",
  );
}

async function verifyStatement(image: string, options: Options, io: Io): Promise<void> {
  if (options.signature !== undefined || options.source !== undefined) {
    throw new UsageError("USAGE", "--signature and --source: expected --cert as well");
  }
  const { name, platform, bundle: bundles, store } = options;
  const { trust, state, now } = readTrust(options, io);
  const places = { stores: store && Stores.open(store), bundles };
  const verified = await openCurrent(image, places, { trust, state, name, platform, now });
  if (options.json) io.document(asJson(verified));
  else for (const line of lines(verified)) io.print(line);
  if (!verified.nameChecked) {
    io.log("no name was asked for: check that the name above is the one you want");
  } else if (verified.progress === "first" && state !== undefined) {
    io.log(FIRST_USE);
  }
  for (const hint of verified.unverified) {
    // A stranger's text: nothing that a terminal would take for more than text.
    io.log(`another signature was not checked: ${quoted(hint)}`);
  }
}

const quoted = (text: string) => text.slice(0, 100).replace(/[^\x21-\x7e]+/g, "?");

async function verifySeal(image: string, cert: string, options: Options, io: Io): Promise<void> {
  const { signature, source, store: stores, key, keys, policy, tuf, name, bundle } = options;
  if ([key, keys, policy, tuf, name, bundle].some((given) => given !== undefined)) {
    throw new UsageError("USAGE", "--cert: expected no keys, policy, name or bundle beside it");
  }
  const verdict = await checkSeal({
    image,
    stores,
    cert,
    signature,
    source,
    opening: sourceOptions(options, io),
  });
  const { digest, compared, subject } = verdict;
  if (options.json) io.document(verdict);
  else {
    const facts: [string, string][] = [
      ["verified", compared.join(", ")],
      ["image", digest],
    ];
    if (subject !== undefined) facts.push(["manifest", subject]);
    for (const line of factLines(facts)) io.print(line);
  }
  io.log("a certificate covers the image's bytes, but no name, version or expiry");
  if (subject !== undefined && !compared.includes("manifest")) {
    io.log("manifest and configuration were not compared: give the OCI image with --source");
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

function lines({ statement, keyIds }: VerifiedImage): string[] {
  const { platform, profile, source, objects } = statement;
  return factLines([
    ["verified", statement.name],
    ["image", `${statement.verityDigest} (${statement.size} bytes)`],
    ["sha256", statement.sha256],
    ...keyIds.map((id) => ["signed by", id] as const),
    ["version", String(statement.version)],
    ["created", formatTime(statement.created)],
    ["expires", formatTime(statement.expires)],
    ...(platform === undefined ? [] : [["platform", formatPlatform(platform)] as const]),
    ...(profile === undefined ? [] : [["profile", profile] as const]),
    ...(source === undefined ? [] : [["source", source.digest] as const]),
    ["objects", `${objects.count} (${objects.bytes} bytes)`],
  ]);
}
