/**
 * The media types of images: OCI image spec, media-types.md, and Docker image manifest version 2,
 * schema 2. Whatever is not here is refused, never guessed.
 *
 * @module
 */

/** How a layer's bytes are compressed. */
export type Compression = "none" | "gzip" | "zstd";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";

/** Docker image manifest version 2, schema 1: without config and diffIDs, signed in odd ways. */
const SCHEMA1 = "application/vnd.docker.distribution.manifest.v1";

export type DocumentKind = "manifest" | "index";

const documents: ReadonlyMap<string, DocumentKind> = new Map([
  [OCI_MANIFEST, "manifest"],
  [DOCKER_MANIFEST, "manifest"],
  [OCI_INDEX, "index"],
  [DOCKER_LIST, "index"],
]);

/** What a document of this media type is; undefined for one that we do not know. */
export function documentKind(mediaType: string): DocumentKind | undefined {
  return documents.get(mediaType);
}

export function isSchema1(mediaType: string): boolean {
  return mediaType.startsWith(SCHEMA1);
}

export function isConfig(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** Docker's documents always name their media type; OCI's may leave it to the descriptor. */
export function mustNameItself(mediaType: string): boolean {
  return mediaType === DOCKER_MANIFEST || mediaType === DOCKER_LIST;
}

const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
const OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar";

const layers: ReadonlyMap<string, Compression> = new Map([
  ...ociLayer(OCI_LAYER),
  ...ociLayer(OCI_FOREIGN),
  ...dockerLayer(DOCKER_LAYER),
  ...dockerLayer(DOCKER_FOREIGN),
]);

function ociLayer(name: string): [string, Compression][] {
  return [
    [name, "none"],
    [`${name}+gzip`, "gzip"],
    [`${name}+zstd`, "zstd"],
  ];
}

function dockerLayer(name: string): [string, Compression][] {
  return [
    [name, "none"],
    [`${name}.gzip`, "gzip"],
    [`${name}.zstd`, "zstd"],
  ];
}

/** The compression that a layer's media type declares; undefined when it is no layer's. */
export function layerCompression(mediaType: string): Compression | undefined {
  return layers.get(mediaType);
}
