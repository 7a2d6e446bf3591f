/**
 * What a signed statement says beside the image itself.
 *
 * @module
 */
import type { Command } from "commander";
import { readPolicyFile } from "../../policy/policy-files.ts";
import { type SettledValidity, settleValidity } from "../../sign/validity.ts";
import { verifyInForce } from "../../trust/policy-chain.ts";
import type { TrustPolicy } from "../../trust/policy.ts";

/** The values of {@link declareStatement}'s options. */
export interface StatementOptions {
  readonly created?: string;
  readonly expires?: string;
  readonly version?: string;
  readonly policy?: string;
}

/** Adds `--expires`, `--created`, `--version` and `--policy`. */
export function declareStatement(command: Command): Command {
  return command
    .optionsGroup("Statement:")
    .option("--expires <when>", "a date, or a time from creation such as 90d (default: 365d)")
    .option("--created <time>", "the time of creation (default: SOURCE_DATE_EPOCH, or now)")
    .option(
      "--version <n>",
      "grows with each signing of a name (default: seconds of creation, or one more than before)",
    )
    .option("--policy <file>", "the clients' trust policy: what it refuses is not signed");
}

/**
 * The policy of the clients, where it is given.
 *
 * @throws as `readPolicyFile` and `verifyInForce`
 */
export function clientPolicyOf({ policy }: StatementOptions, now: Date): TrustPolicy | undefined {
  if (policy === undefined) return undefined;
  const document = readPolicyFile(policy);
  verifyInForce(document, now, `policy ${policy}`);
  return document.policy;
}

/** @throws {@link UsageError} as {@link settleValidity} */
export function validityOf(
  { created, expires, version }: StatementOptions,
  now: Date,
): SettledValidity {
  const sourceDateEpoch = process.env["SOURCE_DATE_EPOCH"];
  return settleValidity({ created, expires, version, sourceDateEpoch }, now);
}
