/**
 * The versions that a name has had already, as far as the signer can see them: in the store that
 * the statement goes into, or in the file that it replaces. Clients refuse a version that goes
 * back, and one that was another image before; so the signer does.
 *
 * Only what the signer's own keys have signed decides. A stranger's bundle in the store could
 * otherwise keep a name from being signed; it is a warning.
 *
 * Spec: docs/statement.md, "Rollback and equivocation".
 *
 * @module
 */
import { SealfsError, TrustError } from "../errors.ts";
import { isUserFile, readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import type { Store } from "../store/store.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { type Statement } from "../trust/statement.ts";
import { formatTime } from "../trust/time.ts";
import { type SeenStatement, statementsIn } from "./find-statement.ts";
import type { SettledValidity } from "./validity.ts";

/** A version as it was settled without looking at others, or as a finished statement has it. */
export interface WishedVersion {
  readonly version: number;
  readonly created: Date;
  readonly versionFrom: SettledValidity["versionFrom"] | "statement";
}

/** What is about to be signed. */
export interface NextStatement {
  readonly name: string;
  /** Undefined for any, and before it is known. */
  readonly platform?: Platform | undefined;
  /** Of the image; undefined before it is known. */
  readonly sha256: string | undefined;
}

/** The version, and what the user should know of it. */
export interface SettledVersion {
  readonly version: number;
  readonly warnings: readonly string[];
}

/** The bundles of a store that may be about a name, of whatever image. */
export function earlierBundles(store: Store, name: string): Uint8Array[] {
  const marked = store.readBundlesFor(name);
  const id = store.images.lookup(name);
  const current = id === undefined ? [] : store.readBundles(id);
  return [...marked, ...current].map(({ bytes }) => bytes);
}

/** The same of files that the bundle replaces, or is read beside, as far as they exist. */
export function earlierFiles(paths: readonly string[]): Uint8Array[] {
  return paths.filter(isUserFile).flatMap((path) => {
    try {
      return [readUserFile(path, limits.envelopeBytes, path)];
    } catch (error) {
      if (error instanceof SealfsError) return []; // no bundle is as large
      throw error;
    }
  });
}

/** Bundles that were found; those about other names are left out. */
export interface EarlierBundles {
  /** In the store, which clients have. */
  readonly inStore: readonly Uint8Array[];
  /** In a file that is replaced: whether it has ever been given to anyone is not known. */
  readonly inFiles: readonly Uint8Array[];
}

/**
 * The version to sign with. One that only the clock has given rises above those that were there;
 * any other is taken or refused, in place of a file with a warning.
 *
 * @throws {@link TrustError} `ROLLBACK` for a version below one that was signed for this name,
 *   `EQUIVOCATION` for one that another image has
 */
export function settleVersion(
  next: NextStatement,
  wished: WishedVersion,
  keys: readonly PublicKey[],
  earlier: EarlierBundles,
): SettledVersion {
  const inStore = predecessorsAmong(earlier.inStore, next, keys);
  const stored = highest(inStore.filter(({ isOwn }) => isOwn));
  const replaced = highest(
    predecessorsAmong(earlier.inFiles, next, keys).filter(({ isOwn }) => isOwn),
  );
  const own = highest([stored, replaced].filter((each) => each !== undefined));
  const clashes = (version: number, { statement }: SeenStatement) =>
    version < statement.version ||
    (version === statement.version &&
      next.sha256 !== undefined &&
      next.sha256 !== statement.sha256);
  const rises = wished.versionFrom === "clock" && own !== undefined;
  const version =
    rises && clashes(wished.version, own) ? own.statement.version + 1 : wished.version;
  if (stored !== undefined && clashes(version, stored)) throw refusal(next, wished, stored);
  const warnings: string[] = [];
  if (replaced !== undefined && clashes(version, replaced)) {
    const { message, hint } = refusal(next, wished, replaced);
    warnings.push(`${message} (${hint})`);
  }
  if (rises && own.statement.created.getTime() > wished.created.getTime() + SKEW_MS) {
    const [last, clock] = [own.statement.created, wished.created].map(formatTime);
    warnings.push(
      `${next.name}: was last signed at ${last}, and this machine's clock says ${clock}`,
    );
  }
  const other = highest(inStore.filter(({ isOwn }) => !isOwn));
  if (other !== undefined && clashes(version, other)) {
    const by = JSON.stringify(other.keyId.slice(0, 100));
    warnings.push(
      `${next.name}: the store has version ${other.statement.version} by ${by}: ` +
        `clients that trust that key as well refuse version ${version}`,
    );
  }
  return { version, warnings };
}

const SKEW_MS = 5 * 60_000;

function predecessorsAmong(
  bundles: readonly Uint8Array[],
  next: NextStatement,
  keys: readonly PublicKey[],
): SeenStatement[] {
  return statementsIn(bundles, keys).filter(
    ({ statement }) => statement.name === next.name && isCompared(statement, next),
  );
}

/** What clients compare: see `Marks`. Before an image is known, only versions of any platform. */
function isCompared({ platform }: Statement, next: NextStatement): boolean {
  if (platform === undefined) return true;
  if (next.platform === undefined) return next.sha256 !== undefined;
  return formatPlatform(platform) === formatPlatform(next.platform);
}

function highest(all: readonly SeenStatement[]): SeenStatement | undefined {
  return all.reduce<SeenStatement | undefined>(
    (best, each) =>
      best === undefined || each.statement.version > best.statement.version ? each : best,
    undefined,
  );
}

const ORIGINS = {
  clock: "",
  epoch: " (from SOURCE_DATE_EPOCH)",
  created: " (from --created)",
  asked: "",
  statement: "",
} as const;

function refusal(
  { name, sha256 }: NextStatement,
  { version, versionFrom }: WishedVersion,
  { statement }: SeenStatement,
): TrustError {
  const what = `${name}: version ${version}${ORIGINS[versionFrom]}`;
  const least = statement.version + 1;
  const hint =
    versionFrom === "statement"
      ? "sign the image anew, without --add or --attach: it gets a higher version"
      : `give a higher version: --version ${least}`;
  if (version < statement.version) {
    const last = `version ${statement.version}, created ${formatTime(statement.created)}`;
    return new TrustError(
      "ROLLBACK",
      sha256 === statement.sha256
        ? `${what} is below ${last}, of the same image: clients would go by that one`
        : `${what} is below ${last}: clients that have seen that one would refuse this one`,
      { hint },
    );
  }
  return new TrustError(
    "EQUIVOCATION",
    `${what} is signed already, of another image, ${statement.verityDigest}: clients would refuse the second`,
    { hint },
  );
}
