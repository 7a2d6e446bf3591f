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
import { parsePreAuthEncoding } from "../trust/dsse.ts";
import { type Predicate, STATEMENT_PAYLOAD_TYPE } from "../trust/statement.ts";
import { platformDistance } from "../platform/platform-match.ts";
import { type Platform, formatPlatform, parsePlatform } from "../platform/platform.ts";
import { algorithmOf } from "../verity/verity-digest.ts";
import {
  earlierStatement,
  findStatement,
  signaturesOver,
  readStatement,
  requireFacts,
  requireTime,
} from "./find-statement.ts";
import { bundleBeside, envelopeBeside, locateImage, requireIdentity } from "../verify/locate.ts";
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
import {
  type NextStatement,
  type SettledVersion,
  type WishedVersion,
  earlierBundles,
  earlierFiles,
  settleVersion,
} from "./succession.ts";
import { anyOf, verifyAsClients } from "./client-checks.ts";
import { type SignedBundles, bundleOf, putBundles } from "./put-bundles.ts";
import type { PreparedTarget, SignedTarget, TargetRequest } from "./target.ts";

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
  signal?: AbortSignal,
): Promise<SignedTarget> {
  const [signed] = await signTargets([target], signers, signal);
  return signed!;
}

/** The same for several: nothing is put anywhere before all are signed and checked. */
export async function signTargets(
  targets: readonly PreparedTarget[],
  signers: readonly Signer[],
  signal?: AbortSignal,
): Promise<SignedTarget[]> {
  const all: SignedBundles[] = [];
  const warnings: string[][] = [];
  for (const target of targets) {
    const signed: SignedImage[] = [];
    for (const signer of signers) {
      const signature = await signer.sign(target.message, signal);
      signed.push(finishBundle(target, signer.publicKey, signature));
    }
    const { statement, request, now } = target;
    const policy = request.policy ?? anyOf(signers.map(({ publicKey }) => publicKey));
    const bundles = [bundleOf(target, signed), ...signed.map(({ bundle }) => bundle)];
    const keyIds = signed.map(({ keyId }) => keyId);
    warnings.push(verifyAsClients({ statement, bundles, keyIds }, policy, now));
    all.push({ target, signed });
  }
  return putBundles(all).map((place, i) => ({ ...place, warnings: warnings[i]! }));
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
  const made =
    to.request.made ?? by?.flatMap((key) => earlierStatement(located, facts, key) ?? [])[0];
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
 * before, else for what the store has it; the image itself is the store's as well.
 *
 * @throws {@link UsageError} when both differ, or when the name has images for platforms and nobody
 *   says for which this one is
 */
function platformToSign(
  {
    request: { platform: asked },
    located,
    store,
  }: Pick<PreparedTarget, "request" | "located" | "store">,
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
  const names = [...new Set([name, located.name ?? name])];
  const named = names
    .flatMap((each) => store.images.refsOf(each))
    .filter((ref) => ref.platform !== undefined);
  const own = named
    .filter(({ id }) => id === located.id)
    .map((ref) => formatPlatform(ref.platform!));
  if (new Set(own).size === 1) return parsePlatform(own[0]!);
  const known = named.filter((ref) => ref.name === name).map((ref) => ref.platform!);
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
