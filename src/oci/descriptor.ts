/**
 * Descriptors: what is where, by media type, digest and size (OCI image spec, descriptor.md).
 *
 * @module
 */
import {
  asArray,
  asObject,
  asSize,
  asString,
  optionalString,
  stringMap,
  verifyOnce,
} from "../bytes/json-fields.ts";
import type { JsonValue } from "../bytes/json.ts";
import { USED_ANNOTATIONS } from "./annotations.ts";
import { type OciDigest, parseDigest } from "./digest.ts";
import { verifyNames } from "./oci-json.ts";
import { type DeclaredPlatform, platformOf } from "../platform/platform.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: OciDigest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly annotations: ReadonlyMap<string, string>;
  /** Only entries of an index have one. */
  readonly platform: DeclaredPlatform | undefined;
  readonly artifactType: string | undefined;
  /** Where else the bytes may be fetched; we never do. */
  readonly urls: readonly string[];
}

const NAMES = ["mediaType", "digest", "size", "annotations", "platform", "artifactType", "urls"];
const PLATFORM_NAMES = ["os", "architecture", "variant"];

/** @throws {@link FormatError} when a field is missing or breaks its grammar */
export function parseDescriptor(value: JsonValue | undefined, what: string): Descriptor {
  const object = asObject(value, what);
  verifyNames(object, NAMES, what);
  const urls = object.get("urls") ?? [];
  const annotations = object.get("annotations");
  if (annotations instanceof Map) verifyOnce(annotations, USED_ANNOTATIONS, `${what}: annotations`);
  return {
    mediaType: asString(object.get("mediaType"), `${what}: mediaType`),
    digest: parseDigest(asString(object.get("digest"), `${what}: digest`), `${what}: digest`),
    size: asSize(object.get("size"), `${what}: size`),
    annotations: stringMap(annotations, `${what}: annotations`),
    platform: parsePlatformFields(object.get("platform"), `${what}: platform`),
    artifactType: optionalString(object, "artifactType", what),
    urls: asArray(urls, `${what}: urls`).map((url) => asString(url, `${what}: urls`)),
  };
}

function parsePlatformFields(
  value: JsonValue | undefined,
  what: string,
): DeclaredPlatform | undefined {
  if (value === undefined || value === null) return undefined;
  const object = asObject(value, what);
  verifyNames(object, PLATFORM_NAMES, what);
  return platformOf(object, what);
}
