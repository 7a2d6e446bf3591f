/**
 * `sealfs keygen`: makes an Ed25519 key pair.
 *
 * @module
 */
import type { Command } from "commander";
import { writeKeyPair } from "../image/keygen.ts";
import type { Io } from "./io.ts";

export function declare(command: Command, io: Io): void {
  command
    .description(
      "make an Ed25519 key pair: PREFIX.key (keep it, mode 0600) and PREFIX.pub (give it to clients)",
    )
    .option("-o, --output <prefix>", "write PREFIX.key and PREFIX.pub", "sealfs")
    .addHelpText(
      "after",
      `
The key id that is printed is the fingerprint that ssh-keygen -lf prints. Existing files are never
overwritten. To keep the private key encrypted:
  openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt -in PREFIX.key -out PREFIX.enc.key`,
    )
    .action((options: { output: string }) => {
      const { keyId, privatePath, publicPath } = writeKeyPair(options.output);
      io.log(`private key: ${privatePath}, public key: ${publicPath}`);
      io.print(keyId);
    });
}
