/**
 * Platforms: `os/arch[/variant]`, as `--platform` takes them and as index entries and
 * configurations give them (OCI image spec, image-index.md, "platform").
 *
 * @module
 */
import { optionalString } from "../bytes/json-fields.ts";
import type { JsonObject } from "../bytes/json.ts";
import { UsageError } from "../errors.ts";
import { architectures } from "./platform-names.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** A platform as an index entry or a configuration declares it, which may leave parts away. */
export interface DeclaredPlatform {
  readonly os: string | undefined;
  readonly architecture: string | undefined;
  readonly variant: string | undefined;
}

const WORD = /^[a-zA-Z0-9._-]+$/;

/**
 * A platform as users write it: `os/arch`, `os/arch/variant`, or an architecture of Linux. Other
 * names of architectures than Go's are understood.
 *
 * @throws {@link UsageError}
 */
export function parsePlatform(text: string): Platform {
  const words = text.split("/");
  const isArchitecture = words.length === 1 && architectures.has(text.toLowerCase());
  const [os, architecture, variant, ...rest] = isArchitecture ? ["linux", text] : words;
  if (rest.length === 0 && architecture !== undefined && words.every((word) => WORD.test(word))) {
    return named({ os: os!, architecture, variant });
  }
  const message = `platform: expected os/arch[/variant], got ${JSON.stringify(text)}`;
  throw new UsageError("USAGE", message, { hint: "such as linux/amd64 or linux/arm/v7" });
}

const named = (platform: Platform) => usualNames(platform) as Platform;

/** The platform that the fields of a configuration or of an index entry's `platform` give. */
export function platformOf(object: JsonObject, what: string): DeclaredPlatform {
  const field = (name: string) => optionalString(object, name, what) || undefined;
  return usualNames({
    os: field("os"),
    architecture: field("architecture"),
    variant: field("variant"),
  });
}

/** The same platform under the names that images use; unknown ones stay, in lower case. */
export function usualNames(platform: DeclaredPlatform): DeclaredPlatform {
  const os = platform.os?.toLowerCase();
  const word = platform.architecture?.toLowerCase();
  const [architecture, implied] = architectures.get(word ?? "") ?? [word, undefined];
  // `7` is `v7`, and `v8.0` is `v8`.
  const given = platform.variant?.toLowerCase();
  const variant = given?.replace(/^v?([0-9]+)(?:\.0|(\.[0-9]+))?$/, "v$1$2");
  return { os: os === "macos" ? "darwin" : os, architecture, variant: variant ?? implied };
}

/** Of an image about which nothing is said. */
export const UNDECLARED: DeclaredPlatform = {
  os: undefined,
  architecture: undefined,
  variant: undefined,
};

/**
 * Whether a platform is whole, and spelled as images spell it: what is signed and remembered has one
 * spelling.
 */
export function isUsualPlatform(platform: DeclaredPlatform): platform is Platform {
  const { os, architecture, variant } = platform;
  if (os === undefined || architecture === undefined) return false;
  const words = variant === undefined ? [os, architecture] : [os, architecture, variant];
  const text = formatPlatform(platform);
  return words.every((word) => USUAL.test(word)) && formatPlatform(usualNames(platform)) === text;
}

const USUAL = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** `os/arch[/variant]`; a part that was left away is shown as `?`. */
export function formatPlatform({
  os = "?",
  architecture = "?",
  variant,
}: DeclaredPlatform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}
