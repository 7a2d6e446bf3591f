/**
 * Options of commands that sign names anew for images that a store has: `tag` and `rollback`.
 *
 * @module
 */
import type { Command } from "commander";
import { readPublicKey } from "../../keys/key-files.ts";
import type { Signer } from "../../keys/signer.ts";
import { signTargets } from "../../sign/sign-target.ts";
import type { NameRequest } from "../../sign/signed-names.ts";
import type { PreparedTarget } from "../../sign/target.ts";
import { formatPlatform } from "../../platform/platform.ts";
import { Store } from "../../store/store.ts";
import { shortDigest } from "../../verity/verity-digest.ts";
import { formatTime } from "../../trust/time.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { foreignStore } from "./foreign-store.ts";
import { type PlatformOption, platformOption } from "./platform-option.ts";
import { repeated } from "./repeated.ts";
import { type SignOptions, declareKeys, signersOf } from "./sign-options.ts";
import { clientPolicyOf, declareStatement, validityOf } from "./statement-options.ts";

/** The values of {@link declareSignedName}'s options. */
export type SignedNameOptions = Omit<SignOptions, "store"> &
  PlatformOption & { readonly store: string; readonly signedBy?: string[]; readonly json?: true };

/** Adds the store, keys, statement, `--platform` and `--json`. */
export function declareSignedName(command: Command): Command {
  command
    .requiredOption("--store <dir>", "the store with the image")
    .addOption(foreignStore())
    .addOption(platformOption("only the image for this platform (default: of all that it has)"))
    .option("--json", "print one JSON document");
  declareKeys(command).addOption(
    repeated(
      "--signed-by <file>",
      "another public key by which the image may have been signed; may be repeated",
    ),
  );
  return declareStatement(command);
}

/** The request that the options make, and the keys. */
export async function signedNameRequest(
  options: SignedNameOptions,
  now: Date,
  io: Io,
): Promise<{ request: NameRequest; signers: readonly Signer[] }> {
  const { platform, foreignStore: foreignOwner, signedBy = [] } = options;
  const validity = validityOf(options, now);
  const policy = clientPolicyOf(options, now);
  const signers = await signersOf(options, (message) => io.log(message));
  const request = {
    store: Store.open(options.store, { foreignOwner }),
    foreignStore: foreignOwner,
    platform,
    validity,
    by: signers.map(({ publicKey }) => publicKey),
    signedBy: signedBy.map((file) => readPublicKey(file)),
    policy,
  };
  return { request, signers };
}

/** Signs the targets, and tells of each; with `--json`, in one document. */
export async function signAndReport(
  targets: readonly PreparedTarget[],
  signers: readonly Signer[],
  { json }: Pick<SignedNameOptions, "json">,
  io: Io,
): Promise<void> {
  const signed = await interruptible("sign", (signal) => signTargets(targets, signers, signal));
  const images = signed.map(({ replaced, warnings }, i) => {
    const { statement, warnings: earlier } = targets[i]!;
    for (const warning of [...earlier, ...warnings]) io.log(`warning: ${warning}`);
    const { name, platform, version, created, expires, verityDigest: id } = statement;
    return {
      name,
      platform: platform && formatPlatform(platform),
      version,
      created: formatTime(created),
      expires: formatTime(expires),
      id,
      replaced,
      keyIds: signers.map(({ publicKey }) => publicKey.id),
    };
  });
  if (json) {
    io.document({ images }, 2);
    return;
  }
  for (const { name, platform, version, expires, id, replaced } of images) {
    const what = platform === undefined ? name : `${name} for ${platform}`;
    const before = replaced === undefined ? "" : `, in place of ${shortDigest(replaced)}`;
    io.log(`signed ${what} as version ${version} until ${expires}${before}`);
    io.print(images.length === 1 ? id : `${id}  ${platform ?? "-"}`);
  }
}
