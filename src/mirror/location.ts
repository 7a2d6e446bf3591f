/**
 * Where a mirror is, as `--mirror` and `mirrors.json` say it:
 *
 * - `DIR`: a store, or a directory laid out like `objects/`;
 * - `http://…`, `https://…`: a web server over a store: `objects/ab/cdef…`, perhaps
 *   `verity/ab/cdef…`;
 * - `docker://HOST[:PORT]/REPO`: the image's layers in a registry;
 * - `oci:DIR`, `oci-archive:FILE`, `oci:https://…`: the image's layers in an OCI layout, an
 *   archive, or a plain web server over a layout.
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError } from "../errors.ts";

export type Location =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "http"; readonly url: URL }
  | { readonly kind: "registry"; readonly reference: string }
  | { readonly kind: "layout"; readonly path: string }
  | { readonly kind: "archive"; readonly path: string }
  | { readonly kind: "http-layout"; readonly url: URL };

/** @throws {@link UsageError} for anything else */
export function parseLocation(text: string): Location {
  if (text === "" || text.includes("\0")) throw bad(text, "expected a path or a URL");
  if (/^https?:/i.test(text)) return { kind: "http", url: parseBase(text) };
  if (/^oci:https?:/i.test(text)) return { kind: "http-layout", url: parseBase(text.slice(4)) };
  if (text.startsWith("docker://")) return { kind: "registry", reference: text };
  if (text.startsWith("oci-archive:")) return { kind: "archive", path: rest(text, "oci-archive:") };
  if (text.startsWith("oci:")) return { kind: "layout", path: rest(text, "oci:") };
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) {
    throw bad(text, "expected DIR, http(s)://…, docker://…, oci:… or oci-archive:…");
  }
  return { kind: "path", path: text };
}

/**
 * The same location, whatever directory it is seen from.
 *
 * @throws {@link UsageError} as {@link parseLocation}
 */
export function absoluteLocation(text: string): string {
  const location = parseLocation(text);
  switch (location.kind) {
    case "path":
      return resolve(location.path);
    case "layout":
      return `oci:${resolve(location.path)}`;
    case "archive":
      return `oci-archive:${resolve(location.path)}`;
    default:
      return text;
  }
}

/** A URL below which things lie: it ends with a slash, and holds nothing that is not a place. */
function parseBase(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw bad(text, "no URL", cause);
  }
  if (url.username !== "" || url.password !== "") {
    throw new UsageError("USAGE", `mirror ${url.protocol}//…@${url.host}: has credentials in it`, {
      hint: "put them into an auth file (podman login, docker login), where nobody sees them",
    });
  }
  if (url.search !== "" || url.hash !== "") throw bad(text, "expected no ? and no # in it");
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

function rest(text: string, transport: string): string {
  const path = text.slice(transport.length);
  if (path !== "") return path;
  throw bad(text, `expected a path after ${transport}`);
}

function bad(text: string, why: string, cause?: unknown): UsageError {
  return new UsageError("USAGE", `mirror ${JSON.stringify(text.slice(0, 200))}: ${why}`, { cause });
}
