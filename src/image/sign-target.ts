/**
 * Signing a bootstrap where it is: the bundle goes into the store that has it, or beside the file.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { Transaction } from "../store/transaction.ts";
import { algorithmOf } from "../verity/digest.ts";
import { bundleBeside, locateImage, requireIdentity } from "./locate.ts";
import { replaceFile } from "./new-file.ts";
import { type SignedImage, type SigningRequest, imageFacts, signFacts } from "./sign.ts";

/** What to sign, and where the bundle goes. */
export interface TargetRequest extends Omit<SigningRequest, "name"> {
  /** A file, or a name or id in the store. */
  readonly target: string;
  /** The name to sign; by default the one in the store. */
  readonly name?: string | undefined;
  readonly store?: string | undefined;
  /** The bundle file to write; by default the store takes it, or it goes beside the image. */
  readonly output?: string | undefined;
}

/** A signed statement, and where its bundle was put. */
export interface SignedTarget extends SignedImage {
  readonly place: string;
}

/**
 * Signs a bootstrap and puts the bundle in its place.
 *
 * @throws {@link UsageError} without a name, for a file
 * @throws {@link IntegrityError} when a store's bytes are not the ones of its id
 * @throws as `signImage` and `locateImage`
 */
export function signTarget(request: TargetRequest): SignedTarget {
  const store = request.store === undefined ? undefined : Store.open(request.store);
  const stores = store && new Stores([store]);
  const located = locateImage(request.target, { stores, bundles: [] });
  const name = request.name ?? located.name;
  if (name === undefined) {
    throw new UsageError("USAGE", "name: the name that clients will ask for is needed", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const facts = imageFacts(located.bytes, located.id && algorithmOf(located.id));
  requireIdentity(located, facts.verityDigest);
  const signed = signFacts(facts, { ...request, name });
  if (request.output !== undefined || store === undefined || located.id === undefined) {
    const place = request.output ?? bundleBeside(request.target);
    replaceFile(place, signed.bundle, 0o644);
    return { ...signed, place };
  }
  const transaction = Transaction.begin(store);
  try {
    const { keyId, bundle: bytes } = signed;
    transaction.publish({ image: located.id, bundles: [{ keyId, name, bytes }] });
  } finally {
    transaction.close();
  }
  return { ...signed, place: store.path };
}
