/**
 * Keeping a verified image in a store that has its objects: without it nothing leads to them, and
 * gc would take them.
 *
 * @module
 */
import { SealfsError } from "../errors.ts";
import { defined } from "../optional.ts";
import { readClaim } from "../store/claims.ts";
import { readSeekIndex } from "../store/seek-indexes.ts";
import type { Store } from "../store/store.ts";
import type { Stores } from "../store/stores.ts";
import { type Durability, type NewBundle, Transaction } from "../store/transaction.ts";
import { parseBundle } from "../trust/bundle.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";

/**
 * Publishes the image with its bundles, under `name` where that is given, unless the store has all
 * of it already. Returns whether anything was new.
 *
 * @throws {@link SystemError} when the store cannot take it
 */
export function keepImage(
  store: Store,
  verified: VerifiedImage,
  bundles: readonly Uint8Array[],
  {
    name,
    durability,
    stores,
  }: {
    readonly name: string | undefined;
    readonly durability?: Durability | undefined;
    /** Where its seek index may be. */
    readonly stores?: Stores | undefined;
  },
): boolean {
  const id = verified.digest;
  if (store.images.has(id) && (name === undefined || isNamed(store, name, verified))) return false;
  const transaction = Transaction.begin(store, { durability });
  try {
    transaction.put(id, verified.bytes);
    transaction.publish({
      image: id,
      bundles: bundles.flatMap((bytes) => newBundle(bytes)),
      seekIndexes: stores === undefined ? [] : seekIndexesOf(verified, stores),
      platform: verified.statement.platform,
      ...defined({ name }),
    });
    return true;
  } finally {
    transaction.close();
  }
}

function isNamed(store: Store, name: string, { digest, statement }: VerifiedImage): boolean {
  try {
    return store.images.resolve(name, statement.platform) === digest;
  } catch (error) {
    if (error instanceof SealfsError) return false;
    throw error;
  }
}

/** None when no store has the one that the statement names. */
function seekIndexesOf({ digest, statement }: VerifiedImage, stores: Stores): Uint8Array[] {
  const wanted = statement.seekIndex;
  if (wanted === undefined) return [];
  for (const store of stores.all) {
    try {
      return [readSeekIndex(store, digest, wanted)];
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
    }
  }
  return [];
}

/** None for what cannot be read: the image was verified without it. */
function newBundle(bytes: Uint8Array): NewBundle[] {
  try {
    const keyId = parseBundle(bytes).signatures[0]?.keyId || "unnamed";
    const { name, platform } = readClaim({ keyId, bytes });
    return [{ keyId, bytes, name, platform }];
  } catch (error) {
    if (error instanceof SealfsError) return [];
    throw error;
  }
}
