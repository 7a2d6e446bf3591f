/**
 * `sealfs policy`: trust policies.
 *
 * @module
 */
import type { Command } from "commander";
import { writeUserFile } from "../../fs/user-file.ts";
import { readPolicyFile } from "../../policy/policy-files.ts";
import {
  draftOf,
  withKey,
  withRevocation,
  withSettings,
  writePolicy,
} from "../../policy/policy-edit.ts";
import { expiryWarnings, policyWarnings } from "../../policy/policy-warnings.ts";
import { updatePolicy } from "../../policy/policy-update.ts";
import { formatEnvelope } from "../../trust/bundle.ts";
import {
  readPolicy,
  signPolicy,
  verifyInForce,
  verifySuccessor,
} from "../../trust/policy-chain.ts";
import type { PolicyContent } from "../../trust/policy.ts";
import { policyLines } from "../print/policy.ts";
import type { Io } from "../terminal/io.ts";
import { repeated } from "../options/repeated.ts";
import { passphraseFile } from "../options/passphrase-option.ts";
import type { PassphraseSource } from "../../keys/passphrase-source.ts";
import { readPrivateKeys } from "../options/sign-options.ts";
import {
  type GrantOptions,
  type InitOptions,
  type RevokeOptions,
  type SettingOptions,
  declareGrant,
  declareInit,
  declareNextVersion,
  declareSettings,
  firstPolicy,
  grantOf,
  revocationTarget,
  settingsOf,
} from "../options/policy-options.ts";

interface SignOptions {
  readonly key: string[];
  readonly passphraseFile?: PassphraseSource;
  readonly output?: string;
}

/** Writes a policy that is not signed yet. */
function draft(path: string, content: PolicyContent, io: Io): void {
  const { version, name } = writePolicy(path, content).content;
  for (const warning of expiryWarnings(content, new Date())) io.log(`warning: ${warning}`);
  io.log(`${path}: ${name}, version ${version}, not signed`);
}

/** Adds one subcommand for each step in the life of a policy. */
export function declare(command: Command, io: Io): void {
  declareEditing(command, io);
  declareSigning(command, io);
  declareReading(command, io);
}

function declareEditing(command: Command, io: Io): void {
  declareInit(command.command("init"))
    .description("create a policy")
    .argument("<file>", "the policy to create")
    .action((file: string, options: InitOptions) => draft(file, firstPolicy(file, options), io));

  declareGrant(command.command("add-key"))
    .description("allow another key to sign")
    .argument("<file>", "the policy to change")
    .argument("<public-key>", "the key's file")
    .action((file: string, key: string, options: GrantOptions) => {
      const content = draftOf(readPolicyFile(file), options.nextVersion);
      draft(file, withKey(content, grantOf(key, options)), io);
    });

  declareNextVersion(command.command("revoke"))
    .description("revoke a key or an image")
    .argument("<file>", "the policy to change")
    .argument("<what>", "a key's id or public key file, or an image's digest (either of the two)")
    .option("--reason <text>", "why; printed when something is refused")
    .action((file: string, what: string, { reason = "", nextVersion }: RevokeOptions) => {
      const content = draftOf(readPolicyFile(file), nextVersion);
      draft(file, withRevocation(content, revocationTarget(what), reason, new Date()), io);
    });

  declareSettings(declareNextVersion(command.command("set")))
    .description("set thresholds, ages and the epoch")
    .argument("<file>", "the policy to change")
    .option("--epoch <n>", "a higher one makes clients forget the versions that they remember")
    .action((file: string, options: SettingOptions) => {
      const content = draftOf(readPolicyFile(file), options.nextVersion);
      draft(file, withSettings(content, settingsOf(options)), io);
    });
}

function declareSigning(command: Command, io: Io): void {
  command
    .command("sign")
    .description("sign a policy; others add their signatures the same way")
    .argument("<file>", "the policy to sign")
    .addOption(
      repeated(
        "--key <file>",
        "the private key (PKCS#8 PEM); - reads standard input; may be repeated: each signs",
      ).makeOptionMandatory(),
    )
    .addOption(passphraseFile("the passphrase of an encrypted key"))
    .option("-o, --output <file>", "write the signed policy there (default: in place)")
    .action(async (file: string, options: SignOptions) => {
      const { key, passphraseFile: passphrase, output = file } = options;
      let document = readPolicyFile(file);
      const keys = await readPrivateKeys(key, passphrase, (message) => io.log(message));
      for (const each of keys) document = readPolicy(signPolicy(document, each), `policy ${file}`);
      writeUserFile(output, formatEnvelope(document.envelope!));
      const { name, version, authority } = document.content;
      for (const { id } of keys.map(({ publicKey }) => publicKey)) {
        if (authority.keyIds.includes(id)) continue;
        io.log(
          `warning: ${id} is no policy key of this version: it counts for the one before only`,
        );
      }
      for (const warning of expiryWarnings(document.content, new Date())) {
        io.log(`warning: ${warning}`);
      }
      const by = keys.map(({ publicKey }) => publicKey.id).join(", ");
      io.log(`${output}: ${name}, version ${version}, signed by ${by}`);
    });

  command
    .command("update")
    .description("replace a policy by its successors, once enough keys of both have signed each")
    .argument("<file>", "the policy to replace")
    .argument("<new...>", "its successors, in order")
    .action((file: string, successors: string[]) => {
      const { content } = updatePolicy(file, successors, new Date());
      io.log(`${file}: ${content.name}, version ${content.version}`);
    });
}

function declareReading(command: Command, io: Io): void {
  command
    .command("show")
    .description("print what a policy says")
    .argument("<file>", "the policy to print")
    .option("--json", "print the policy itself, as one JSON document")
    .action((file: string, options: { json?: true }) => {
      const document = readPolicyFile(file);
      if (options.json) io.print(new TextDecoder().decode(document.payload).trimEnd());
      else for (const line of policyLines(document, new Date())) io.print(line);
    });

  command
    .command("check")
    .description("check that a policy is in force, or that it may follow another one")
    .argument("<file>", "the policy to check")
    .option("--previous <file>", "the policy that it is to follow")
    .action((file: string, { previous }: { previous?: string }) => {
      const now = new Date();
      const document = readPolicyFile(file);
      if (previous !== undefined) verifySuccessor(readPolicyFile(previous), document, now, file);
      verifyInForce(document, now, file);
      for (const warning of policyWarnings(document, now)) io.log(`warning: ${warning}`);
      io.print(`${file}: ${document.content.name}, version ${document.content.version}, is good`);
    });
}
