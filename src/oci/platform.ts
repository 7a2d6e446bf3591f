/**
 * Platforms: `os/arch[/variant]`, as `--platform` takes them and as index entries and
 * configurations give them (OCI image spec, image-index.md, "platform").
 *
 * @module
 */
import { asObject, asString, optionalString } from "../bytes/json-fields.ts";
import type { JsonValue } from "../bytes/json.ts";
import { UsageError } from "../errors.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

const WORD = /^[a-zA-Z0-9._-]+$/;

/** @throws {@link UsageError} when `text` is not `os/arch` or `os/arch/variant` */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split("/");
  const words = [os, architecture, variant ?? "none"];
  if (rest.length > 0 || words.some((word) => word === undefined || !WORD.test(word))) {
    throw new UsageError(
      "USAGE",
      `platform: expected os/arch[/variant], got ${JSON.stringify(text)}`,
    );
  }
  return { os: os!, architecture: architecture!, variant };
}

/** The platform of an index entry or a configuration. */
export function parsePlatformFields(value: JsonValue, what: string): Platform {
  const object = asObject(value, what);
  return {
    os: asString(object.get("os"), `${what}: os`),
    architecture: asString(object.get("architecture"), `${what}: architecture`),
    variant: optionalString(object, "variant", what) || undefined,
  };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

// What an architecture without a variant means, as containerd and the registries take it.
const DEFAULT_VARIANTS: ReadonlyMap<string, string> = new Map([
  ["amd64", "v1"],
  ["arm64", "v8"],
  ["arm", "v7"],
]);

const variantOf = ({ architecture, variant }: Platform) =>
  variant ?? DEFAULT_VARIANTS.get(architecture);

/** Whether both name the same platform; a variant left out is the architecture's usual one. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}
