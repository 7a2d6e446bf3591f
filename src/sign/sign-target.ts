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
import { type EnvelopeSignature, parsePreAuthEncoding } from "../trust/dsse.ts";
import { type Predicate, STATEMENT_PAYLOAD_TYPE } from "../trust/statement.ts";
import { platformDistance } from "../platform/platform-match.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import type { TrustPolicy } from "../trust/policy.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import {
  earlierStatement,
  findStatement,
  signaturesOver,
  readStatement,
  requireFacts,
  requireTime,
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
  envelopeOf,
  finishBundle,
  imageFacts,
  prepareStatement,
  preparedOf,
} from "./sign-image.ts";
import type { Signer } from "../keys/signer.ts";
import {
  type NextStatement,
  type SettledVersion,
  type WishedVersion,
  earlierBundles,
  earlierFiles,
  settleVersion,
} from "./succession.ts";
import type { SettledValidity } from "./validity.ts";
import { anyOf, verifyAsClients } from "./client-checks.ts";

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

/**
 * Settles what is to be signed.
 *
 * @throws {@link UsageError} without a name, for a file
 * @throws {@link IntegrityError} when a store's bytes are not the ones of its id
 * @throws {@link TrustError} `NO_BUNDLE` when there is nothing to add to; `WRONG_IMAGE` when
 *   printed bytes are about another image; `EXPIRED` when a further signature is of no use;
 *   `ROLLBACK` or `EQUIVOCATION` for a version that clients would refuse
 * @throws as `imageFacts` and `locateImage`
 */
export function prepareTarget(request: TargetRequest, now: Date): PreparedTarget {
  const { say } = request;
  const store =
    request.store === undefined
      ? undefined
      : Store.open(request.store, { foreignOwner: request.foreignStore });
  const stores = store && new Stores([store]);
  // Without a known key, nothing is taken from earlier statements.
  const isNew = say !== "add" && !("printed" in say);
  const bundles = isNew && request.by === undefined ? [] : request.bundles;
  const { platform } = request;
  const located = locateImage(request.target, { stores, bundles }, undefined, { platform });
  const facts = imageFacts(located.bytes, located.id && algorithmOf(located.id));
  requireIdentity(located, facts.verityDigest);
  const name = request.name ?? located.name;
  const seekIndex = store && located.id && newestSeekIndex(store, located.id);
  const known = { ...facts, seekIndex };
  const to = { request, located, store };
  const { signatures, warnings, ...prepared } = statementToSign(to, known, name, now);
  return { ...prepared, signatures, warnings, request, located, store, now };
}

/**
 * Signs with every key, and puts the bundles in their place; the signatures are checked first, and
 * what clients will say.
 *
 * @throws as `verifyAsClients`
 */
export async function signTarget(
  target: PreparedTarget,
  signers: readonly Signer[],
): Promise<SignedTarget> {
  const signed: SignedImage[] = [];
  for (const signer of signers) {
    const signature = await signer.sign(target.message);
    signed.push(finishBundle(target, signer.publicKey, signature));
  }
  const { statement, request, now } = target;
  const policy = request.policy ?? anyOf(signers.map(({ publicKey }) => publicKey));
  const bundles = [bundleOf(target, signed), ...signed.map(({ bundle }) => bundle)];
  const keyIds = signed.map(({ keyId }) => keyId);
  const warnings = verifyAsClients({ statement, bundles, keyIds }, policy, now);
  return { ...putBundles(target, signed), warnings };
}

function statementToSign(
  to: Pick<PreparedTarget, "request" | "located" | "store">,
  facts: ImageFacts & Pick<Predicate, "seekIndex">,
  name: string | undefined,
  now: Date,
): PreparedStatement & Pick<PreparedTarget, "signatures" | "warnings"> {
  const { located } = to;
  const { say, by } = to.request;
  if (say === "add") {
    const { statement, payload, signatures } = findStatement(located, facts, name, now);
    const { warnings } = settled(to, statement, { ...statement, versionFrom: "statement" });
    return { ...preparedOf(statement, payload), signatures, warnings };
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
    requireTime(statement, now);
    const { warnings } = settled(to, statement, { ...statement, versionFrom: "statement" });
    const signatures = signaturesOver(located, parsed.payload);
    return { ...preparedOf(statement, parsed.payload), signatures, warnings };
  }
  if (name === undefined) {
    throw new UsageError("USAGE", "name: the name that clients will ask for is needed", {
      hint: "give it with --name, such as --name registry.example/app:1.0",
    });
  }
  const made = by?.flatMap((key) => earlierStatement(located, facts, key) ?? [])[0];
  const how = {
    profile: made?.profile,
    source: made?.source,
    platform: platformToSign(to, name, made?.platform),
    seekIndex: made?.seekIndex ?? facts.seekIndex,
  };
  const { created, expires } = say;
  const { version, warnings } = settled(
    to,
    { name, platform: how.platform, sha256: facts.sha256 },
    say,
  );
  const statement = prepareStatement(facts, { name, ...how, created, expires, version });
  return { ...statement, signatures: [], warnings };
}

