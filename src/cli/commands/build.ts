/**
 * `sealfs build`: an image and its objects from an OCI image, layer tars, a directory or a dump
 * file.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { type BuildResult, type BuiltImage, buildImage } from "../../build/build-image.ts";
import { readPrivateKey } from "../../keys/key-files.ts";
import { bundleBeside } from "../../verify/locate.ts";
import { writeImageFile } from "../../mkcomposefs/mkcomposefs.ts";
import { writeUserFile } from "../../fs/user-file.ts";
import { imageFacts, signFacts } from "../../sign/sign-image.ts";
import { parseSource } from "../../oci/reference.ts";
import { Store } from "../../store/store.ts";
import type { NewBundle } from "../../store/transaction.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { formatBytes } from "../terminal/units.ts";
import { type SourceFlags, declareSource, sourceOptions } from "../options/registry-options.ts";
import { passphraseFor } from "../terminal/passphrase.ts";
import {
  type StatementOptions,
  declareStatement,
  validityOf,
} from "../options/statement-options.ts";
import { type TreeOptions, declareTree, treeOptions } from "../options/tree-options.ts";
import { type WriteOptions, declareWriting } from "../options/write-options.ts";

interface Options extends TreeOptions, StatementOptions, WriteOptions, SourceFlags {
  readonly store: string;
  readonly name?: string;
  readonly key?: string;
  readonly passphraseFile?: string;
  readonly output?: string;
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument(
      "<source>",
      "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE, docker://HOST/NAME[:TAG], " +
        "tar:FILE[,FILE…], dir:DIR, dump:FILE, or a path or - (standard input), whose content decides",
    )
    .requiredOption("--store <dir>", "the store to build into; created when missing")
    .option("--name <reference>", "a name for the image, such as registry.example/app:1.0")
    .option("--key <file>", "sign the image under its name with this private key (PKCS#8 PEM)")
    .option("--passphrase-file <file>", "the passphrase of an encrypted key (default: asks)")
    .option("-o, --output <file>", "also write the image to this file, and its bundle beside it")
    .option("--json", "print the result as JSON")
    .action((source: string, options: Options) => build(source, options, io));
  declareTree(command);
  declareStatement(command);
  declareWriting(command);
  declareSource(command);
}

async function build(text: string, options: Options, io: Io): Promise<void> {
  const reference = parseSource(text);
  const sign = signer(options);
  const { name, algorithm, durability, minFree } = options;
  const progress = io.progress("build");
  const interruption = interruptible("build");
  let result: BuildResult;
  let bundles: readonly NewBundle[] = [];
  try {
    result = await buildImage(reference, {
      ...treeOptions(options),
      ...sourceOptions(options, io),
      name,
      durability,
      minFree,
      store: () => Store.create(options.store, defined({ algorithm })),
      sign: sign && ((built) => (bundles = sign(built))),
      onProgress: (done, total) => progress.update(done, total),
      signal: interruption.signal,
    });
  } finally {
    interruption.end();
    progress.end();
  }
  if (options.output !== undefined) {
    writeImageFile(options.output, result.bytes);
    for (const { bytes } of bundles) writeUserFile(bundleBeside(options.output), bytes);
  }
  for (const warning of result.warnings) io.log(`warning: ${warning}`);
  report(result, options, io);
}

/** What signs the image once it is made; the key is read first, so that a wrong one costs nothing. */
function signer(options: Options): ((built: BuiltImage) => NewBundle[]) | undefined {
  const { key: file, name, passphraseFile } = options;
  if (file === undefined) return undefined;
  if (name === undefined) {
    throw new UsageError("USAGE", "--key: expected a name to sign the image under, got none", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const key = readPrivateKey(file, passphraseFor(file, passphraseFile));
  const validity = validityOf(options, new Date());
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
