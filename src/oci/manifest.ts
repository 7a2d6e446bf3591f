/**
 * Image manifests and indexes (OCI image spec, manifest.md and image-index.md; Docker image
 * manifest version 2, schema 2). A document that could be taken for both is refused.
 *
 * @module
 */
import { asArray, asObject, optionalString, stringMap } from "../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../bytes/json.ts";
import { FormatError, type SealfsError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Descriptor, parseDescriptor } from "./descriptor.ts";
import {
  type DocumentKind,
  documentKind,
  isConfig,
  isSchema1,
  mustNameItself,
} from "./media-types.ts";
import { parseOciJson, verifyNames } from "./oci-json.ts";

export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
}

/** An entry of an index that breaks its grammar, or whose index does. */
export interface OddEntry {
  readonly error: SealfsError;
  readonly digest: string | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

export type IndexEntry = Descriptor | OddEntry;

export interface ImageIndex {
  readonly kind: "index";
  /** All of them, in order: one that is odd does not spoil the others. */
  readonly entries: readonly IndexEntry[];
  /** Those that are not odd. */
  readonly manifests: readonly Descriptor[];
}

const NAMES = [
  "schemaVersion",
  "mediaType",
  "config",
  "layers",
  "manifests",
  "fsLayers",
  "artifactType",
];

/**
 * A manifest or an index, as `mediaType` (the descriptor's) says.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for another media type or version; `AMBIGUOUS` when the
 *   document says something else about itself; `LIMIT`; `MALFORMED`
 */
export function parseDocument(
  bytes: Uint8Array,
  mediaType: string,
  what: string,
): Manifest | ImageIndex {
  const kind = documentKind(mediaType);
  if (kind === undefined) throw unsupportedDocument(mediaType, what);
  const document = asObject(parseOciJson(bytes, what), what);
  verifyShape(document, mediaType, kind, what);
  return kind === "manifest" ? manifest(document, mediaType, what) : parseManifests(document, what);
}

/**
 * The `index.json` of a layout, which no descriptor describes.
 *
 * @throws {@link FormatError} as {@link parseDocument}
 */
export function parseLayoutIndex(bytes: Uint8Array, what: string): ImageIndex {
  const document = asObject(parseOciJson(bytes, what), what);
  const own = optionalString(document, "mediaType", what);
  if (own !== undefined && documentKind(own) !== "index") throw unsupportedDocument(own, what);
  verifyShape(document, own, "index", what);
  return parseManifests(document, what);
}

/** @throws {@link FormatError} `UNSUPPORTED`, always: says why a media type is refused */
export function unsupportedDocument(mediaType: string, what: string): FormatError {
  const shown = JSON.stringify(mediaType);
  if (!isSchema1(mediaType)) {
    return new FormatError(
      "UNSUPPORTED",
      `${what}: expected an image manifest or index, got ${shown}`,
    );
  }
  return new FormatError("UNSUPPORTED", `${what}: Docker schema 1 manifests are not supported`, {
    hint: "convert it: skopeo copy --format oci",
  });
}

function verifyShape(
  document: JsonObject,
  mediaType: string | undefined,
  kind: DocumentKind,
  what: string,
): void {
  verifyNames(document, NAMES, what);
  if (document.has("fsLayers"))
    throw unsupportedDocument("application/vnd.docker.distribution.manifest.v1", what);
  if (document.get("schemaVersion") !== 2) {
    const got = JSON.stringify(document.get("schemaVersion") ?? null);
    throw new FormatError(
      "UNSUPPORTED",
      `${what}: expected schemaVersion 2, got ${got.slice(0, 40)}`,
    );
  }
  const own = optionalString(document, "mediaType", what);
  if (own === undefined && mediaType !== undefined && mustNameItself(mediaType)) {
    throw new FormatError("MALFORMED", `${what}: expected mediaType ${mediaType}, got none`);
  }
  if (own !== undefined && own !== mediaType) {
    throw new FormatError(
      "AMBIGUOUS",
      `${what}: expected mediaType ${mediaType}, got ${JSON.stringify(own)}`,
    );
  }
  // CVE-2021-41190: one document, taken for a manifest by some tools and for an index by others.
  const foreign = kind === "manifest" ? ["manifests"] : ["layers", "config"];
  for (const name of foreign) {
    if (document.has(name)) {
      throw new FormatError("AMBIGUOUS", `${what}: an image ${kind} must not have ${name}`);
    }
  }
}

function manifest(document: JsonObject, mediaType: string, what: string): Manifest {
  const config = parseDescriptor(document.get("config"), `${what}: config`);
  if (!isConfig(config.mediaType)) {
    throw new FormatError(
      "UNSUPPORTED",
      `${what}: expected the configuration of a container image, got ${JSON.stringify(config.mediaType)}`,
      { hint: "this is an artifact, not an image" },
    );
  }
  // Go writes an empty list that was never filled as null, or not at all.
  const layers = asArray(document.get("layers") ?? [], `${what}: layers`);
  if (layers.length > limits.layers) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${limits.layers} layers, got ${layers.length}`,
    );
  }
  return {
    kind: "manifest",
    mediaType,
    config,
    layers: layers.map((layer, i) => parseDescriptor(layer, `${what}: layers[${i}]`)),
    annotations: stringMap(document.get("annotations"), `${what}: annotations`),
  };
}

function parseManifests(document: JsonObject, what: string): ImageIndex {
  const values = asArray(document.get("manifests") ?? [], `${what}: manifests`);
  const entries = values.map((value, i) => parseEntry(value, `${what}: manifests[${i}]`));
  return {
    kind: "index",
    entries,
    manifests: entries.filter((entry): entry is Descriptor => !("error" in entry)),
  };
}

function parseEntry(value: JsonValue, what: string): IndexEntry {
  try {
    return parseDescriptor(value, what);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const field = (name: string) => (value instanceof Map ? value.get(name) : undefined);
    const digest = field("digest");
    const annotations = field("annotations");
    const texts = annotations instanceof Map ? [...annotations] : [];
    return {
      error,
      digest: typeof digest === "string" ? digest : undefined,
      annotations: new Map(texts.filter(([, text]) => typeof text === "string")),
    };
  }
}
