/**
 * `sealfs sign`: signs an image under a name.
 *
 * @module
 */
import type { Command } from "commander";
import { readPrivateKey } from "../image/key-files.ts";
import { signTarget } from "../image/sign-target.ts";
import { settleValidity } from "../image/validity.ts";
import { formatTime } from "../trust/time.ts";
import type { Io } from "./io.ts";
import { passphraseFor } from "./passphrase.ts";

interface Options {
  key: string;
  name?: string;
  store?: string;
  output?: string;
  expires?: string;
  created?: string;
  version?: string;
  passphraseFile?: string;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "an image file, or with --store a name or id in the store")
    .requiredOption("--key <file>", "the private key (PKCS#8 PEM); - reads standard input")
    .option("--name <reference>", "the name that clients will ask for (default: that in the store)")
    .option("--store <dir>", "the store that has the image, and takes the bundle")
    .option(
      "-o, --output <file>",
      "write the bundle there (default: the store, or IMAGE.bundle.json)",
    )
    .option("--expires <when>", "a date, or a time from creation such as 90d (default: 365d)")
    .option("--created <time>", "the time of signing (default: SOURCE_DATE_EPOCH, or now)")
    .option("--version <n>", "grows with each signing of a name (default: seconds of creation)")
    .option("--passphrase-file <file>", "passphrase of an encrypted key (default: asks)")
    .action((target: string, options: Options) => {
      const { created, expires, version, name, store, output } = options;
      const sourceDateEpoch = process.env["SOURCE_DATE_EPOCH"];
      const validity = settleValidity({ created, expires, version, sourceDateEpoch }, new Date());
      const key = readPrivateKey(options.key, passphraseFor(options.key, options.passphraseFile));
      const signed = signTarget({ target, key, name, store, output, ...validity });
      const { statement } = signed;
      io.log(`signed ${statement.name} until ${formatTime(statement.expires)}: ${signed.place}`);
      io.print(statement.verityDigest);
    });
}
