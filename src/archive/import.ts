/**
 * Reading an archive that `export.ts` wrote into a store. Nothing in it is believed: the image must
 * be signed by a trusted key under its name (or the caller waives that), every object must have its
 * digest, and nothing is published before the archive has come to its end.
 *
 * @module
 */
import { verifyImage } from "../erofs/check.ts";
import type { Image } from "../erofs/image.ts";
import { NotFoundError, UsageError } from "../errors.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import { defined } from "../optional.ts";
import { demandOf } from "../sys/host-platform.ts";
import { Store } from "../store/store.ts";
import { type Durability, type NewBundle, Transaction } from "../store/transaction.ts";
import { TarParser } from "../tar/parser.ts";
import { policyOf } from "../trust/policy.ts";
import { ANY_NAME } from "../trust/verify-bundles.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type ArchiveHead, ImportIntake } from "./import-intake.ts";
import { notCurrent } from "../verify/locate.ts";
import type { OpenedTrust } from "../policy/open-trust.ts";
import { type VerifiedImage, verifyImageFile } from "../verify/verified-image.ts";

export interface ImportOptions {
  /** Whom to trust; undefined takes an image that nobody vouches for. */
  readonly trust: Pick<OpenedTrust, "trust" | "state"> | undefined;
  /** The name to import it under, and that must be signed; by default the archive's. */
  readonly name?: string | undefined;
  /** What it has to run on; any by default. */
  readonly platform?: Platform | undefined;
  readonly now: Date;
  readonly durability?: Durability | undefined;
  /** As `foreignOwner` of {@link Store.open}. */
  readonly foreignStore?: boolean | undefined;
  /** Per cent of the store's file system that stay free; 3 by default. */
  readonly minFree?: number | undefined;
  readonly onProgress?: (bytes: number) => void;
}

/** What was imported. */
export interface Imported {
  readonly id: VerityDigest;
  readonly name: string | undefined;
  /** Undefined when nobody was asked to vouch for it. */
  readonly verified: VerifiedImage | undefined;
  /** Objects that the store did not have, the image among them, and their bytes. */
  readonly added: number;
  readonly addedBytes: number;
}

/**
 * Imports an image into the store at `directory`, which is made when it does not exist.
 *
 * @throws {@link FormatError} for an archive that is not what an export looks like, or is cut
 * @throws {@link IntegrityError} when something in it does not have its digest
 * @throws {@link TrustError} when nobody who is trusted vouches for the image
 * @throws {@link NotFoundError} `NO_OBJECT` when an object is in neither archive nor store
 */
export async function importImage(
  directory: string,
  archive: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Imported> {
  let verified: VerifiedImage | undefined;
  const listed = await fetchListed(options);
  const intake = new ImportIntake({
    begin: (algorithm) =>
      Transaction.begin(
        Store.create(directory, { algorithm, foreignOwner: options.foreignStore }),
        {
          durability: options.durability,
          minFree: options.minFree,
        },
      ),
    accept: (bytes, head) => {
      verified = verify(bytes, head, options, listed);
      return verified?.image ?? unvouched(bytes);
    },
  });
  try {
    const parser = new TarParser(intake, { strict: true });
    for await (const chunk of archive) {
      parser.write(chunk);
      options.onProgress?.(parser.offset);
    }
    parser.end();
    const { id, bundles, seekIndexes, missing, ...head } = intake.finish();
    const transaction = intake.transaction!;
    requirePresent(transaction.store, missing);
    const name = options.name ?? head.name;
    const { added, addedBytes } = transaction.publish({
      image: id,
      bundles,
      seekIndexes,
      platform: verified?.statement.platform ?? platformClaimed(bundles),
      ...defined({ name }),
    });
    if (verified !== undefined) {
      const { trust, state } = options.trust!;
      state?.remember(verified, policyOf(trust), options.now);
    }
    return { id, name, verified, added, addedBytes };
  } finally {
    intake.abandon();
    intake.transaction?.close();
  }
}

/** The bundles of the policy's listing, before anything of the archive is read. */
async function fetchListed({
  trust: opened,
  name,
}: ImportOptions): Promise<readonly Uint8Array[] | undefined> {
  const listing = opened && policyOf(opened.trust).listing;
  if (listing === undefined) return undefined;
  if (name !== undefined) return listing.bundlesOf(name);
  throw new UsageError("USAGE", `import: which name to ask ${listing.text} for?`, {
    hint: "say it with --name",
  });
}

function verify(
  bytes: Uint8Array,
  head: ArchiveHead,
  { trust: opened, name, platform, now }: ImportOptions,
  listed: readonly Uint8Array[] | undefined,
): VerifiedImage | undefined {
  if (opened === undefined) return undefined;
  const { state } = opened;
  const { listing } = policyOf(opened.trust);
  const trust = listed === undefined ? opened.trust : policyOf(opened.trust).withListing(undefined);
  try {
    return verifyImageFile({
      bytes,
      bundles: listed ?? head.bundles.map((bundle) => bundle.bytes),
      trust,
      name: name ?? head.name ?? ANY_NAME,
      now,
      platform: platform && demandOf(platform),
      marksOf: state?.marksOf.bind(state),
    });
  } catch (cause) {
    throw listing === undefined ? cause : notCurrent(cause, listing);
  }
}

/** What the bundles of an image say that nobody vouches for; undefined where they disagree. */
function platformClaimed(bundles: readonly NewBundle[]): Platform | undefined {
  const [first, ...others] = bundles.map(({ platform }) => platform);
  const isSame = (other: Platform | undefined) =>
    first !== undefined && other !== undefined && formatPlatform(first) === formatPlatform(other);
  return others.every(isSame) ? first : undefined;
}

/** Its form is checked all the same: what is in a store can be mounted once it is signed. */
function unvouched(bytes: Uint8Array): Image {
  return verifyImage(bytes);
}

function requirePresent(store: Store, missing: ReadonlyMap<VerityDigest, number>): void {
  for (const [digest, size] of missing) {
    if (store.objects.state(digest, size) === "good") continue;
    throw new NotFoundError("NO_OBJECT", `object ${digest}: in neither archive nor store`);
  }
}
