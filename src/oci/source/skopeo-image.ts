/**
 * Images as skopeo and podman write them with `dir:`: `manifest.json` is the manifest or index
 * itself, blobs and the manifests of an index lie beside it, named by their digests.
 *
 * Spec: containers-transports(5), "dir".
 *
 * @module
 */
import { asObject, optionalString } from "../../bytes/json-fields.ts";
import { limits } from "../../limits.ts";
import { type BlobRange, type LayoutFiles, readFile } from "../blob.ts";
import type { Descriptor } from "../descriptor.ts";
import { type OciDigest, blobPath, digestOf } from "../digest.ts";
import type { OciImage } from "../image.ts";
import { parseOciJson } from "../oci-json.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../media-types.ts";
import type { PlatformQuestion } from "../image-search.ts";
import { ONLY } from "../reference.ts";
import { openIndexed } from "./oci-layout.ts";

/**
 * The image for `platform`. Owns `files`, also when it fails.
 *
 * @throws as `openLayout`
 */
export async function openSkopeoImage(
  files: LayoutFiles,
  question: PlatformQuestion,
): Promise<OciImage> {
  let top: Descriptor;
  try {
    const what = `${files.label}: manifest.json`;
    top = descriptorOf(readFile(files, "manifest.json", limits.manifestBytes, what), what);
  } catch (error) {
    files.close();
    throw error;
  }
  const index = { kind: "index", entries: [top], manifests: [top] } as const;
  return openIndexed(
    new SkopeoFiles(files, top.digest),
    index,
    { choice: ONLY, ...question },
    undefined,
  );
}

/** What a descriptor of the document would say; OCI's need not name their own type. */
function descriptorOf(bytes: Uint8Array, what: string): Descriptor {
  const document = asObject(parseOciJson(bytes, what), what);
  const own = optionalString(document, "mediaType", what);
  return {
    mediaType: own ?? (document.has("manifests") ? OCI_INDEX : OCI_MANIFEST),
    digest: digestOf(bytes),
    size: bytes.length,
    annotations: new Map(),
    platform: undefined,
    artifactType: undefined,
    urls: [],
  };
}

/** The same files under the paths that they would have in an OCI layout. */
class SkopeoFiles implements LayoutFiles {
  readonly label: string;
  readonly #files: LayoutFiles;
  readonly #manifest: OciDigest;

  constructor(files: LayoutFiles, manifest: OciDigest) {
    this.label = files.label;
    this.#files = files;
    this.#manifest = manifest;
  }

  has(path: string): boolean {
    return this.#files.has(this.#place(path));
  }

  open(path: string): BlobRange {
    return this.#files.open(this.#place(path));
  }

  close(): void {
    this.#files.close();
  }

  #place(path: string): string {
    if (path === blobPath(this.#manifest)) return "manifest.json";
    const [, algorithm, hex] = path.split("/");
    // Before version 1.1, blobs had a suffix; digests by anything but sha256 have a prefix.
    const names = [hex!, `${algorithm}-${hex}`, `${hex}.manifest.json`, `${hex}.tar`];
    return names.find((name) => this.#files.has(name)) ?? hex!;
  }
}
