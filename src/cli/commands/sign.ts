/**
 * `sealfs sign`: signs an image under a name.
 *
 * @module
 */
import type { Command } from "commander";
import { foreignStore } from "../options/foreign-store.ts";
import { sealImage } from "../../composefs/seal.ts";
import { readPublicKey } from "../../keys/key-files.ts";
import { verifyTimesAsClients } from "../../sign/client-checks.ts";
import { prepareTarget, signTarget } from "../../sign/sign-target.ts";
import type { Statement } from "../../trust/statement.ts";
import { formatTime } from "../../trust/time.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { declareSource } from "../options/registry-options.ts";
import { platformOption } from "../options/platform-option.ts";
import { addNote } from "../options/help-note.ts";
import {
  type SignOptions,
  declareFurtherSigner,
  declareOtherTools,
  declareSigner,
  sayOf,
  sealRequestOf,
  sidecarsOf,
  signersOf,
} from "../options/sign-options.ts";
import { clientPolicyOf, declareStatement } from "../options/statement-options.ts";

const NOTE = `\
Without the private key on this machine (HSM, offline machine):
  sealfs sign IMAGE --name NAME --print-pae > pae
  openssl pkeyutl -sign -rawin -inkey KEY -in pae -out sig
  sealfs sign IMAGE --attach sig --pae pae --with-key KEY.pub
The image is checked before the bytes to sign are written, and again before a signature is attached.`;

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "an image file, or with --store a name or id in the store")
    .option("--name <reference>", "the name to sign it under (default: its name in the store)")
    .option("--store <dir>", "the store with the image, which takes the bundle and the name")
    .addOption(foreignStore())
    .option(
      "-o, --output <file>",
      "write the bundle there (default: the store, or IMAGE.bundle.json)",
    )
    .action((image: string, options: SignOptions) => sign(image, options, io));
  declareSigner(command);
  declareFurtherSigner(declareStatement(command));
  declareOtherTools(command);
  declareSource(
    command,
    platformOption(
      "which image of the name or index it is, and what it runs on " +
        "(default: this machine's, and what it was signed for before)",
    ),
  );
  addNote(command, NOTE);
}

async function sign(image: string, options: SignOptions, io: Io): Promise<void> {
  const { name, store, output, bundle: bundles } = options;
  const seal = sealRequestOf(image, options, io);
  if (seal !== undefined) {
    const { digest, artifact } = await sealImage(seal);
    io.log(`composefs artifact ${artifact}: ${seal.output}`);
    io.print(digest);
    return;
  }
  const now = new Date();
  const say = sayOf(options, now);
  const policy = clientPolicyOf(options, now);
  const request = {
    target: image,
    name,
    platform: options.platform,
    store,
    foreignStore: options.foreignStore,
    output,
    bundles,
    say,
    policy,
  };
  const warn = (warning: string) => io.log(`warning: ${warning}`);
  if (options.printPae) {
    const by = options.withKey === undefined ? [] : [readPublicKey(options.withKey)];
    const { statement, message, warnings } = prepareTarget({ ...request, by }, now);
    const later = verifyTimesAsClients(statement, policy, now);
    [...warnings, ...later].forEach(warn);
    io.log(`to be signed: ${statement.name} until ${formatTime(statement.expires)}`);
    if (say === "add") for (const line of told(statement)) io.log(line);
    io.write(message);
    return;
  }
  const signers = await signersOf(options, (message) => io.log(message));
  const by = signers.map(({ publicKey }) => publicKey);
  const target = prepareTarget({ ...request, by }, now);
  const { statement } = target;
  if (say === "add" || "printed" in say) for (const line of told(statement)) io.log(line);
  const sidecars = sidecarsOf(options, target, signers);
  const { place, replaced, warnings } = await interruptible("sign", (signal) =>
    signTarget(target, signers, signal),
  );
  for (const { path, check } of sidecars()) {
    io.log(`signature for other tools: ${path}`);
    io.log(`  checked with: ${check}`);
  }
  [...target.warnings, ...warnings].forEach(warn);
  const keys = by.length === 1 ? "" : ` with ${by.length} keys`;
  io.log(`signed ${statement.name}${keys} until ${formatTime(statement.expires)}: ${place}`);
  if (replaced !== undefined) io.log(`${statement.name} was image ${replaced} in the store`);
  io.print(statement.verityDigest);
}

/** What a statement that others made says, for those who sign it too. */
function told({ version, created, expires, profile, source }: Statement): string[] {
  const made = [profile, source?.digest].filter((each) => each !== undefined).join(" of ");
  return [
    `the statement says: version ${version}, from ${formatTime(created)} to ${formatTime(expires)}`,
    ...(made === "" ? [] : [`and how it was made: ${made}`]),
  ];
}
