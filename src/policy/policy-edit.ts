/**
 * Makes and changes policies. Each change returns a new content, and the file of it is parsed again
 * before it is written. A change to a signed policy starts the next version, which is unsigned.
 *
 * @module
 */
import { TrustError, UsageError } from "../errors.ts";
import { NamePattern } from "../trust/name-pattern.ts";
import { type PolicyDocument, readPolicy } from "../trust/policy-chain.ts";
import type { PolicyContent, PolicyKey } from "../trust/policy.ts";
import { formatPolicy } from "../trust/policy-file.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { writeUserFile } from "../fs/user-file.ts";

/** What a new key may do. */
export interface KeyGrant {
  readonly key: PublicKey;
  /** Patterns. */
  readonly names: readonly string[];
  readonly notBefore?: Date | undefined;
  readonly notAfter?: Date | undefined;
  readonly comment?: string | undefined;
  /** Whether it also signs policies. */
  readonly authority?: boolean | undefined;
}

/** Fields that are set as a whole; undefined ones stay as they are. */
export interface PolicySettings {
  readonly threshold?: number | undefined;
  /** Patterns and their thresholds; each replaces one with the same pattern. */
  readonly thresholds?: readonly { readonly names: string; readonly threshold: number }[];
  readonly policyThreshold?: number | undefined;
  readonly epoch?: number | undefined;
  readonly maxAge?: number | undefined;
  readonly maxValidity?: number | undefined;
  readonly expires?: Date | undefined;
}

/**
 * The first version of a policy. Every key given signs policies too, unless its grant says
 * otherwise.
 */
export function newPolicy(
  name: string,
  grants: readonly KeyGrant[],
  settings: PolicySettings,
): PolicyContent {
  const ids = grants.filter(({ authority }) => authority !== false).map(({ key }) => key.id);
  const content: PolicyContent = {
    comment: undefined,
    name,
    version: 1,
    expires: undefined,
    epoch: 0,
    threshold: 1,
    thresholds: [],
    keys: grants.map(entryOf),
    authority: { keyIds: ids, threshold: 1 },
    revoked: [],
    maxAge: undefined,
    maxValidity: undefined,
  };
  return withSettings(content, settings);
}

/**
 * What a change starts from: the next version of a signed policy, or a draft itself, unless `next`
 * asks for its next version.
 */
export function draftOf({ content, envelope }: PolicyDocument, next = false): PolicyContent {
  return envelope === undefined && !next ? content : { ...content, version: content.version + 1 };
}

/** @throws {@link UsageError} when the key is there already */
export function withKey(content: PolicyContent, grant: KeyGrant): PolicyContent {
  if (content.keys.some(({ key }) => key.id === grant.key.id)) {
    throw new UsageError("USAGE", `key ${grant.key.id}: is in the policy already`);
  }
  const { authority } = content;
  const keyIds = grant.authority === true ? [...authority.keyIds, grant.key.id] : authority.keyIds;
  const keys = [...content.keys, entryOf(grant)];
  return { ...content, keys, authority: { ...authority, keyIds } };
}

/**
 * Revokes a key (by its id) or an image (by its SHA-256 or fs-verity digest). A revoked key no
 * longer signs policies.
 *
 * @throws {@link UsageError} when it is revoked already, or when too few keys would be left to sign
 *   policies
 */
export function withRevocation(
  content: PolicyContent,
  what: string,
  reason: string,
  since: Date,
): PolicyContent {
  if (content.revoked.some((entry) => entry.what === what)) {
    throw new UsageError("USAGE", `${what}: is revoked already`);
  }
  const { threshold } = content.authority;
  const keyIds = content.authority.keyIds.filter((id) => id !== what);
  if (keyIds.length < threshold) {
    throw new UsageError(
      "USAGE",
      `${what}: without it too few keys could sign policies: ${keyIds.length}, and ${threshold} needed`,
      { hint: "add another first: sealfs policy add-key FILE KEY --policy-key" },
    );
  }
  const revoked = [...content.revoked, { what, reason, since }];
  return { ...content, revoked, authority: { keyIds, threshold } };
}

/**
 * Sets what is given.
 *
 * @throws {@link TrustError} `BAD_POLICY` for more keys than the policy has
 */
export function withSettings(content: PolicyContent, settings: PolicySettings): PolicyContent {
  const { threshold: each, thresholds: rules = [], policyThreshold } = settings;
  requireKeys("--threshold", each, content.keys.length);
  for (const rule of rules)
    requireKeys(`--rule ${rule.names}`, rule.threshold, content.keys.length);
  requireKeys("--policy-threshold", policyThreshold, content.authority.keyIds.length);
  const thresholds = new Map(content.thresholds.map((entry) => [entry.names.text, entry]));
  for (const { names, threshold } of settings.thresholds ?? []) {
    thresholds.set(names, { names: new NamePattern(names), threshold });
  }
  const { keyIds, threshold } = content.authority;
  return {
    ...content,
    threshold: settings.threshold ?? content.threshold,
    thresholds: [...thresholds.values()],
    authority: { keyIds, threshold: settings.policyThreshold ?? threshold },
    epoch: settings.epoch ?? content.epoch,
    maxAge: settings.maxAge ?? content.maxAge,
    maxValidity: settings.maxValidity ?? content.maxValidity,
    expires: settings.expires ?? content.expires,
  };
}

function requireKeys(what: string, needed: number | undefined, has: number): void {
  if (needed === undefined || needed <= has) return;
  const keys = has === 1 ? "1 key" : `${has} keys`;
  throw new TrustError("BAD_POLICY", `${what}: ${needed} of ${keys} can never be met`, {
    hint:
      "give more keys to policy init with --key, or add them with policy add-key (and --policy-key " +
      "where they are to sign policies) before policy set",
  });
}

/**
 * Writes the draft of a policy.
 *
 * @throws {@link TrustError} `BAD_POLICY` when clients would refuse it
 */
export function writePolicy(path: string, content: PolicyContent): PolicyDocument {
  const bytes = formatPolicy(content);
  const document = readPolicy(bytes);
  writeUserFile(path, bytes);
  return document;
}

function entryOf({ key, names, notBefore, notAfter, comment }: KeyGrant): PolicyKey {
  const patterns = names.map((text) => new NamePattern(text));
  return { key, names: patterns, notBefore, notAfter, comment };
}
