/**
 * OCI layouts, as a directory or as an archive (OCI image spec, image-layout.md).
 *
 * @module
 */
import { type Stats, closeSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { asObject, asString } from "../../bytes/json-fields.ts";
import { FormatError, IntegrityError, NotFoundError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { openRegular } from "../../fs/regular-file.ts";
import { type BlobRange, type LayoutFiles, readFile, readRange, verifyBlob } from "../blob.ts";
import { parseConfig } from "../config.ts";
import type { Descriptor } from "../descriptor.ts";
import { blobPath, verifySize } from "../digest.ts";
import type { Documents, Question } from "../image-search.ts";
import type { LayerDescriptor, OciImage } from "../image.ts";
import { type ImageIndex, type Manifest, parseDocument, parseLayoutIndex } from "../manifest.ts";
import { layerCompression } from "../media-types.ts";
import { parseOciJson, verifyNames } from "../oci-json.ts";
import { platformSaid, verifyPlatform } from "../../platform/platform-match.ts";
import type { Platform } from "../../platform/platform.ts";
import { selectManifest } from "../select.ts";

/** The files of a layout that is a directory. Symlinks and special files in it are refused. */
export class DirectoryFiles implements LayoutFiles {
  readonly label: string;

  constructor(path: string) {
    this.label = path;
  }

  has(path: string): boolean {
    return this.#stat(path) !== undefined;
  }

  open(path: string): BlobRange {
    const parts = path.split("/");
    for (let i = 1; i < parts.length; i++) this.#verifyDirectory(parts.slice(0, i).join("/"));
    try {
      const { fd, size } = openRegular(join(this.label, path), `${this.label}: ${path}`);
      return { fd, offset: 0, size, close: () => closeSync(fd) };
    } catch (error) {
      const isWrong = error instanceof IntegrityError && error.code === "WRONG_TYPE";
      throw isWrong && this.#stat(path)?.isSymbolicLink() ? this.#link(path) : error;
    }
  }

  close(): void {}

  #stat(path: string): Stats | undefined {
    return lstatSync(join(this.label, path), { throwIfNoEntry: false });
  }

  /** Build systems make layouts of links; what they lead to has to be meant. */
  #link(path: string): IntegrityError {
    const message = `${this.label}: ${path}: expected a regular file, got a symbolic link`;
    return new IntegrityError("WRONG_TYPE", message, {
      hint: `if what links lead to is meant: tar -C ${this.label} -chf - . | sealfs build - …`,
    });
  }

  #verifyDirectory(path: string): void {
    const stat = this.#stat(path);
    if (stat === undefined) throw new NotFoundError("NO_FILE", `${this.label}: no ${path} in it`);
    if (stat.isDirectory()) return;
    if (stat.isSymbolicLink()) throw this.#link(path);
    throw new IntegrityError("WRONG_TYPE", `${this.label}: ${path}: expected a directory`);
  }
}

/**
 * The one image of a layout that is asked for. Its documents have been checked against their
 * descriptors; its layers are checked when they are read. Owns `files`, also when it fails.
 *
 * @param source how users write the layout, for hints; undefined where they cannot choose
 * @throws {@link FormatError} `AMBIGUOUS` when more than one matches
 * @throws {@link NotFoundError} `NO_REF` when none does
 * @throws {@link IntegrityError} when a document is not what its descriptor says
 */
export async function openLayout(
  files: LayoutFiles,
  question: Question,
  source: string | undefined,
): Promise<OciImage> {
  let index: ImageIndex;
  try {
    verifyLayoutVersion(files);
    const what = `${files.label}: index.json`;
    index = parseLayoutIndex(readFile(files, "index.json", limits.manifestBytes, what), what);
  } catch (error) {
    files.close();
    throw error;
  }
  return openIndexed(files, index, question, source);
}

/** The same for an index that is at hand. */
export async function openIndexed(
  files: LayoutFiles,
  index: ImageIndex,
  question: Question,
  source: string | undefined,
): Promise<OciImage> {
  try {
    const manifest = await selectManifest(index, question, documentsOf(files, source));
    return openImage(files, manifest, question.platform);
  } catch (error) {
    files.close();
    throw error;
  }
}

function documentsOf(files: LayoutFiles, source: string | undefined): Documents {
  const image = (manifest: Descriptor, platform?: Platform) => {
    try {
      return openImage(files, manifest, platform);
    } catch (error) {
      if (error instanceof SealfsError) return undefined;
      throw error;
    }
  };
  return {
    label: files.label,
    source,
    read: (descriptor) => readBlob(files, descriptor),
    facts: (manifest) => {
      const { configDigest, config } = image(manifest) ?? {};
      return configDigest && config && { configDigest, platform: config.platform };
    },
    has: (manifest) => hasBlobs(files, manifest),
    opens: (manifest, platform) => {
      const { layers } = image(manifest, platform) ?? {};
      return layers !== undefined && layers.every(({ digest }) => files.has(blobPath(digest!)));
    },
  };
}

/** Whether a layout has what a manifest names; where that cannot be read, opening it will say. */
function hasBlobs(files: LayoutFiles, descriptor: Descriptor): boolean {
  if (!files.has(blobPath(descriptor.digest))) return false;
  try {
    const { digest, mediaType } = descriptor;
    const manifest = parseDocument(readBlob(files, descriptor), mediaType, digest) as Manifest;
    const own = manifest.layers.filter(({ urls }) => urls.length === 0);
    return [manifest.config, ...own].every((blob) => files.has(blobPath(blob.digest)));
  } catch (error) {
    if (error instanceof SealfsError) return true;
    throw error;
  }
}

