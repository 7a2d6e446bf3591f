/**
 * The media type of a document of a registry: what its header says, or, where that is no type of such
 * documents (file servers and proxies say all kinds of things), what the document says of itself.
 * Whether it is one of that type shows when it is parsed.
 *
 * @module
 */
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../media-types.ts";

const KNOWN: ReadonlySet<unknown> = new Set([
  OCI_MANIFEST,
  OCI_INDEX,
  DOCKER_MANIFEST,
  DOCKER_LIST,
]);

/** `header` is the value of Content-Type; the result is in lower case and without parameters. */
export function documentType(header: string | undefined, bytes: Uint8Array): string {
  const type = (header ?? "")
    .replace(/\s*;.*$/s, "")
    .trim()
    .toLowerCase();
  return KNOWN.has(type) ? type : (ownType(bytes) ?? type);
}

function ownType(bytes: Uint8Array): string | undefined {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof document !== "object" || document === null) return undefined;
  const { mediaType, manifests, layers } = document as Record<string, unknown>;
  if (KNOWN.has(mediaType)) return mediaType as string;
  if (mediaType !== undefined) return undefined;
  if (Array.isArray(manifests)) return OCI_INDEX;
  return Array.isArray(layers) ? OCI_MANIFEST : undefined;
}
