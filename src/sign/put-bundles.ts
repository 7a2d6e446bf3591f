/**
 * Puts bundles where clients find them: into the store that has the image, or beside its file.
 *
 * Spec: docs/statement.md, "Several signatures".
 *
 * @module
 */
import { writeUserFile } from "../fs/user-file.ts";
import type { Store } from "../store/store.ts";
import { type ImagePublication, Transaction } from "../store/transaction.ts";
import type { EnvelopeSignature } from "../trust/dsse.ts";
import { bundleBeside, envelopeBeside } from "../verify/locate.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type SignedImage, envelopeOf } from "./sign-image.ts";
import type { PreparedTarget, SignedTarget } from "./target.ts";

/** A target, and its statement as each key has signed it. */
export interface SignedBundles {
  readonly target: PreparedTarget;
  readonly signed: readonly SignedImage[];
}

/** Where the bundles were put, in the order of `all`. Those of one store appear together. */
export function putBundles(all: readonly SignedBundles[]): Omit<SignedTarget, "warnings">[] {
  const places = all.map((each) => {
    const { store, located, request } = each.target;
    const isStored =
      request.output === undefined && store !== undefined && located.id !== undefined;
    return isStored ? intoStore(each, store, located.id) : undefined;
  });
  const [first, ...further] = places.flatMap((place) => place?.publication ?? []);
  const store = places.find((place) => place !== undefined)?.store;
  if (store !== undefined && first !== undefined) {
    const transaction = Transaction.begin(store);
    try {
      transaction.publish({ ...first, further });
    } finally {
      transaction.close();
    }
  }
  return all.map((each, i) => {
    const inStore = places[i];
    if (inStore === undefined) return { place: putFile(each), replaced: undefined };
    return { place: inStore.store.path, replaced: inStore.replaced };
  });
}

function intoStore(
  { target, signed }: SignedBundles,
  store: Store,
  image: VerityDigest,
): { store: Store; publication: ImagePublication; replaced: VerityDigest | undefined } {
  const { name, platform } = target.statement;
  const before = store.images.idOf({ name, platform });
  // A further signature on a statement does not move its name.
  const moves = before === undefined || target.request.say !== "add";
  const bundles = signed.map(({ keyId, bundle: bytes }) => ({ keyId, name, platform, bytes }));
  const publication = { image, bundles, ...(moves ? { name, platform } : {}) };
  return { store, publication, replaced: moves && before !== image ? before : undefined };
}

function putFile({ target, signed }: SignedBundles): string {
  const { request } = target;
  const isOne = signed.length === 1 && !isFurther(target, signed);
  const beside = isOne ? bundleBeside(request.target) : envelopeBeside(request.target);
  const place = request.output ?? beside;
  writeUserFile(place, isOne ? signed[0]!.bundle : bundleOf(target, signed));
  return place;
}

/** Whether others have signed the statement before, or are asked to. */
function isFurther(target: PreparedTarget, signed: readonly SignedImage[]): boolean {
  return target.request.say === "add" || othersOf(target, signed).length > 0;
}

/** All signatures over the statement, the earlier ones first. */
export function bundleOf(target: PreparedTarget, signed: readonly SignedImage[]): Uint8Array {
  const others = othersOf(target, signed);
  return envelopeOf(target.payload, signed, others);
}

function othersOf(
  { signatures }: PreparedTarget,
  signed: readonly SignedImage[],
): EnvelopeSignature[] {
  return signatures.filter((other) => !signed.some(({ keyId }) => keyId === other.keyId));
}
