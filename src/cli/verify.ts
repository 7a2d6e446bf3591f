/**
 * `sealfs verify`: checks an image's signature and the image itself.
 *
 * @module
 */
import type { Command } from "commander";
import { keyringWarning, readKeyring } from "../image/key-files.ts";
import { openVerified } from "../image/locate.ts";
import type { VerifiedImage } from "../image/verify.ts";
import { Stores } from "../store/stores.ts";
import { formatTime } from "../trust/time.ts";
import type { Io } from "./io.ts";

interface Options {
  key: string[];
  keys: string[];
  bundle?: string[];
  name?: string;
  store?: string[];
  json?: true;
}

export function declare(command: Command, io: Io): void {
  const collect = (value: string, all: string[] = []) => [...all, value];
  command
    .argument("<image>", "an image file, or with --store a name or id in a store")
    .option("--key <file>", "a public key to trust; may be repeated", collect, [])
    .option("--keys <dir>", "a folder of public keys to trust (*.pem, *.pub)", collect, [])
    .option("--name <reference>", "the name that must be signed (default: that in the store)")
    .option("--store <dir>", "a store that has the image; may be repeated", collect)
    .option("--bundle <file>", "a bundle (default: those in the store, IMAGE.bundle.json)", collect)
    .option("--json", "print one JSON document")
    .action((target: string, options: Options) => {
      const { name, bundle: bundles } = options;
      const keyring = readKeyring(options.key, options.keys);
      const warning = keyringWarning(keyring);
      if (warning !== undefined) io.log(warning);
      const stores = options.store && Stores.open(options.store);
      const now = new Date();
      const verified = openVerified(target, { stores, bundles }, { keyring, name, now });
      if (options.json) io.print(JSON.stringify(asJson(verified)));
      else for (const line of lines(verified)) io.print(line);
      if (!verified.nameChecked) {
        io.log(`no name was asked for: whether it is the right image, the name above must tell`);
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
    nameChecked: verified.nameChecked,
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
