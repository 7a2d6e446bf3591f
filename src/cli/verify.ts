/**
 * `sealfs verify`: checks an image's signature and the image itself.
 *
 * @module
 */
import type { Command } from "commander";
import { openCurrent } from "../image/locate.ts";
import type { VerifiedImage } from "../image/verify.ts";
import { Stores } from "../store/stores.ts";
import { formatTime } from "../trust/time.ts";
import type { Io } from "./io.ts";
import { type TrustOptions, declareTrust, readTrust } from "./trust-options.ts";

interface Options extends TrustOptions {
  bundle?: string[];
  name?: string;
  store?: string[];
  json?: true;
}

export function declare(command: Command, io: Io): void {
  const collect = (value: string, all: string[] = []) => [...all, value];
  declareTrust(command)
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--name <reference>", "the name that must be signed (default: that in the store)")
    .option("--store <dir>", "a store that has the image; may be repeated", collect)
    .option("--bundle <file>", "a bundle (default: those in the store, IMAGE.bundle.json)", collect)
    .option("--json", "print one JSON document")
    .action(async (target: string, options: Options) => {
      const { name, bundle: bundles } = options;
      const now = new Date();
      const { trust, state } = readTrust(options, io, now);
      const stores = options.store && Stores.open(options.store);
      const demands = { trust, state, name, now };
      const verified = await openCurrent(target, { stores, bundles }, demands);
      if (options.json) io.print(JSON.stringify(asJson(verified)));
      else for (const line of lines(verified)) io.print(line);
      if (!verified.nameChecked) {
        io.log(`no name was asked for: whether it is the right image, the name above must tell`);
      } else if (verified.progress === "first" && state !== undefined) {
        io.log(`first use of this name here: older versions were not known, from now on they are`);
      }
      for (const hint of verified.unverified) io.log(`another signature was not checked: ${hint}`);
    });
}

function asJson(verified: VerifiedImage): object {
  const { created, expires, ...statement } = verified.statement;
  return {
    ...statement,
    created: formatTime(created),
    expires: formatTime(expires),
    keyIds: verified.keyIds,
    threshold: verified.threshold.needed,
    nameChecked: verified.nameChecked,
    progress: verified.progress,
  };
}

function lines(verified: VerifiedImage): string[] {
  const { statement, keyIds } = verified;
  const { count, bytes } = statement.objects;
  return [
    `verified    ${statement.name}`,
    `image       ${statement.verityDigest} (${statement.size} bytes)`,
    `sha256      ${statement.sha256}`,
    ...keyIds.map((id) => `signed by   ${id}`),
    `version     ${statement.version}`,
    `created     ${formatTime(statement.created)}`,
    `expires     ${formatTime(statement.expires)}`,
    ...(statement.profile === undefined ? [] : [`profile     ${statement.profile}`]),
    ...(statement.source === undefined ? [] : [`source      ${statement.source.digest}`]),
    `objects     ${count} (${bytes} bytes)`,
  ];
}
