/**
 * What a file in `images/refs` stands for: a name, and the platform when the name has images for
 * several: `<name>!linux!arm64!v8`, where names themselves never hold a `!`.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { nearestTo } from "../platform/platform-match.ts";
import { type Platform, formatPlatform, isUsualPlatform } from "../platform/platform.ts";
import { demandOf } from "../sys/host-platform.ts";
import { decodeName, encodeName } from "./names.ts";

/** A name, or a name and a platform. */
export interface ImageRef {
  readonly name: string;
  readonly platform: Platform | undefined;
}

/** Of refs for platforms the one that is nearest to `platform`, or to this machine's. */
export function nearestRef<T extends ImageRef>(refs: readonly T[], platform?: Platform) {
  const declared = refs.flatMap((ref) =>
    ref.platform === undefined ? [] : [[ref, ref.platform] as const],
  );
  return nearestTo(new Map(declared), demandOf(platform))[0];
}

/**
 * The file's name.
 *
 * @throws {@link UsageError} as {@link encodeName}, and when both together are too long
 */
export function encodeRef({ name, platform }: ImageRef): string {
  const component = encodeName(name);
  if (platform === undefined) return component;
  const whole = `${component}!${formatPlatform(platform).replaceAll("/", "!")}`;
  if (whole.length <= limits.nameBytes) return whole;
  throw new UsageError(
    "USAGE",
    `image name: expected at most ${limits.nameBytes} bytes with its platform once encoded, got ${whole.length}`,
  );
}

/** What a file's name stands for; undefined when {@link encodeRef} never makes it. */
export function decodeRef(component: string): ImageRef | undefined {
  if (component.length > limits.nameBytes) return undefined;
  const [encoded = "", os, architecture, variant, ...rest] = component.split("!");
  const name = decodeName(encoded);
  if (name === undefined) return undefined;
  if (os === undefined) return { name, platform: undefined };
  const platform = { os, architecture, variant };
  return rest.length === 0 && isUsualPlatform(platform) ? { name, platform } : undefined;
}
