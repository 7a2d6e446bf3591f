/**
 * `sealfs pkcs7`: signatures that the Linux kernel and composefs's own tools check.
 *
 * @module
 */
import type { Command } from "commander";
import { readCertificate, signatureBeside } from "../../composefs/seal.ts";
import { draftAnnotations, familyDigest } from "../../composefs/marks.ts";
import { readSecretText } from "../../keys/key-files.ts";
import { openImage } from "../../verify/open-image.ts";
import { parseSigningKey, signPkcs7, verifyPkcs7 } from "../../composefs/pkcs7.ts";
import { readUserFile, writeUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";

interface Common {
  readonly store?: string[];
  readonly cert: string;
}

interface Sign extends Common {
  readonly key: string;
  readonly output?: string;
  readonly annotations?: true;
}

export function declare(command: Command, io: Io): void {
  addImageArgument(command.command("sign"))
    .description("sign an image's fs-verity digest with PKCS#7, as fsverity sign does")
    .requiredOption("--cert <file>", "the certificate (X.509, PEM)")
    .requiredOption("--key <file>", "its private key (RSA or EC, PEM)")
    .option("-o, --output <file>", "the file to write (default: IMAGE.p7s)")
    .option("--annotations", "print the two annotations of the composefs draft, as key=value")
    .action(async (image: string, options: Sign) => {
      const { store, cert, key, output = signatureBeside(image) } = options;
      const digest = familyDigest(await openImage(image, store));
      const signatory = readCertificate(cert);
      const privateKey = parseSigningKey(readSecretText(key), signatory, `private key ${key}`);
      const signature = signPkcs7(digest, signatory, privateKey);
      writeUserFile(output, signature);
      io.log(`signed: ${output}`);
      if (options.annotations === undefined) io.print(digest);
      else for (const pair of draftAnnotations(digest, signature)) io.print(pair.join("="));
    });

  addImageArgument(command.command("verify"))
    .description(
      "check such a PKCS#7 signature: it covers the image's bytes, but no name or version",
    )
    .requiredOption("--cert <file>", "the certificate to trust (X.509, PEM)")
    .option("--signature <file>", "the signature (default: IMAGE.p7s)")
    .action(async (image: string, options: Common & { signature?: string }) => {
      const { store, cert, signature = signatureBeside(image) } = options;
      const digest = familyDigest(await openImage(image, store));
      const file = readUserFile(signature, limits.keyBytes, `signature ${signature}`);
      verifyPkcs7(file, digest, readCertificate(cert));
      io.print(digest);
    });
}
