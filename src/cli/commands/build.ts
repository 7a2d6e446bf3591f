/**
 * `sealfs build`: an image and its objects from an OCI image, layer tars, a directory or a dump
 * file.
 *
 * @module
 */
import { statSync } from "node:fs";
import type { Command } from "commander";
import { NotFoundError, UsageError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { buildImages } from "../../build/build-image.ts";
import type { BuiltImage } from "../../build/build-options.ts";
import { bundleBeside, envelopeBeside } from "../../verify/locate.ts";
import { writeImageFile } from "../../mkcomposefs/mkcomposefs.ts";
import { writeUserFile } from "../../fs/user-file.ts";
import { anyOf, verifyAsClients } from "../../sign/client-checks.ts";
import { type SignedImage, envelopeOf, imageFacts, signFacts } from "../../sign/sign-image.ts";
import { earlierBundles, earlierFiles, settleVersion } from "../../sign/succession.ts";
import { nameGivenBy } from "../../oci/image-name.ts";
import type { SourceReference } from "../../oci/reference.ts";
import { readSource } from "../../oci/source/typed-source.ts";
import type { RegistryOptions } from "../../oci/registry/session.ts";
import type { Platform } from "../../platform/platform.ts";
import { Store } from "../../store/store.ts";
import type { NewBundle } from "../../store/transaction.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { type Built, type Signing, buildDocument, printBuild } from "../print/build.ts";
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
import { passphraseFile } from "../options/passphrase-option.ts";
import type { PassphraseSource } from "../../keys/passphrase-source.ts";
import { readPrivateKeys } from "../options/sign-options.ts";
import {
  type StatementOptions,
  clientPolicyOf,
  declareStatement,
  validityOf,
} from "../options/statement-options.ts";
import { type TreeOptions, declareTree, treeOptions } from "../options/tree-options.ts";
import { type WriteOptions, declareWriting } from "../options/write-options.ts";

interface Options
  extends TreeOptions, StatementOptions, WriteOptions, PlatformsOption, RegistryFlags {
  readonly store: string;
  readonly name?: string;
  readonly key?: string[];
  readonly passphraseFile?: PassphraseSource;
  readonly output?: string;
  readonly cache: boolean;
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument(
      "<source>",
      "HOST/NAME:TAG, docker://NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE, " +
        "tar:FILE[,FILE…], dir:DIR, dump:FILE, or a path or - (standard input), whose content decides",
    )
    .requiredOption("--store <dir>", "the store to build into; created when missing")
    .option(
      "--name <reference>",
      "a name for the image, such as registry.example/app:1.0 (default: that of the source, " +
        "where it says registry and tag)",
    )
    .addOption(
      repeated(
        "--key <file>",
        "sign the image under its name with this private key (PKCS#8 PEM); may be repeated",
      ),
    )
    .addOption(passphraseFile("the passphrase of an encrypted key"))
    .option("-o, --output <file>", "also write the image to this file, and its bundle beside it")
    .option("--no-cache", "read every layer, also those that the store remembers of earlier builds")
    .option("--json", "print the result as JSON")
    .action((source: string, options: Options) => build(source, options, io));
  declareTree(command);
  declareStatement(command);
  declareWriting(command);
  declarePlatforms(command);
  declareRegistry(command);
}

async function build(text: string, given: Options, io: Io): Promise<void> {
  const reference = readSource(text);
  const options = { ...given, ...defined({ name: given.name ?? nameGivenBy(reference) }) };
  const sign = await signer(options, io);
  const { name, algorithm, durability, minFree, cache } = options;
  const progress = io.progress("build");
  const signings = new Map<Uint8Array, Signing>();
  const results = await interruptible("build", async (signal) => {
    const registry = registryOptions(options, io);
    const platforms = await platformsOf(reference, options, registry);
    return buildImages(reference, platforms, {
      ...treeOptions(options),
      registry,
      name,
      durability,
      minFree,
      cache,
      store: () =>
        Store.create(options.store, defined({ algorithm, foreignOwner: options.foreignStore })),
      sign:
        sign &&
        ((built) => {
          const signing = sign(built);
          signings.set(built.bytes, signing);
          return signing.signed.map(bundleOf);
        }),
      onProgress: (done, total) => progress.update(done, total),
      signal,
    });
  }).finally(() => progress.end());
  if (options.output !== undefined) {
    writeImageFile(options.output, results[0]!.bytes);
    writeBundle(options.output, signings.get(results[0]!.bytes)?.signed ?? []);
  }
  const all = results.map((result) => ({ result, signing: signings.get(result.bytes) }));
  for (const warning of all.flatMap(warningsOf)) io.log(`warning: ${warning}`);
  if (options.json) io.document(buildDocument(all, options), 2);
  else printBuild(results, io);
}

async function platformsOf(
  reference: SourceReference,
  options: Options,
  registry: RegistryOptions,
): Promise<readonly (Platform | undefined)[]> {
  const isSeveral = options.allPlatforms === true || (options.platform?.length ?? 0) > 1;
  if (isSeveral && options.output !== undefined) {
    throw new UsageError("USAGE", "--output: one file takes one image, so name one --platform");
  }
  if (isSeveral && isReadOnce(reference)) {
    throw new UsageError("USAGE", "a pipe can be read once, for one --platform", {
      hint: "save it to a file first, and build that",
    });
  }
  const { maxLayerSize: maxLayerBytes } = options;
  return platformsToTake(reference, options, { registry, maxLayerBytes });
}

/** The bundle beside an image file: of one key, or an envelope with the signatures of several. */
function writeBundle(image: string, signed: readonly SignedImage[]): void {
  const [first, ...others] = signed;
  if (first === undefined) return;
  if (others.length === 0) writeUserFile(bundleBeside(image), first.bundle);
  else writeUserFile(envelopeBeside(image), envelopeOf(first.payload, signed));
}

function bundleOf({ keyId, bundle, statement }: SignedImage): NewBundle {
  const { name, platform } = statement;
  return { keyId, name, platform, bytes: bundle };
}

/**
 * What signs the image once it is made; keys, times and versions are looked at first, so that wrong
 * ones cost nothing.
 */
async function signer(
  options: Options,
  io: Io,
): Promise<((built: BuiltImage) => Signing) | undefined> {
  const { key: files, name, passphraseFile: passphrase, store: directory, output } = options;
  const now = new Date();
  const policy = clientPolicyOf(options, now);
  if (files === undefined) {
    if (policy === undefined) return undefined;
    throw new UsageError("USAGE", "--policy: expected a --key to sign with beside it");
  }
  if (name === undefined) {
    throw new UsageError("USAGE", "--key: expected a name to sign the image under, got none", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const keys = await readPrivateKeys(files, passphrase, (message) => io.log(message));
  const validity = validityOf(options, now);
  const by = keys.map(({ publicKey }) => publicKey);
  const beside = output === undefined ? [] : [bundleBeside(output), envelopeBeside(output)];
  const earlier = () => ({ inStore: bundlesIn(directory, name), inFiles: earlierFiles(beside) });
  settleVersion({ name, sha256: undefined }, validity, by, earlier());
  return ({ bytes, algorithm, profile, source, platform, seekIndex }) => {
    const facts = imageFacts(bytes, algorithm);
    const next = { name, platform, sha256: facts.sha256 };
    const { version, warnings } = settleVersion(next, validity, by, earlier());
    const { created, expires } = validity;
    const said = { name, profile, source, platform, seekIndex, created, expires, version };
    const signed = keys.map((key) => signFacts(facts, { ...said, key }));
    const bundles = signed.map(({ bundle }) => bundle);
    const { statement } = signed[0]!;
    const keyIds = by.map(({ id }) => id);
    const later = verifyAsClients({ statement, bundles, keyIds }, policy ?? anyOf(by), now);
    return { signed, warnings: [...warnings, ...later] };
  };
}

/** None where the store is still to be made. */
function bundlesIn(directory: string, name: string): Uint8Array[] {
  try {
    return earlierBundles(Store.open(directory), name);
  } catch (error) {
    if (error instanceof NotFoundError) return [];
    throw error;
  }
}

/** Whether a source cannot be opened again for the next platform. */
function isReadOnce(reference: SourceReference): boolean {
  if (reference.transport === "stdin") return true;
  return (
    "path" in reference && statSync(reference.path, { throwIfNoEntry: false })?.isFIFO() === true
  );
}

function warningsOf({ result, signing }: Built): readonly string[] {
  return [...result.warnings, ...(signing?.warnings ?? [])];
}
