/**
 * The options of `sealfs policy`, and what they mean for a policy.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { readPublicKey } from "../../keys/key-files.ts";
import { type KeyGrant, type PolicySettings, newPolicy } from "../../policy/policy-edit.ts";
import { fromSeconds, pointInTime, wholeNumber } from "../../sign/validity.ts";
import { DURATION_FORMS, parseWrittenDuration } from "../../trust/duration.ts";
import type { PolicyContent } from "../../trust/policy.ts";
import { repeated } from "./repeated.ts";

/** The options of {@link declareSettings}. */
export interface SettingOptions {
  readonly threshold?: string;
  readonly rule?: string[];
  readonly policyThreshold?: string;
  readonly maxAge?: string;
  readonly maxValidity?: string;
  readonly expires?: string;
  readonly epoch?: string;
  readonly nextVersion?: true;
}

/** The options of {@link declareInit}. */
export interface InitOptions extends SettingOptions {
  readonly name: string;
  readonly key: string[];
  readonly names?: string[];
}

/** The options of {@link declareGrant}. */
export interface GrantOptions {
  readonly names?: string[];
  readonly policyKey?: true;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly comment?: string;
  readonly nextVersion?: true;
}

/** The options of `sealfs policy revoke`. */
export interface RevokeOptions {
  readonly reason?: string;
  readonly nextVersion?: true;
}

/** Adds the options of a first version. */
export function declareInit(command: Command): Command {
  const key = repeated(
    "--key <file>",
    "a public key that may sign images and policies; may be repeated",
  );
  command
    .requiredOption("--name <name>", "a name for the policy")
    .addOption(key.makeOptionMandatory())
    .addOption(
      repeated(
        "--names <pattern>",
        "names that the keys may sign; may be repeated (default: **, every name)",
      ),
    );
  return declareSettings(command);
}

/** Adds the options that say what a key may sign, and when. */
export function declareGrant(command: Command): Command {
  command
    .addOption(repeated("--names <pattern>", "names that it may sign; may be repeated"))
    .option("--policy-key", "it may sign policies as well")
    .option("--not-before <when>", "a date, or a time from now: its signatures count from then on")
    .option("--not-after <when>", "a date, or a time from now such as 365d: they count until then")
    .option("--comment <text>", "a comment, such as who holds the key");
  return declareNextVersion(command);
}

/** Adds the option that all changes have. */
export function declareNextVersion(command: Command): Command {
  return command.option(
    "--next-version",
    "increase the version, also where the policy is not signed",
  );
}

/** Adds the options that set fields of a policy. */
export function declareSettings(command: Command): Command {
  return command
    .option("--threshold <n>", "how many keys must sign each name (default of a new policy: 1)")
    .addOption(
      repeated(
        "--rule <pattern=n>",
        "how many keys must sign names that match, such as 'prod/**=2'; may be repeated",
      ),
    )
    .option("--policy-threshold <n>", "how many keys must sign the next version of the policy")
    .option("--max-age <time>", "refuse statements created longer ago, such as 90d")
    .option("--max-validity <time>", "refuse statements that are valid for longer, such as 1y")
    .option("--expires <when>", "when the policy expires: a date, or a time from now such as 365d");
}

export function settingsOf(options: SettingOptions): PolicySettings {
  const { threshold, rule = [], policyThreshold, epoch } = options;
  return {
    threshold: threshold === undefined ? undefined : keyCount(threshold, "--threshold"),
    thresholds: rule.map(ruleOf),
    policyThreshold:
      policyThreshold === undefined ? undefined : keyCount(policyThreshold, "--policy-threshold"),
    epoch: epoch === undefined ? undefined : wholeNumber(epoch, "--epoch"),
    maxAge: duration(options.maxAge, "--max-age"),
    maxValidity: duration(options.maxValidity, "--max-validity"),
    expires: time(options.expires, "--expires"),
  };
}

/** @throws {@link UsageError} when the file exists */
export function firstPolicy(file: string, options: InitOptions): PolicyContent {
  if (existsSync(file)) {
    throw new UsageError("USAGE", `${file}: expected a new file, and this one exists`);
  }
  const names = options.names ?? ["**"];
  const keys = options.key.map((path) => readPublicKey(path));
  // One that is given twice counts once.
  const grants = [...new Map(keys.map((key) => [key.id, { key, names }])).values()];
  return newPolicy(options.name, grants, settingsOf(options));
}

export function grantOf(path: string, options: GrantOptions): KeyGrant {
  const { names = [], comment } = options;
  if (names.length === 0 && options.policyKey === undefined) {
    throw new UsageError(
      "USAGE",
      "--names: expected something that the key may sign, got nothing",
      {
        hint: "give the names that it may sign, or --policy-key when it signs policies",
      },
    );
  }
  return {
    key: readPublicKey(path),
    names,
    comment,
    notBefore: time(options.notBefore, "--not-before"),
    notAfter: time(options.notAfter, "--not-after"),
    authority: options.policyKey ?? false,
  };
}

/** An id or a digest as it is; of a key file the key's id. */
export function revocationTarget(what: string): string {
  if (/^(?:SHA256:[A-Za-z0-9+/]{43}|[0-9a-f]{64}|[0-9a-f]{128})$/.test(what)) return what;
  if (existsSync(what)) return readPublicKey(what).id;
  throw new UsageError("USAGE", `${what}: expected a key id, a public key file or a digest`);
}

function ruleOf(text: string): { names: string; threshold: number } {
  const at = text.lastIndexOf("=");
  if (at < 1) {
    throw new UsageError("USAGE", `--rule: expected PATTERN=N, got ${JSON.stringify(text)}`);
  }
  return { names: text.slice(0, at), threshold: keyCount(text.slice(at + 1), `--rule ${text}`) };
}

function keyCount(text: string, what: string): number {
  const count = wholeNumber(text, what);
  if (count >= 1) return count;
  throw new UsageError("USAGE", `${what}: expected at least 1 key, got 0`);
}

function duration(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  const seconds = parseWrittenDuration(text);
  if (seconds !== undefined) return seconds;
  throw new UsageError(
    "USAGE",
    `${what}: expected a length of time such as ${DURATION_FORMS}, got ${JSON.stringify(text)}`,
  );
}

/** A point in time, or a length of time from now. */
function time(text: string | undefined, what: string): Date | undefined {
  if (text === undefined) return undefined;
  const seconds = parseWrittenDuration(text);
  if (seconds === undefined) return pointInTime(text, what);
  return fromSeconds(Math.floor(Date.now() / 1000) + seconds);
}
