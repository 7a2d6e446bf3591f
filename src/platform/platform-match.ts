/**
 * Which platforms run what is built for which, and which of several is nearest: an architecture's
 * variant runs those below it (containerd, platforms/compare.go; containers/image, pkg/platform).
 *
 * @module
 */
import { NotFoundError } from "../errors.ts";
import { type DeclaredPlatform, type Platform, formatPlatform } from "./platform.ts";

/** A variant as numbers: v8.2 is [8, 2]. */
type Level = readonly [major: number, minor: number];

// What an architecture without a variant means, as containerd and the registries take it.
const USUAL: ReadonlyMap<string, Level> = new Map([
  ["amd64", [1, 0]],
  ["arm64", [8, 0]],
  ["arm", [7, 0]],
]);

/** Behind every variant that is known to run. */
const UNSURE = 1e6;

/**
 * How far what is declared is from what is asked for: 0 for the same, more for what runs there too,
 * or may do as far as is declared; undefined for what does not run there.
 */
export function platformDistance(asked: Platform, declared: DeclaredPlatform): number | undefined {
  const { os, architecture } = declared;
  if (os !== undefined && os !== asked.os) return undefined;
  if (architecture === undefined) return 4 * UNSURE;
  if (architecture !== asked.architecture) return undefined;
  const distance = variantDistance(architecture, asked.variant, declared.variant);
  if (distance === undefined) return undefined;
  return os === undefined ? distance + 2 * UNSURE : distance;
}

/** The architecture whose programs another one runs too, as containerd takes it. */
const NARROWER: ReadonlyMap<string, Pick<Platform, "architecture" | "variant">> = new Map([
  ["amd64", { architecture: "386", variant: undefined }],
  ["arm64", { architecture: "arm", variant: "v8" }],
]);

/**
 * The same for the platform of a host, where nothing is asked for: behind all that is for its
 * architecture comes what its processor runs as well. What is asked for by name is meant.
 */
export function hostDistance(host: Platform, declared: DeclaredPlatform): number | undefined {
  const own = platformDistance(host, declared);
  const narrower = NARROWER.get(host.architecture);
  if (own !== undefined || narrower === undefined) return own;
  const distance = platformDistance({ ...host, ...narrower }, declared);
  return distance === undefined ? undefined : distance + 8 * UNSURE;
}

/** What an image has to run on. */
export interface PlatformDemand {
  readonly platform: Platform;
  /** Whether it is a host's, and nothing was asked for. */
  readonly isHost: boolean;
}

/** {@link platformDistance} or {@link hostDistance}. */
export function demandDistance(
  { platform, isHost }: PlatformDemand,
  declared: DeclaredPlatform,
): number | undefined {
  return (isHost ? hostDistance : platformDistance)(platform, declared);
}

/** Those of `candidates` that are nearest to what is demanded; none when nothing fits. */
export function nearestTo<T>(
  candidates: ReadonlyMap<T, DeclaredPlatform>,
  demand: PlatformDemand,
): T[] {
  const distances = [...candidates].flatMap(([candidate, declared]) => {
    const distance = demandDistance(demand, declared);
    return distance === undefined ? [] : [{ candidate, distance }];
  });
  const least = Math.min(...distances.map(({ distance }) => distance));
  return distances.flatMap(({ candidate, distance }) => (distance === least ? [candidate] : []));
}

function variantDistance(
  architecture: string,
  asked: string | undefined,
  declared: string | undefined,
): number | undefined {
  if (asked === declared) return 0;
  const wanted = levelOf(architecture, asked);
  const got = levelOf(architecture, declared);
  const steps = wanted && got ? stepsDown(wanted, got) : undefined;
  // Said in so many words goes before meant.
  if (steps !== undefined) return 2 * steps + (declared === undefined ? 2 : 1);
  // Nothing declared may be anything; and of arm without a variant podman takes v8 as well.
  if (declared === undefined) return UNSURE;
  return architecture === "arm" && asked === undefined && got !== undefined ? UNSURE : undefined;
}

/**
 * What an index says an image is for, and what that leaves out as the configuration says: these are
 * often copied from another platform's.
 */
export function platformSaid(
  entry: DeclaredPlatform | undefined,
  config: DeclaredPlatform,
): DeclaredPlatform {
  const { os = config.os, architecture = config.architecture } = entry ?? {};
  const isSame = architecture === config.architecture;
  const variant = entry?.variant ?? (isSame ? config.variant : undefined);
  return { os, architecture, variant };
}

/** Whether both may be the same platform, as far as they are declared. */
export function samePlatform(a: DeclaredPlatform, b: DeclaredPlatform): boolean {
  const agree = (one: string | undefined, other: string | undefined) =>
    one === undefined || other === undefined || one === other;
  if (!agree(a.os, b.os) || !agree(a.architecture, b.architecture)) return false;
  if (a.variant === b.variant || a.architecture === undefined) return true;
  const [one, other] = [levelOf(a.architecture, a.variant), levelOf(a.architecture, b.variant)];
  return one !== undefined && other !== undefined && String(one) === String(other);
}

function levelOf(architecture: string, variant: string | undefined): Level | undefined {
  const usual = USUAL.get(architecture);
  if (usual === undefined || variant === undefined) return usual;
  const [, major, minor] = /^v([0-9]{1,3})(?:\.([0-9]{1,3}))?$/.exec(variant) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor ?? 0)];
}

/** How many variants lie between; undefined where `got` does not run on `wanted`. */
function stepsDown([major, minor]: Level, [gotMajor, gotMinor]: Level): number | undefined {
  if (gotMajor > major) return undefined;
  // Armv9.0 has all of Armv8.5, and so on.
  const most = minor + 5 * (major - gotMajor);
  if (gotMajor === major && gotMinor > minor) return undefined;
  return gotMinor > most ? undefined : (major - gotMajor) * 16 + (most - gotMinor);
}

/**
 * That an image which no index describes is for the platform that was asked for.
 *
 * @throws {@link NotFoundError} `NO_REF`
 */
export function verifyPlatform(
  declared: DeclaredPlatform,
  asked: Platform | undefined,
  what: string,
): void {
  if (asked === undefined || platformDistance(asked, declared) !== undefined) return;
  const [wanted, got] = [formatPlatform(asked), formatPlatform(declared)];
  const isWhole = declared.os !== undefined && declared.architecture !== undefined;
  throw new NotFoundError("NO_REF", `${what}: expected platform ${wanted}, got ${got}`, {
    hint: isWhole ? `it has: ${got}` : "leave out --platform",
  });
}
