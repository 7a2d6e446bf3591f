/**
 * The archive of `docker save` and `skopeo copy … docker-archive:`: `manifest.json` lists images as
 * a configuration and layers, by their names in the archive. Layers have no descriptor; their
 * diffIDs are what they are checked against.
 * Spec: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
 *
 * @module
 */
import type { ByteString } from "../../bytes/bytestring.ts";
import { asArray, asObject, asString } from "../../bytes/json-fields.ts";
import type { JsonValue } from "../../bytes/json.ts";
import { FormatError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type LayoutFiles, readFile } from "../blob.ts";
import { parseConfig } from "../config.ts";
import { parseOciJson, verifyNames } from "../oci-json.ts";
import { type OciDigest, digestOf, isDigest, verifyDigest } from "../digest.ts";
import { type LayerDescriptor, NO_ANNOTATIONS, type OciImage } from "../image.ts";
import { fullName } from "../image-name.ts";
import { memberName } from "./member-name.ts";
import { verifyPlatform } from "../platform-match.ts";
import type { Platform } from "../platform.ts";
import { type ImageChoice, ONLY } from "../reference.ts";

/** One image of an archive; all names are paths in the archive. */
export interface DockerImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/** @throws {@link FormatError} */
export function parseDockerManifest(bytes: Uint8Array, what: string): readonly DockerImage[] {
  return asArray(parseOciJson(bytes, what), what).map((value, i) => image(value, `${what}[${i}]`));
}

function image(value: JsonValue, what: string): DockerImage {
  const object = asObject(value, what);
  verifyNames(object, ["Config", "RepoTags", "Layers"], what);
  // Both lists are null when docker save had nothing to put in.
  const strings = (name: string) =>
    asArray(object.get(name) ?? [], `${what}: ${name}`).map((entry, i) =>
      asString(entry, `${what}: ${name}[${i}]`),
    );
  const layers = strings("Layers");
  if (layers.length > limits.layers) {
    throw new FormatError(
      "LIMIT",
      `${what}: at most ${limits.layers} layers, got ${layers.length}`,
    );
  }
  const config = asString(object.get("Config"), `${what}: Config`);
  return {
    config: cleanName(config),
    tags: strings("RepoTags"),
    layers: layers.map(cleanName),
  };
}

function cleanName(path: string): string {
  return memberName(path as ByteString); // any text will do: the separators are ASCII
}

/**
 * The one image of an archive that is asked for. Owns `files`, also when it fails.
 *
 * @param source how users write the archive, for hints
 * @throws {@link FormatError} `AMBIGUOUS` when the archive has several and none is chosen
 * @throws {@link NotFoundError} `NO_REF` when the one asked for is not there
 * @throws {@link IntegrityError} when the configuration is not what its name says
 */
export function openDockerArchive(
  files: LayoutFiles,
  choice: ImageChoice,
  platform: Platform | undefined,
  source: string,
): OciImage {
  try {
    const what = `${files.label}: manifest.json`;
    if (!files.has("manifest.json")) {
      throw new NotFoundError("NO_FILE", `${files.label}: no manifest.json in it`, {
        hint: "without docker-archive: in front, sealfs finds out what it is",
      });
    }
    const bytes = readFile(files, "manifest.json", limits.manifestBytes, what);
    return openImage(
      files,
      select(parseDockerManifest(bytes, what), choice, files.label, source),
      platform,
    );
  } catch (error) {
    files.close();
    throw error;
  }
}

function select(
  images: readonly DockerImage[],
  choice: ImageChoice,
  label: string,
  source: string,
): DockerImage {
  const matching = matches(images, choice);
  if (matching.length === 1) return matching[0]!;
  const names = images.flatMap(({ tags }) => tags).filter((tag) => !tag.startsWith("@"));
  const leading = [...new Set(names)].filter(
    (tag) => matches(images, { ...ONLY, tag }).length === 1,
  );
  const hasNames = images.every(({ tags }) => tags.some((tag) => leading.includes(tag)));
  const choices = hasNames ? leading : [...images.keys()];
  const first = source === "docker-archive:FILE" ? "save it as FILE, and " : "";
  const way = hasNames ? ":TAG, TAG" : ":@INDEX, INDEX";
  const hint =
    images.length === 0
      ? undefined
      : `${first}choose with ${source}${way} one of: ${choices.slice(0, SHOWN).join(", ")}`;
  if (matching.length > 1) {
    const message = `${label}: expected one image, got ${matching.length}`;
    throw new FormatError("AMBIGUOUS", message, { hint });
  }
  throw new NotFoundError("NO_REF", `${label}: no such image in manifest.json`, { hint });
}

/** How many choices are shown. */
const SHOWN = 20;

/** The images that a choice leaves; one that is listed more than once is one. */
function matches(images: readonly DockerImage[], choice: ImageChoice): readonly DockerImage[] {
  const wanted = choice.tag === undefined ? undefined : fullName(choice.tag);
  const found = images.filter(
    ({ tags, config }, i) =>
      (choice.index === undefined || choice.index === i) &&
      (choice.digest === undefined || choice.digest === digestInName(config)) &&
      (wanted === undefined || tags.some((tag) => fullName(tag) === wanted)),
  );
  const content = ({ config, layers }: DockerImage) => JSON.stringify([config, layers]);
  return [...new Map(found.map((image) => [content(image), image])).values()];
}

/** The digest that a file is named by: `<hex>.json`, `sha256:<hex>`, `blobs/sha256/<hex>`. */
function digestInName(path: string): OciDigest | undefined {
  const hex = /^(?:blobs\/sha256\/|sha256:)?([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
  const digest = `sha256:${hex}`;
  return hex !== undefined && isDigest(digest) ? digest : undefined;
}

function openImage(
  files: LayoutFiles,
  image: DockerImage,
  platform: Platform | undefined,
): OciImage {
  const what = `${files.label}: ${image.config}`;
  const bytes = readFile(files, image.config, limits.manifestBytes, what);
  const configDigest = digestOf(bytes);
  const named = digestInName(image.config);
  if (named !== undefined) verifyDigest(named, configDigest, what);
  const config = parseConfig(bytes, what);
  verifyPlatform(config.platform, platform, what);
  const { diffIds } = config;
  if (diffIds.length !== image.layers.length) {
    throw new FormatError(
      "MALFORMED",
      `${what}: expected ${image.layers.length} diff_ids, one a layer, got ${diffIds.length}`,
    );
  }
  const paths = new Map<LayerDescriptor, string>();
  const layers = image.layers.map((path, i): LayerDescriptor => {
    const range = files.open(path);
    const layer: LayerDescriptor = {
      label: `${files.label}: layer ${i + 1} of ${diffIds.length} (${path})`,
      mediaType: undefined,
      compression: undefined,
      digest: path.startsWith("blobs/") ? digestInName(path) : undefined,
      size: range.size,
      diffId: diffIds[i]!,
      annotations: NO_ANNOTATIONS,
    };
    range.close();
    paths.set(layer, path);
    return layer;
  });
  return {
    label: files.label,
    manifestDigest: undefined,
    manifestBytes: undefined,
    mediaType: undefined,
    configDigest,
    config,
    annotations: NO_ANNOTATIONS,
    layers,
    openBlob: (layer) => files.open(paths.get(layer)!),
    close: () => files.close(),
  };
}
