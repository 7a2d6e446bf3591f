/**
 * `sealfs keygen`: creates an Ed25519 key pair.
 *
 * @module
 */
import type { Command } from "commander";
import { writeKeyPair } from "../../keys/keygen.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";
import { newPassphrase } from "../terminal/passphrase.ts";

interface Options {
  readonly output: string;
  readonly encrypt?: true;
  readonly passphraseFile?: string;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Prints the key id, which is the fingerprint that ssh-keygen -lf prints. Existing files " +
      "are never overwritten. A passphrase can also come through a descriptor: " +
      "--passphrase-file /dev/fd/3.",
  )
    .description(
      "create an Ed25519 key pair: PREFIX.key (private, mode 0600) and PREFIX.pub (for clients)",
    )
    .option("-o, --output <prefix>", "write PREFIX.key and PREFIX.pub", "sealfs")
    .option("--encrypt", "encrypt the private key (scrypt, AES-256); asks for the passphrase twice")
    .option("--passphrase-file <file>", "with --encrypt: a file whose first line is the passphrase")
    .action(({ output, encrypt, passphraseFile }: Options) => {
      const passphrase = encrypt ? newPassphrase(`${output}.key`, passphraseFile) : undefined;
      const { keyId, privatePath, publicPath } = writeKeyPair(output, passphrase);
      io.log(`private key: ${privatePath}, public key: ${publicPath}`);
      io.print(keyId);
    });
}
