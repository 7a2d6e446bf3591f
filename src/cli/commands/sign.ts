/**
 * `sealfs sign`: signs an image under a name.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { sealImage } from "../../composefs/seal.ts";
import { readPublicKey } from "../../keys/key-files.ts";
import { sidecarEndings } from "../../sign/sidecars.ts";
import { prepareTarget, signTarget } from "../../sign/sign-target.ts";
import type { Statement } from "../../trust/statement.ts";
import { formatTime } from "../../trust/time.ts";
import type { Io } from "../terminal/io.ts";
import { declareSource } from "../options/registry-options.ts";
import {
  type SignOptions,
  sayOf,
  sealRequestOf,
  sidecarsOf,
  signerOf,
} from "../options/sign-options.ts";

export function declare(command: Command, io: Io): void {
  const gather = (value: string, all: string[] = []) => [...all, value];
  declareSource(command)
    .argument("<image>", "an image file, or with --store a name or id in the store")
    .option("--key <file>", "the private key (PKCS#8 PEM); - reads standard input")
    .option(
      "--passphrase-file <file>",
      "passphrase of an encrypted key; /dev/fd/N too (default: asks)",
    )
    .option("--name <reference>", "the name that clients will ask for (default: that in the store)")
    .option("--store <dir>", "the store that has the image, and takes the bundle")
    .option(
      "-o, --output <file>",
      "write the bundle there (default: the store, or IMAGE.bundle.json)",
    )
    .option("--expires <when>", "a date, or a time from creation such as 90d (default: 365d)")
    .option("--created <time>", "the time of signing (default: SOURCE_DATE_EPOCH, or now)")
    .option("--version <n>", "grows with each signing of a name (default: seconds of creation)")
    .option("--add", "add a signature to the statement that others have signed")
    .option("--bundle <file>", "with --add: the file of that statement; may be repeated", gather)
    .option("--print-pae", "sign nothing: write the bytes that are to be signed to standard output")
    .option("--attach <file>", "take a signature that was made elsewhere (64 bytes, or base64)")
    .option("--pae <file>", "with --attach: the bytes that --print-pae has written")
    .option("--sign-cmd <command>", "a shell command that signs: bytes in, signature out")
    .option("--ssh-agent", "the key is in ssh-agent")
    .option("--with-key <file>", "the public key of a key that is elsewhere")
    .addOption(
      new Option("--sidecar <form>", "also sign the image file itself for ssh-keygen or minisign")
        .choices(Object.keys(sidecarEndings))
        .argParser(gather),
    )
    .option("--composefs-pkcs7", "sign for composefs's own tools: write their artifact (draft)")
    .option("--cert <file>", "with --composefs-pkcs7: the certificate (X.509 PEM) of --key")
    .option("--source <image>", "with --composefs-pkcs7: the OCI image that was built")
    .addHelpText(
      "after",
      `
A key that is elsewhere (HSM, machine without a network):
  sealfs sign IMAGE --name NAME --print-pae > pae
  openssl pkeyutl -sign -rawin -inkey KEY -in pae -out sig
  sealfs sign IMAGE --attach sig --pae pae --with-key KEY.pub
The image is checked before its bytes to sign are written, and again before a signature is attached.`,
    )
    .action(async (image: string, options: SignOptions) => {
      const { name, store, output, bundle: bundles } = options;
      const seal = sealRequestOf(image, options);
      if (seal !== undefined) {
        const { digest, artifact } = await sealImage(seal);
        io.log(`composefs artifact ${artifact}: ${seal.output}`);
        io.print(digest);
        return;
      }
      const now = new Date();
      const say = sayOf(options, now);
      const request = { target: image, name, store, output, bundles, say };
      if (options.printPae) {
        const by = options.withKey === undefined ? undefined : readPublicKey(options.withKey);
        const { statement, message } = prepareTarget({ ...request, by }, now);
        io.log(`to be signed: ${statement.name} until ${formatTime(statement.expires)}`);
        if (say === "add") for (const line of told(statement)) io.log(line);
        io.write(message);
        return;
      }
      const signer = signerOf(options, (message) => io.log(message));
      const target = prepareTarget({ ...request, by: signer.publicKey }, now);
      const { statement } = target;
      if (say === "add" || "printed" in say) for (const line of told(statement)) io.log(line);
      const sidecars = sidecarsOf(options, target, signer);
      const { place } = await signTarget(target, signer);
      for (const path of sidecars()) io.log(`signature for other tools: ${path}`);
      io.log(`signed ${statement.name} until ${formatTime(statement.expires)}: ${place}`);
      io.print(statement.verityDigest);
    });
}

/** What others have written into a statement, for whoever signs it too. */
function told({ version, created, expires, profile, source }: Statement): string[] {
  const made = [profile, source?.digest].filter((each) => each !== undefined).join(" of ");
  return [
    `the statement says: version ${version}, from ${formatTime(created)} to ${formatTime(expires)}`,
    ...(made === "" ? [] : [`and how it was made: ${made}`]),
  ];
}
