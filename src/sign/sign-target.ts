/**
 * Signing a bootstrap where it is: the bundle goes into the store that has it, or beside the file.
 * It signs a new statement, adds a signature to an existing one, or takes the signature over one
 * that was printed for a key elsewhere.
 *
 * Spec: docs/statement.md, "Several signatures" and "Signing elsewhere".
 *
 * @module
 */
import { TrustError, UsageError } from "../errors.ts";
import { newestSeekIndex } from "../store/seek-indexes.ts";
import { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { Transaction } from "../store/transaction.ts";
import { formatEnvelope } from "../trust/bundle.ts";
import { type EnvelopeSignature, parsePreAuthEncoding } from "../trust/dsse.ts";
import { type Predicate, STATEMENT_PAYLOAD_TYPE } from "../trust/statement.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { algorithmOf } from "../verity/verity-digest.ts";
import {
  type FoundStatement,
  earlierStatement,
  findStatement,
  signaturesOver,
  readStatement,
  requireFacts,
} from "./find-statement.ts";
import {
  type LocatedImage,
  bundleBeside,
  envelopeBeside,
  locateImage,
  requireIdentity,
} from "../verify/locate.ts";
import { writeUserFile } from "../fs/user-file.ts";
import {
  type ImageFacts,
  type PreparedStatement,
  type SignedImage,
  finishBundle,
  imageFacts,
  prepareStatement,
  preparedOf,
} from "./sign-image.ts";
import type { Signer } from "../keys/signer.ts";
import type { Validity } from "./validity.ts";

/** What to sign, and where the bundle goes. */
export interface TargetRequest {
  /** A file, or a name or id in the store. */
  readonly target: string;
  /** The name to sign; by default the one in the store. */
  readonly name?: string | undefined;
  readonly store?: string | undefined;
  /** Files with the statement to add to; by default those in the store or beside the image. */
  readonly bundles?: readonly string[] | undefined;
  /** The file to write; by default the store takes it, or it goes beside the image. */
  readonly output?: string | undefined;
  /**
   * What to sign: a new statement with this validity, an existing one (`add`), or printed bytes.
   */
  readonly say: Validity | "add" | { readonly printed: Uint8Array };
  /** The key that signs, when it is known: profile and source of its earlier statement are kept. */
  readonly by?: PublicKey | undefined;
}

/** A statement that waits for a signature. */
export interface PreparedTarget extends PreparedStatement {
  readonly request: TargetRequest;
  readonly located: LocatedImage;
  readonly store: Store | undefined;
  /** Existing signatures over the same bytes. */
  readonly signatures: readonly EnvelopeSignature[];
}

/** A signed statement, and where its bundle was put. */
export interface SignedTarget extends SignedImage {
  readonly place: string;
}

/**
 * Settles what is to be signed.
 *
 * @throws {@link UsageError} without a name, for a file
 * @throws {@link IntegrityError} when a store's bytes are not the ones of its id
 * @throws {@link TrustError} `NO_BUNDLE` when there is nothing to add to; `WRONG_IMAGE` when
 *   printed bytes are about another image
 * @throws as `imageFacts` and `locateImage`
 */
export function prepareTarget(request: TargetRequest, now: Date): PreparedTarget {
  const { say } = request;
  const store = request.store === undefined ? undefined : Store.open(request.store);
  const stores = store && new Stores([store]);
  // Without a known key, nothing is taken from earlier statements.
  const isNew = say !== "add" && !("printed" in say);
  const bundles = isNew && request.by === undefined ? [] : request.bundles;
  const located = locateImage(request.target, { stores, bundles });
  const facts = imageFacts(located.bytes, located.id && algorithmOf(located.id));
  requireIdentity(located, facts.verityDigest);
  const name = request.name ?? located.name;
  const seekIndex = store && located.id && newestSeekIndex(store, located.id);
  const known = { ...facts, seekIndex };
  const { signatures, ...prepared } = statementToSign(request, known, located, name, now);
  return { ...prepared, signatures, request, located, store };
}

/** Signs, and puts the bundle in its place; the signature is checked first. */
export async function signTarget(target: PreparedTarget, signer: Signer): Promise<SignedTarget> {
  const signature = await signer.sign(target.message);
  const signed = finishBundle(target, signer.publicKey, signature);
  return { ...signed, place: putBundle(target, signed) };
}

function statementToSign(
  { say, by }: TargetRequest,
  facts: ImageFacts & Pick<Predicate, "seekIndex">,
  located: LocatedImage,
  name: string | undefined,
  now: Date,
): PreparedStatement & Pick<FoundStatement, "signatures"> {
  if (say === "add") {
    const found = findStatement(located, facts, name, now);
    return { ...preparedOf(found.statement, found.payload), signatures: found.signatures };
  }
  if ("printed" in say) {
    const parsed = parsePreAuthEncoding(say.printed);
    if (parsed?.payloadType !== STATEMENT_PAYLOAD_TYPE) {
      throw new TrustError("BAD_STATEMENT", "printed bytes: not what --print-pae has printed");
    }
    const statement = readStatement(parsed.payload);
    requireFacts(statement, facts);
    if (name !== undefined && statement.name !== name) {
      throw new TrustError("WRONG_NAME", `printed bytes: are about the name ${statement.name}`);
    }
    const signatures = signaturesOver(located, parsed.payload);
    return { ...preparedOf(statement, parsed.payload), signatures };
  }
  if (name === undefined) {
    throw new UsageError("USAGE", "name: the name that clients will ask for is needed", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const made = by && earlierStatement(located, facts, by);
  const how = {
    profile: made?.profile,
    source: made?.source,
    seekIndex: made?.seekIndex ?? facts.seekIndex,
  };
  return { ...prepareStatement(facts, { name, ...how, ...say }), signatures: [] };
}

function putBundle(target: PreparedTarget, signed: SignedImage): string {
  const { request, located, store, payload } = target;
  const { keyId, signature: bytes, bundle, statement } = signed;
  if (request.output === undefined && store !== undefined && located.id !== undefined) {
    putIntoStore(store, target, { keyId, name: statement.name, bytes: bundle });
    return store.path;
  }
  const others = target.signatures.filter((signature) => signature.keyId !== keyId);
  const add = request.say === "add" || others.length > 0;
  const beside = add ? envelopeBeside(request.target) : bundleBeside(request.target);
  const place = request.output ?? beside;
  const signatures = [...others, { keyId, bytes }];
  const file = add
    ? formatEnvelope({ payloadType: STATEMENT_PAYLOAD_TYPE, payload, signatures })
    : bundle;
  writeUserFile(place, file);
  return place;
}

function putIntoStore(
  store: Store,
  { located }: PreparedTarget,
  bundle: { keyId: string; name: string; bytes: Uint8Array },
): void {
  const transaction = Transaction.begin(store);
  try {
    transaction.publish({ image: located.id!, bundles: [bundle] });
  } finally {
    transaction.close();
  }
}
