/**
 * `sealfs keygen`: creates an Ed25519 key pair.
 *
 * @module
 */
import type { Command } from "commander";
import { writeKeyPair } from "../../keys/keygen.ts";
import { passphraseFile } from "../options/passphrase-option.ts";
import type { PassphraseSource } from "../../keys/passphrase-source.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";
import { newPassphrase } from "../terminal/passphrase.ts";

interface Options {
  readonly output: string;
  readonly encrypt?: true;
  readonly passphraseFile?: PassphraseSource;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Prints the key id, which is the fingerprint that ssh-keygen -lf prints. Existing files " +
      "are never overwritten.",
  )
    .description(
      "create an Ed25519 key pair: PREFIX.key (private, mode 0600) and PREFIX.pub (for clients)",
    )
    .option("-o, --output <prefix>", "write PREFIX.key and PREFIX.pub", "sealfs")
    .option("--encrypt", "encrypt the private key (scrypt, AES-256); asks for the passphrase twice")
    .addOption(passphraseFile("with --encrypt"))
    .action(async ({ output, encrypt, passphraseFile: source }: Options) => {
      const passphrase = encrypt ? await newPassphrase(`${output}.key`, source) : undefined;
      const { keyId, privatePath, publicPath } = writeKeyPair(output, passphrase);
      io.log(`private key: ${privatePath}, public key: ${publicPath}`);
      io.print(keyId);
    });
}
