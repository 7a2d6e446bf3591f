/**
 * Names that are signed anew for images that a store has: a second name for an image (`tag`), and a
 * name's older image (`rollback`). A store may have been changed by others, so that only images count
 * that trusted keys have signed before.
 *
 * Spec: docs/statement.md, "Second names and ways back".
 *
 * @module
 */
import { NotFoundError, UsageError } from "../errors.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import { missingObjects } from "../store/missing-objects.ts";
import { Store } from "../store/store.ts";
import { openStoredImage } from "../store/stored-image.ts";
import { Stores } from "../store/stores.ts";
import { Keyring } from "../trust/keyring.ts";
import type { TrustPolicy } from "../trust/policy.ts";
import type { PublicKey } from "../trust/public-key.ts";
import type { Statement } from "../trust/statement.ts";
import { type VerityDigest, abbreviates, shortDigest } from "../verity/verity-digest.ts";
import { openVerified } from "../verify/locate.ts";
import { statementsIn } from "./find-statement.ts";
import { prepareTarget } from "./sign-target.ts";
import { earlierBundles } from "./succession.ts";
import type { PreparedTarget, TargetRequest } from "./target.ts";
import type { SettledValidity } from "./validity.ts";

/** What signing a name anew needs. */
export interface NameRequest {
  readonly store: Store;
  /** As `foreignOwner` of {@link Store.open}. */
  readonly foreignStore?: boolean | undefined;
  /** Only the image for this platform. */
  readonly platform?: Platform | undefined;
  readonly validity: SettledValidity;
  /** The keys that will sign. */
  readonly by: readonly PublicKey[];
  /** Further keys by which an image may have been signed before. */
  readonly signedBy?: readonly PublicKey[] | undefined;
  /** The policy of the clients; by default they trust any of the keys. */
  readonly policy?: TrustPolicy | undefined;
}

/**
 * A second name for the images of `from`, a name or an id: one target for each platform that the name
 * has, all of which are verified under their present name first.
 *
 * @throws {@link NotFoundError} `NO_REF`; {@link TrustError} as `openVerified` and `prepareTarget`
 */
export function prepareTag(
  from: string,
  to: string,
  request: NameRequest,
  now: Date,
): PreparedTarget[] {
  const { store, platform, by, signedBy = [] } = request;
  const trust = new Keyring([
    ...new Map([...by, ...signedBy].map((key) => [key.id, key])).values(),
  ]);
  const places = { stores: new Stores([store]) };
  return imagesOf(store, from, platform).map(({ id, ...found }) => {
    const { statement } = openVerified(id, places, { trust, now, ...found });
    return prepareTarget(targetOf(request, to, statement), now);
  });
}

/** The images for all platforms of a name, or the one for a platform, or that of an id. */
function imagesOf(
  store: Store,
  from: string,
  platform: Platform | undefined,
): { id: VerityDigest; name?: string; platform?: Platform }[] {
  if (platform === undefined) {
    const refs = store.images.refsOf(from).filter((ref) => ref.platform !== undefined);
    if (refs.length > 0) return refs.map((ref) => ({ ...ref, platform: ref.platform! }));
  }
  const { id, name } = store.images.find(from, platform);
  return [{ id, ...(name === undefined ? {} : { name }), ...(platform && { platform }) }];
}

/** Where a rollback leads. */
export interface Rollback {
  readonly target: PreparedTarget;
  /** The statement that is signed anew, and the latest of the name. */
  readonly back: Statement;
  readonly latest: Statement;
}

/**
 * The image that a name had before, or an older one, to be signed anew: of each platform that has
 * such a one.
 *
 * @param to its version, or its id, whole or shortened; by default the latest of another image than
 *   the present one
 * @throws {@link NotFoundError} `NO_REF` when these keys have signed no such image, or the store has
 *   it no more
 * @throws {@link UsageError} for the present one
 */
export function prepareRollback(
  name: string,
  to: string | undefined,
  request: NameRequest,
  now: Date,
): Rollback[] {
  const { store, platform, by, signedBy = [] } = request;
  const signed = statementsIn(earlierBundles(store, name), [...by, ...signedBy])
    .filter(({ isOwn, statement }) => isOwn && statement.name === name)
    .map(({ statement }) => statement);
  const histories = historiesOf(signed, platform);
  if (histories.length === 0)
    throw nothing(store, `image ${name}: these keys have not signed it`, name);
  const backs = histories.flatMap((history) => {
    const latest = history[0]!;
    const back = history.find((each) => isMeant(each, to, latest));
    return back === undefined ? [] : [{ back, latest }];
  });
  if (backs.length === 0) {
    const which = to === undefined ? "no other image" : `no image ${to}`;
    throw nothing(store, `image ${name}: ${which} was signed by these keys`, name);
  }
  return backs.map(({ back, latest }) => {
    if (back.sha256 === latest.sha256) {
      throw new UsageError("USAGE", `image ${name}: ${to} is what it is now`, {
        hint: `sealfs images ${name} --history --store ${store.path} lists the others`,
      });
    }
    requireImage(store, back);
    // What named no platform is for the one that goes back to it.
    const asked = { ...request, platform: platform ?? latest.platform };
    return { target: prepareTarget(targetOf(asked, name, back), now), back, latest };
  });
}

function isMeant(statement: Statement, to: string | undefined, latest: Statement): boolean {
  if (to === undefined) return statement.sha256 !== latest.sha256;
  return String(statement.version) === to || abbreviates(to, statement.verityDigest);
}

/**
 * What clients of each platform have been given, or of one, the latest first: statements that named
 * their platform, and those that named none.
 */
function historiesOf(signed: readonly Statement[], only: Platform | undefined): Statement[][] {
  const sorted = signed.toSorted((a, b) => b.version - a.version);
  const platforms = new Set(sorted.map(formatPlatformOf));
  if (platforms.size > 1) platforms.delete("");
  const wanted = only === undefined ? platforms : [formatPlatform(only)];
  return [...wanted].flatMap((each) => {
    const history = sorted.filter((statement) => ["", each].includes(formatPlatformOf(statement)));
    return history.length === 0 ? [] : [history];
  });
}

function formatPlatformOf({ platform }: Statement): string {
  return platform === undefined ? "" : formatPlatform(platform);
}

function requireImage(store: Store, { verityDigest, version, name, objects }: Statement): void {
  if (!store.images.has(verityDigest)) {
    throw nothing(
      store,
      `image ${verityDigest}: version ${version} is not in ${store.path} any more`,
      name,
    );
  }
  const missing = missingObjects(openStoredImage(store, verityDigest), new Stores([store])).size;
  if (missing === 0) return;
  throw new NotFoundError(
    "NO_OBJECT",
    `image ${verityDigest}: ${missing} of its ${objects.count} objects are not in ${store.path}`,
    { hint: `get them with sealfs fetch ${shortDigest(verityDigest)} --store ${store.path}` },
  );
}

function nothing({ path }: Store, message: string, name: string): NotFoundError {
  return new NotFoundError("NO_REF", message, {
    hint:
      `sealfs images ${name} --history --store ${path} lists what is there (--signed-by names ` +
      "further keys); build or import what is not",
  });
}

function targetOf(
  { store, foreignStore, platform: asked, validity, by, policy }: NameRequest,
  name: string,
  made: Statement,
): TargetRequest {
  const { verityDigest: target, platform = asked } = made;
  const how = { name, platform, say: validity, by, made, policy };
  return { target, store: store.path, foreignStore, ...how };
}
