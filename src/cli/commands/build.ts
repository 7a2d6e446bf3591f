/**
 * `sealfs build`: an image and its objects from an OCI image, layer tars, a directory or a dump
 * file.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { type BuildResult, type BuiltImage, buildImage } from "../../build/build-image.ts";
import { readPrivateKey } from "../../keys/key-files.ts";
import { bundleBeside } from "../../verify/locate.ts";
import { writeImageFile } from "../../mkcomposefs/mkcomposefs.ts";
import { replaceFile } from "../../fs/new-file.ts";
import { imageFacts, signFacts } from "../../sign/sign-image.ts";
import { settleValidity } from "../../sign/validity.ts";
import { parseSource } from "../../oci/reference.ts";
import { Store } from "../../store/store.ts";
import type { NewBundle } from "../../store/transaction.ts";
import { type ProfileName, type XattrMode, profileNames } from "../../tree/merge.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";
import { interruptible } from "../terminal/interruption.ts";
import { type Io, formatBytes } from "../terminal/io.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";
import { passphraseFor } from "../terminal/passphrase.ts";
import { type WriteOptions, declareWriting } from "../options/write-options.ts";

interface Options extends WriteOptions, SourceFlags {
  store: string;
  name?: string;
  key?: string;
  passphraseFile?: string;
  created?: string;
  expires?: string;
  version?: string;
  output?: string;
  profile?: ProfileName;
  xattrs?: XattrMode;
  strict?: true;
  algorithm?: VerityAlgorithm;
  formatVersion: "0" | "1" | "auto";
  seekIndex: boolean;
  allowMissing?: true;
  compareProfiles?: true;
  reflink?: true;
  json?: true;
}

export function declare(command: Command, io: Io): void {
  declareSource(declareWriting(command))
    .argument(
      "<source>",
      "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE, docker://HOST/NAME[:TAG], tar:FILE[,FILE…], dir:DIR, dump:FILE, a bare path, or - for an archive on standard input",
    )
    .requiredOption("--store <dir>", "the store to build into; made when it does not exist")
    .option("--name <reference>", "a name for the image, such as registry.example/app:1.0")
    .option("--key <file>", "sign the image under its name with this private key (PKCS#8 PEM)")
    .option("--passphrase-file <file>", "passphrase of an encrypted key (default: asks)")
    .option("--created <time>", "the statement's time (default: SOURCE_DATE_EPOCH, or now)")
    .option("--expires <when>", "a date, or a time from creation such as 90d (default: 365d)")
    .option("--version <n>", "the statement's version (default: seconds of creation)")
    .option("-o, --output <file>", "also write the image to this file, and its bundle beside")
    .addOption(
      new Option("--profile <name>", "how layers become one tree").choices([...profileNames]),
    )
    .addOption(
      new Option("--xattrs <mode>", "composefs-oci-v1: which xattrs stay").choices([
        "composefs",
        "composefs-user",
      ]),
    )
    .option("--strict", "refuse what is odd, instead of a warning")
    .addOption(
      new Option("--algorithm <hash>", "digests of a new store").choices(["sha256", "sha512"]),
    )
    .addOption(
      new Option("--format-version <n>", "version of the image format")
        .choices(["0", "1", "auto"])
        .default("auto"),
    )
    .option("--allow-missing", "dump files: the objects need not be in the store")
    .option("--no-seek-index", "do not record where the objects lie in the layers")
    .option("--compare-profiles", "also print the digest under every profile")
    .option("--reflink", "directories: share blocks with the files, where that is possible")
    .option("--json", "print the result as JSON")
    .action((source: string, options: Options) => build(source, options, io));
}

async function build(text: string, options: Options, io: Io): Promise<void> {
  const reference = parseSource(text);
  const sign = signer(options);
  const { algorithm, formatVersion } = options;
  const progress = io.progress("build");
  const interruption = interruptible("build");
  let result: BuildResult;
  let bundles: readonly NewBundle[] = [];
  try {
    result = await buildImage(reference, {
      ...pick(options),
      store: () => Store.create(options.store, defined({ algorithm })),
      sign: sign && ((built) => (bundles = sign(built))),
      ...sourceOptions(options),
      formatVersion: formatVersion === "auto" ? "auto" : formatVersion === "0" ? 0 : 1,
      onProgress: (done, total) => progress.update(done, total),
      signal: interruption.signal,
    });
  } finally {
    interruption.end();
    progress.end();
  }
  if (options.output !== undefined) {
    writeImageFile(options.output, result.bytes);
    for (const { bytes } of bundles) replaceFile(bundleBeside(options.output), bytes, 0o644);
  }
  for (const warning of result.warnings) io.log(`warning: ${warning}`);
  report(result, options, io);
}

function pick({
  name,
  profile,
  xattrs,
  strict,
  allowMissing,
  compareProfiles,
  seekIndex,
  durability,
  minFree,
  reflink,
}: Options) {
  return {
    name,
    profile,
    xattrs,
    strict: strict ?? false,
    allowMissing: allowMissing ?? false,
    compareProfiles: compareProfiles ?? false,
    seekIndex,
    durability,
    minFree,
    reflink: reflink ?? false,
  };
}

/** What signs the image once it is made; the key is read first, so that a wrong one costs nothing. */
function signer(options: Options): ((built: BuiltImage) => NewBundle[]) | undefined {
  const { key: file, name, passphraseFile, created, expires, version } = options;
  if (file === undefined) return undefined;
  if (name === undefined) {
    throw new UsageError("USAGE", "key: an image is signed under a name, and none is given", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const key = readPrivateKey(file, passphraseFor(file, passphraseFile));
  const sourceDateEpoch = process.env["SOURCE_DATE_EPOCH"];
  const validity = settleValidity({ created, expires, version, sourceDateEpoch }, new Date());
  return ({ bytes, algorithm, profile, source, seekIndex }) => {
    const facts = imageFacts(bytes, algorithm);
    const { keyId, bundle } = signFacts(facts, {
      name,
      key,
      profile,
      source,
      seekIndex,
      ...validity,
    });
    return [{ keyId, name, bytes: bundle }];
  };
}

function report(result: BuildResult, options: Options, io: Io): void {
  if (options.json) {
    const { bytes: _, ...document } = result;
    io.print(JSON.stringify({ ...document, name: options.name ?? null }, undefined, 2));
    return;
  }
  const { objects, size } = result;
  io.log(
    `${objects.count} objects of ${formatBytes(objects.bytes)}, ${objects.new} new; image of ${formatBytes(size)}`,
  );
  if (objects.replaced > 0) {
    io.log(`${objects.replaced} damaged objects of the store were replaced; see its quarantine/`);
  }
  for (const { profile, digest, refused } of result.profiles) {
    io.log(`${profile}: ${digest ?? `refused: ${refused}`}`);
  }
  io.print(result.digest);
}