/**
 * What the statement says that the image runs on: what the user says, else what the signer has said
 * before. Of the store it is not believed.
 *
 * @throws {@link UsageError} when both differ, or when the name has images for platforms and nobody
 *   says for which this one is
 */
function platformToSign(
  { request: { platform: asked }, store }: Pick<PreparedTarget, "request" | "store">,
  name: string,
  signed: Platform | undefined,
): Platform | undefined {
  if (
    asked !== undefined &&
    signed !== undefined &&
    platformDistance(asked, signed) === undefined
  ) {
    const [wanted, got] = [formatPlatform(asked), formatPlatform(signed)];
    throw new UsageError("USAGE", `--platform: expected ${got}, as it is signed, got ${wanted}`);
  }
  const platform = signed ?? asked;
  if (platform !== undefined || store === undefined) return platform;
  const known = store.images.refsOf(name).flatMap((ref) => ref.platform ?? []);
  if (known.length === 0) return undefined;
  const all = known.map(formatPlatform).join(", ");
  throw new UsageError("USAGE", `image ${name}: has images for ${all}: for which is this one?`, {
    hint: `say it with --platform, such as --platform ${formatPlatform(known[0]!)}`,
  });
}

/** The version, compared with those that the name has where the bundle goes. */
function settled(
  { request, store }: Pick<PreparedTarget, "request" | "store">,
  next: NextStatement,
  wished: WishedVersion,
): SettledVersion {
  const { output, target, by = [] } = request;
  const files = output === undefined ? [bundleBeside(target), envelopeBeside(target)] : [output];
  const inStore = store === undefined ? [] : earlierBundles(store, next.name);
  const inFiles = store === undefined || output !== undefined ? earlierFiles(files) : [];
  return settleVersion(next, wished, by, { inStore, inFiles });
}

function putBundles(
  target: PreparedTarget,
  signed: readonly SignedImage[],
): Omit<SignedTarget, "warnings"> {
  const { request, located, store, statement } = target;
  if (request.output === undefined && store !== undefined && located.id !== undefined) {
    const { name, platform } = statement;
    const before = store.images.idOf({ name, platform });
    // A further signature on a statement does not move its name.
    const moves = before === undefined || request.say !== "add";
    const bundles = signed.map(({ keyId, bundle: bytes }) => {
      return { keyId, name, platform, bytes };
    });
    const transaction = Transaction.begin(store);
    try {
      transaction.publish({ image: located.id, bundles, ...(moves ? { name, platform } : {}) });
    } finally {
      transaction.close();
    }
    const replaced = moves && before !== located.id ? before : undefined;
    return { place: store.path, replaced };
  }
  const isOne = signed.length === 1 && !isFurther(target, signed);
  const beside = isOne ? bundleBeside(request.target) : envelopeBeside(request.target);
  const place = request.output ?? beside;
  writeUserFile(place, isOne ? signed[0]!.bundle : bundleOf(target, signed));
  return { place, replaced: undefined };
}

/** Whether others have signed the statement before, or are asked to. */
function isFurther(target: PreparedTarget, signed: readonly SignedImage[]): boolean {
  return target.request.say === "add" || othersOf(target, signed).length > 0;
}

/** All signatures over the statement, the earlier ones first. */
function bundleOf(target: PreparedTarget, signed: readonly SignedImage[]): Uint8Array {
  const others = othersOf(target, signed);
  return envelopeOf(target.payload, signed, others);
}

function othersOf(
  { signatures }: PreparedTarget,
  signed: readonly SignedImage[],
): EnvelopeSignature[] {
  return signatures.filter((other) => !signed.some(({ keyId }) => keyId === other.keyId));
}
