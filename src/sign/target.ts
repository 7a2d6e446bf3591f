/**
 * A bootstrap that is to be signed: what is asked for, what was settled, and what came of it.
 *
 * @module
 */
import type { Store } from "../store/store.ts";
import type { EnvelopeSignature } from "../trust/dsse.ts";
import type { Platform } from "../platform/platform.ts";
import type { TrustPolicy } from "../trust/policy.ts";
import type { PublicKey } from "../trust/public-key.ts";
import type { Predicate } from "../trust/statement.ts";
import type { LocatedImage } from "../verify/locate.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { PreparedStatement } from "./sign-image.ts";
import type { SettledValidity } from "./validity.ts";

/** What to sign, and where the bundle goes. */
export interface TargetRequest {
  /** A file, or a name or id in the store. */
  readonly target: string;
  /** The name to sign; by default the one in the store. */
  readonly name?: string | undefined;
  /**
   * Which image of that name, and what the statement says that it runs on; by default this machine's,
   * and what the keys have signed before.
   */
  readonly platform?: Platform | undefined;
  readonly store?: string | undefined;
  /** As `foreignOwner` of {@link Store.open}. */
  readonly foreignStore?: boolean | undefined;
  /** Files with the statement to add to; by default those in the store or beside the image. */
  readonly bundles?: readonly string[] | undefined;
  /** The file to write; by default the store takes it, or it goes beside the image. */
  readonly output?: string | undefined;
  /**
   * What to sign: a new statement with this validity, an existing one (`add`), or printed bytes.
   */
  readonly say: SettledValidity | "add" | { readonly printed: Uint8Array };
  /**
   * The keys that sign, when they are known: profile and source of their earlier statement are
   * kept.
   */
  readonly by?: readonly PublicKey[] | undefined;
  /** How it was made, where a statement that has been verified says so; goes before `by`'s. */
  readonly made?: Pick<Predicate, "profile" | "source" | "platform" | "seekIndex"> | undefined;
  /** The policy of the clients; by default they trust any of the keys. */
  readonly policy?: TrustPolicy | undefined;
}

/** A statement that waits for a signature. */
export interface PreparedTarget extends PreparedStatement {
  readonly request: TargetRequest;
  readonly located: LocatedImage;
  readonly store: Store | undefined;
  /** Existing signatures over the same bytes. */
  readonly signatures: readonly EnvelopeSignature[];
  readonly now: Date;
  /** What the user should know before it is signed. */
  readonly warnings: readonly string[];
}

/** A signed statement, and where its bundles were put. */
export interface SignedTarget {
  readonly place: string;
  /** The image to which the name led in the store before; undefined when it leads there still. */
  readonly replaced: VerityDigest | undefined;
  /** Why clients do not take it yet. */
  readonly warnings: readonly string[];
}
