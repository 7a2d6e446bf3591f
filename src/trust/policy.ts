/**
 * The trust policy: which keys may sign which names, when, how many of them it takes, what is
 * revoked, and how old a statement may be.
 *
 * Spec: docs/policy.md, "Policy file".
 *
 * @module
 */
import type { Keyring } from "./keyring.ts";
import type { NamePattern } from "./name-pattern.ts";
import type { PublicKey } from "./public-key.ts";
import type { Statement } from "./statement.ts";

/** A key, and what it may do. */
export interface PolicyKey {
  readonly key: PublicKey;
  /** Names that it may sign; none for a key that only signs policies. */
  readonly names: readonly NamePattern[];
  /** When its signatures begin to count; undefined for always. */
  readonly notBefore: Date | undefined;
  /** When they stop counting; undefined for never. */
  readonly notAfter: Date | undefined;
  /** For people. */
  readonly comment: string | undefined;
}

/** How many keys at least have to sign the names that match. */
export interface NameThreshold {
  readonly names: NamePattern;
  readonly threshold: number;
}

/** A key or an image that is no longer trusted. */
export interface Revocation {
  /** The id of a key, or the SHA-256 or fs-verity digest of an image in lower-case hex. */
  readonly what: string;
  readonly reason: string;
  /** For people: a revocation holds for everything, whenever it was signed. */
  readonly since: Date | undefined;
}

/** The keys that sign the next policy, and how many of them it takes. */
export interface Authority {
  /** Ids of keys of the policy, at least `threshold`. */
  readonly keyIds: readonly string[];
  readonly threshold: number;
}

/** What a policy says. */
export interface PolicyContent {
  /** For people. */
  readonly comment: string | undefined;
  /** Whose policy it is: versions are compared, and images remembered, under this name. */
  readonly name: string;
  /** Grows by one from one policy to the next. */
  readonly version: number;
  /** When it expires; undefined for never. */
  readonly expires: Date | undefined;
  /** A higher one makes clients forget the versions that they have seen. */
  readonly epoch: number;
  /** How many distinct keys every name needs, at least 1. */
  readonly threshold: number;
  /** Names that need more keys; of several thresholds that match, the highest counts. */
  readonly thresholds: readonly NameThreshold[];
  readonly keys: readonly PolicyKey[];
  readonly authority: Authority;
  readonly revoked: readonly Revocation[];
  /** Seconds since creation after which a statement is too old, whatever its expiry. */
  readonly maxAge: number | undefined;
  /** The longest validity of a statement: seconds from creation to expiry. */
  readonly maxValidity: number | undefined;
}

/** Whether a key's signatures count at this time. */
export type Standing = "good" | "revoked" | "not yet valid" | "no longer valid";

/** A service that lists the current statements about a name, such as a TUF repository. */
export interface Listing {
  /** For messages. */
  readonly text: string;
  /** The bundle and envelope files of a name; at least one. */
  bundlesOf(name: string): Promise<readonly Uint8Array[]>;
}

/** A policy that is in force. */
export class TrustPolicy {
  /** Undefined for plain keys without a policy file: each may sign every name, alone. */
  readonly content: PolicyContent | undefined;
  readonly keyring: Keyring;
  /** Only bundles that it lists count; undefined for bundles from anywhere. */
  readonly listing: Listing | undefined;
  /** Whether the time is only known to be at least what the clock says. */
  readonly isTimeLowerBound: boolean;
  readonly #byId: ReadonlyMap<string, PolicyKey>;
  readonly #revoked: ReadonlyMap<string, Revocation>;

  private constructor(
    keyring: Keyring,
    content: PolicyContent | undefined,
    listing: Listing | undefined,
    isTimeLowerBound = false,
  ) {
    this.isTimeLowerBound = isTimeLowerBound;
    this.keyring = keyring;
    this.content = content;
    this.listing = listing;
    this.#byId = new Map(content?.keys.map((entry) => [entry.key.id, entry]));
    this.#revoked = new Map(content?.revoked.map((entry) => [entry.what, entry]));
  }

  /** Plain trust in keys. */
  static ofKeyring(keyring: Keyring): TrustPolicy {
    return new TrustPolicy(keyring, undefined, undefined);
  }

  /** `keyring` holds the keys of `content`; the reader of the file has checked everything. */
  static of(content: PolicyContent, keyring: Keyring): TrustPolicy {
    return new TrustPolicy(keyring, content, undefined);
  }

  /** The same policy, with another listing or, once its bundles were fetched, without. */
  withListing(listing: Listing | undefined): TrustPolicy {
    return new TrustPolicy(this.keyring, this.content, listing, this.isTimeLowerBound);
  }

  /** The same policy for a client that knows only that it is not earlier than it says. */
  withTimeLowerBound(): TrustPolicy {
    return new TrustPolicy(this.keyring, this.content, this.listing, true);
  }

  /** Whether the signatures of a key of the keyring count now. */
  standing(keyId: string, now: Date): Standing {
    if (this.#revoked.has(keyId)) return "revoked";
    const entry = this.#byId.get(keyId);
    if (entry?.notBefore !== undefined && !(now >= entry.notBefore)) return "not yet valid";
    if (entry?.notAfter !== undefined && !(now < entry.notAfter)) return "no longer valid";
    return "good";
  }

  /** Whether a key of the keyring may sign this name. */
  maySign(keyId: string, name: string): boolean {
    if (this.content === undefined) return true;
    return this.#byId.get(keyId)?.names.some((pattern) => pattern.matches(name)) === true;
  }

  /** The patterns by which a key may sign this name, for people. */
  patternsFor(keyId: string, name: string): readonly string[] {
    const patterns = this.#byId.get(keyId)?.names ?? [];
    return patterns.filter((pattern) => pattern.matches(name)).map(({ text }) => text);
  }

  /** How many keys have to sign this name, and the pattern that demands it, if any. */
  thresholdFor(name: string): { readonly needed: number; readonly pattern: string | undefined } {
    let needed = this.content?.threshold ?? 1;
    let pattern: string | undefined;
    for (const { names, threshold } of this.content?.thresholds ?? []) {
      if (threshold <= needed || !names.matches(name)) continue;
      needed = threshold;
      pattern = names.text;
    }
    return { needed, pattern };
  }

  /** The revocation of this image, or of the key with this id; undefined when there is none. */
  revocationOf(what: Pick<Statement, "sha256" | "verityDigest"> | string): Revocation | undefined {
    if (typeof what === "string") return this.#revoked.get(what);
    return this.#revoked.get(what.verityDigest) ?? this.#revoked.get(what.sha256);
  }
}

/** Keys alone, or a policy about them. */
export type Trust = Keyring | TrustPolicy;

/** `trust` as a policy: with plain keys, each may sign every name. */
export function policyOf(trust: Trust): TrustPolicy {
  return trust instanceof TrustPolicy ? trust : TrustPolicy.ofKeyring(trust);
}