/** A layout without `oci-layout` is read as other tools read it: its index says all. */
function verifyLayoutVersion(files: LayoutFiles): void {
  const what = `${files.label}: oci-layout`;
  if (!files.has("oci-layout")) {
    if (files.has("index.json")) return;
    const message = `${files.label}: no OCI layout: neither oci-layout nor index.json in it`;
    throw new FormatError("MALFORMED", message, {
      hint: "without oci: or oci-archive: in front, sealfs finds out what it is",
    });
  }
  const bytes = readFile(files, "oci-layout", limits.manifestBytes, what);
  const document = asObject(parseOciJson(bytes, what), what);
  verifyNames(document, ["imageLayoutVersion"], what);
  const version = asString(document.get("imageLayoutVersion"), `${what}: imageLayoutVersion`);
  if (version === "1.0.0") return;
  const shown = JSON.stringify(version);
  throw new FormatError(
    "UNSUPPORTED",
    `${what}: expected imageLayoutVersion "1.0.0", got ${shown}`,
  );
}

/** A document by its descriptor: opened by a checked digest, checked before it is returned. */
function readBlob(files: LayoutFiles, descriptor: Descriptor): Uint8Array {
  const what = `${files.label}: ${descriptor.digest}`;
  if (descriptor.size > limits.manifestBytes) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${limits.manifestBytes} bytes, got a descriptor of ${descriptor.size}`,
    );
  }
  const range = files.open(blobPath(descriptor.digest));
  try {
    verifySize(descriptor.size, range.size, what);
    const bytes = readRange(range, limits.manifestBytes, what);
    verifyBlob(bytes, descriptor, what);
    return bytes;
  } finally {
    range.close();
  }
}

function openImage(
  files: LayoutFiles,
  descriptor: Descriptor,
  platform: Platform | undefined,
): OciImage {
  const what = `${files.label}: manifest ${descriptor.digest}`;
  const manifestBytes = readBlob(files, descriptor);
  const { config } = parseDocument(manifestBytes, descriptor.mediaType, what) as Manifest;
  const image = imageOf(files.label, descriptor, manifestBytes, readBlob(files, config), platform);
  for (const layer of image.layers) {
    if (layer.isForeign && !files.has(blobPath(layer.digest!))) throw foreignLayer(layer);
  }
  return {
    ...image,
    openBlob: (layer) => openLayer(files, layer),
    close: () => files.close(),
  };
}

/**
 * An image by its documents, which have been checked against their descriptors.
 *
 * @throws {@link NotFoundError} `NO_REF` for another platform; {@link FormatError}
 */
export function imageOf(
  label: string,
  descriptor: Pick<Descriptor, "digest" | "mediaType" | "platform">,
  manifestBytes: Uint8Array,
  configBytes: Uint8Array,
  platform: Platform | undefined,
): Omit<OciImage, "openBlob" | "close"> {
  const what = `${label}: manifest ${descriptor.digest}`;
  const manifest = parseDocument(manifestBytes, descriptor.mediaType, what) as Manifest;
  const configWhat = `${label}: config ${manifest.config.digest}`;
  const config = parseConfig(configBytes, configWhat);
  // An index knows better: configurations are often copied from another platform's.
  const { os, architecture } = descriptor.platform ?? {};
  if (os === undefined || architecture === undefined) {
    verifyPlatform(config.platform, platform, configWhat);
  }
  const { diffIds } = config;
  if (diffIds.length !== manifest.layers.length) {
    throw new FormatError(
      "MALFORMED",
      `${configWhat}: expected ${manifest.layers.length} diff_ids, one a layer, got ${diffIds.length}`,
    );
  }
  const layers = manifest.layers.map((layer, i): LayerDescriptor => {
    const name = `${label}: layer ${i + 1} of ${diffIds.length} (${layer.digest})`;
    return { ...layerOf(layer, name), diffId: diffIds[i]! };
  });
  return {
    label,
    manifestDigest: descriptor.digest,
    manifestBytes,
    mediaType: descriptor.mediaType,
    configDigest: manifest.config.digest,
    config,
    platform: platformSaid(descriptor.platform, config.platform),
    annotations: manifest.annotations,
    layers,
  };
}

function layerOf(layer: Descriptor, label: string): Omit<LayerDescriptor, "diffId"> {
  const compression = layerCompression(layer.mediaType);
  if (compression === undefined) {
    const shown = JSON.stringify(layer.mediaType);
    throw new FormatError(
      "UNSUPPORTED",
      `${label}: expected a tar layer's media type, got ${shown}`,
      layer.mediaType.endsWith("+encrypted")
        ? { hint: "decrypt it first: skopeo copy --decryption-key KEY … oci-archive:image.tar" }
        : {},
    );
  }
  const { mediaType, digest, size, annotations, urls } = layer;
  if (size > limits.layerBytes) {
    const message = `${label}: expected at most ${limits.layerBytes} bytes, got a descriptor of ${size}`;
    throw new FormatError("LIMIT", message);
  }
  return { label, mediaType, compression, digest, size, annotations, isForeign: urls.length > 0 };
}

/**
 * Says why a foreign layer cannot be read: to fetch bytes from wherever an image says would make us
 * its errand boy.
 */
export function foreignLayer(layer: LayerDescriptor, cause?: unknown): FormatError {
  const message = `${layer.label}: its bytes are only at its urls, which are not fetched from`;
  return new FormatError("UNSUPPORTED", message, {
    cause,
    hint: "a copy with its foreign layers: skopeo copy … docker-archive:image.tar",
  });
}

function openLayer(files: LayoutFiles, layer: LayerDescriptor): BlobRange {
  const range = files.open(blobPath(layer.digest!));
  try {
    verifySize(layer.size, range.size, layer.label);
    return range;
  } catch (error) {
    range.close();
    throw error;
  }
}
