/**
 * The documents in the root of an image's files that say in which form it is. They are only looked
 * at here, as loosely as the most tolerant tool would read them; whoever reads the image parses
 * them strictly.
 *
 * Spec: OCI image spec, image-layout.md; Docker image specification 1.2; containers-transports(5),
 * "dir".
 *
 * @module
 */

const NAMES = [
  "oci-layout",
  "index.json",
  "manifest.json",
  "version",
  "config.json",
  "manifest",
] as const;
export type DocumentName = (typeof NAMES)[number];

/** What a document is. */
export type DocumentKind =
  /** `oci-layout` of an OCI layout. */
  | "layout"
  /** `index.json` of an OCI layout. */
  | "index"
  /** `manifest.json` of a Docker archive. */
  | "docker"
  /** `manifest.json` of an image that skopeo has written as `dir:`, and `version` beside it. */
  | "manifest"
  | "version"
  /** `manifest.json` that lists nothing. */
  | "none"
  /** `config.json` of a bundle that a runtime starts. */
  | "runtime"
  /** `manifest` of an App Container image, as rkt ran them. */
  | "aci";

export function isDocumentName(name: string): name is DocumentName {
  return (NAMES as readonly string[]).includes(name);
}

/** The last part of a path, where it is the name of a document. */
export function documentNameOf(path: string): DocumentName | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return isDocumentName(name) ? name : undefined;
}

/** Whether only images have such a document. */
export function isImageDocument(kind: DocumentKind | undefined): boolean {
  return kind === "layout" || kind === "index" || kind === "docker" || kind === "manifest";
}

/** What the file of this name is; undefined when it only has the name. */
export function documentKind(name: DocumentName, bytes: Uint8Array): DocumentKind | undefined {
  const text = Buffer.from(bytes).toString();
  if (name === "version")
    return text.startsWith("Directory Transport Version:") ? "version" : undefined;
  const value = parsed(text);
  switch (name) {
    case "oci-layout":
      return has(value, "imagelayoutversion") ? "layout" : undefined;
    case "index.json":
      return has(value, "schemaversion", "manifests") ? "index" : undefined;
    case "manifest.json":
      if (Array.isArray(value) && value.length === 0) return "none";
      return isDockerManifest(value) ? "docker" : isManifest(value) ? "manifest" : undefined;
    case "config.json":
      return has(value, "ociversion") ? "runtime" : undefined;
    case "manifest":
      return has(value, "ackind") ? "aci" : undefined;
  }
}

function isDockerManifest(value: unknown): boolean {
  return Array.isArray(value) && value.some((image) => has(image, "config", "layers"));
}

function isManifest(value: unknown): boolean {
  if (!has(value, "schemaversion")) return false;
  return has(value, "manifests") || has(value, "layers") || has(value, "fslayers");
}

/** Whether an object has all of these names, which Go's decoder takes in any case. */
function has(value: unknown, ...names: string[]): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const own = new Set(Object.keys(value).map((name) => name.toLowerCase()));
  return names.every((name) => own.has(name));
}

function parsed(text: string): unknown {
  try {
    // A byte order mark, as PowerShell writes it, is refused later, by name.
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    return undefined;
  }
}
