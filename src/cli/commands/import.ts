/**
 * `sealfs import`: reads what `sealfs export` wrote into a store.
 *
 * @module
 */
import { createReadStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import { type Readable, addAbortSignal } from "node:stream";
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { importImage } from "../../archive/import.ts";
import { openUserFile } from "../../fs/user-file.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { type WriteOptions, declareWriting } from "../options/write-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, WriteOptions {
  readonly store: string;
  readonly name?: string;
  readonly unverified?: true;
  readonly json?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("[archive]", "the file to read; - is standard input", "-")
    .requiredOption("--store <dir>", "the store to import into; created when missing")
    .option("--name <reference>", "the name that must be signed (default: that in the archive)")
    .option("--unverified", "import the image without checking a signature")
    .option("--json", "print one JSON document")
    .action(async (archive: string, options: Options) => {
      const { store, name, json, durability, minFree } = options;
      const trust = options.unverified ? refuseKeys(options) : readTrust(options, io);
      const progress = io.progress("importing");
      const imported = await interruptible("import", (signal) =>
        importImage(store, addAbortSignal(signal, input(archive)), {
          trust,
          name,
          now: trust?.now ?? new Date(),
          durability,
          minFree,
          foreignStore: options.foreignStore,
          onProgress: (bytes) => progress.update(bytes),
        }),
      ).finally(() => progress.end());
      const { verified, ...result } = imported;
      if (json) io.document({ ...result, keyIds: verified?.keyIds ?? [] });
      else io.print(imported.id);
      const { added, addedBytes } = imported;
      io.log(
        `imported ${imported.name ?? "an image without a name"}: ` +
          `${counted(added, "new object")}, ${formatBytes(addedBytes)}`,
      );
      if (verified === undefined) io.log("warning: its signature was not checked");
    });
  declareTrust(command);
  declareWriting(command);
}

function refuseKeys({ key, keys, policy }: Options): undefined {
  if ([key, keys, policy].every((given) => given === undefined)) return undefined;
  throw new UsageError("USAGE", "--unverified: expected no --key, --keys or --policy beside it");
}

function input(archive: string): Readable {
  if (archive === "-") return process.stdin;
  const fd = openUserFile(archive, `archive ${archive}`);
  // A read of a pipe is not to be waited for after a signal.
  if (fstatSync(fd).isFIFO()) return new Socket({ fd, readable: true, writable: false });
  return createReadStream("", { fd, highWaterMark: 1024 * 1024 });
}
