/**
 * `sealfs policy`: trust policies.
 *
 * @module
 */
import type { Command } from "commander";
import { readPrivateKey } from "../../keys/key-files.ts";
import { replaceFile } from "../../fs/new-file.ts";
import { readPolicyFile } from "../../policy/policy-files.ts";
import {
  draftOf,
  withKey,
  withRevocation,
  withSettings,
  writePolicy,
} from "../../policy/policy-edit.ts";
import { policyLines, policyWarnings } from "../../policy/policy-report.ts";
import { updatePolicy } from "../../policy/policy-update.ts";
import { signPolicy, verifyInForce, verifySuccessor } from "../../trust/policy-chain.ts";
import type { PolicyContent } from "../../trust/policy.ts";
import type { Io } from "../terminal/io.ts";
import { passphraseFor } from "../terminal/passphrase.ts";
import {
  type GrantOptions,
  type InitOptions,
  type SettingOptions,
  declareSettings,
  firstPolicy,
  grantOf,
  revocationTarget,
  settingsOf,
} from "../options/policy-options.ts";

interface Sign {
  readonly key: string;
  readonly passphraseFile?: string;
  readonly output?: string;
}

const gather = (value: string, all: string[] = []) => [...all, value];

export function declare(command: Command, io: Io): void {
  const draft = (path: string, content: PolicyContent) => {
    const { version, name } = writePolicy(path, content).content;
    io.log(`${path}: ${name}, version ${version}, not signed`);
  };

  const init = command
    .command("init <file>")
    .description("make a policy")
    .requiredOption("--name <name>", "whose policy it is")
    .requiredOption("--key <file>", "a public key that signs images and policies", gather)
    .option("--names <pattern>", "names that the keys may sign (default: **)", gather)
    .action((file: string, options: InitOptions) => draft(file, firstPolicy(file, options)));
  declareSettings(init);

  command
    .command("add-key <file> <public-key>")
    .description("let another key sign")
    .option("--names <pattern>", "names that it may sign; may be repeated", gather, [])
    .option("--policy-key", "it signs policies too")
    .option("--not-before <time>", "its signatures count from then on")
    .option("--not-after <time>", "its signatures count until then")
    .option("--comment <text>", "whose key it is")
    .option("--next-version", "start the next version of a policy that is not signed")
    .action((file: string, key: string, options: GrantOptions) => {
      const content = draftOf(readPolicyFile(file), options.nextVersion);
      draft(file, withKey(content, grantOf(key, options)));
    });

  command
    .command("revoke <file> <what>")
    .description("revoke a key (id or public key file) or an image (either digest)")
    .option("--reason <text>", "why, for those who are refused", "")
    .option("--next-version", "start the next version of a policy that is not signed")
    .action((file: string, what: string, options: { reason: string; nextVersion?: true }) => {
      const content = draftOf(readPolicyFile(file), options.nextVersion);
      draft(file, withRevocation(content, revocationTarget(what), options.reason, new Date()));
    });

  const set = command
    .command("set <file>")
    .description("set thresholds, ages and epoch")
    .option("--next-version", "start the next version of a policy that is not signed")
    .action((file: string, options: SettingOptions) => {
      const content = draftOf(readPolicyFile(file), options.nextVersion);
      draft(file, withSettings(content, settingsOf(options)));
    });
  declareSettings(set).option("--epoch <n>", "a higher one makes clients forget versions seen");

  command
    .command("sign <file>")
    .description("sign a policy; others add their signatures in the same way")
    .requiredOption("--key <file>", "the private key (PKCS#8 PEM); - reads standard input")
    .option("--passphrase-file <file>", "passphrase of an encrypted key (default: asks)")
    .option("-o, --output <file>", "write there (default: in place)")
    .action((file: string, { key, passphraseFile, output = file }: Sign) => {
      const document = readPolicyFile(file);
      const privateKey = readPrivateKey(key, passphraseFor(key, passphraseFile));
      replaceFile(output, signPolicy(document, privateKey), 0o644);
      const { name, version } = document.content;
      io.log(`${output}: ${name}, version ${version}, signed by ${privateKey.publicKey.id}`);
    });

  command
    .command("show <file>")
    .description("print what a policy says")
    .option("--json", "print the policy itself, as one JSON document")
    .action((file: string, options: { json?: true }) => {
      const document = readPolicyFile(file);
      if (options.json) io.print(new TextDecoder().decode(document.payload).trimEnd());
      else for (const line of policyLines(document, new Date())) io.print(line);
    });

  command
    .command("check <file>")
    .description("check that a policy is in force, or that it may follow another")
    .option("--previous <file>", "the policy that it is to follow")
    .action((file: string, { previous }: { previous?: string }) => {
      const now = new Date();
      const document = readPolicyFile(file);
      if (previous !== undefined) verifySuccessor(readPolicyFile(previous), document, now, file);
      verifyInForce(document, now, file);
      for (const warning of policyWarnings(document, now)) io.log(`warning: ${warning}`);
      io.print(`${file}: ${document.content.name}, version ${document.content.version}, is good`);
    });

  command
    .command("update <file> <new...>")
    .description(
      "put a new policy in the old one's place, when enough keys of the old and of the new have signed it",
    )
    .action((file: string, successors: string[]) => {
      const { content } = updatePolicy(file, successors, new Date());
      io.log(`${file}: ${content.name}, version ${content.version}`);
    });
}
