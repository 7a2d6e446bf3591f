/**
 * `sealfs digest`: prints the fs-verity digest of files.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { digestFile } from "../../inspect/digest-file.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";
import type { Io } from "../terminal/io.ts";

interface Options {
  algorithm: VerityAlgorithm;
  json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<file...>", "files to read; - is standard input")
    .addOption(
      new Option("--algorithm <name>", "the hash").choices(["sha256", "sha512"]).default("sha256"),
    )
    .option("--json", "print a JSON array")
    .action((files: string[], { algorithm, json }: Options) => {
      const rows = [];
      for (const path of files) {
        const digest = digestFile(path, algorithm);
        if (json) rows.push({ path, algorithm, digest });
        else io.print(`${digest}  ${path}`);
      }
      if (json) io.document(rows);
    });
}
