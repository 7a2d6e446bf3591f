/**
 * Where an image or a tree comes from, in the transport notation of skopeo and podman
 * (containers-transports(5)), plus `tar:`, `dir:`, `dump:`, bare paths and `-`.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { type OciDigest, isDigest } from "./digest.ts";
import {
  type RegistryReference,
  formatRegistryReference,
  parseRegistryReference,
} from "./registry-reference.ts";

/** Which image of a layout or archive; all undefined when there must be only one. */
export interface ImageChoice {
  /** The name it was given: `org.opencontainers.image.ref.name`, or a repository tag. */
  readonly tag: string | undefined;
  /** Its position in `index.json` or `manifest.json`, from 0. */
  readonly index: number | undefined;
  /** The digest of its manifest or index. */
  readonly digest: OciDigest | undefined;
}

export type SourceReference =
  | RegistryReference
  | ({ readonly transport: "oci"; readonly path: string } & ImageChoice)
  | ({ readonly transport: "oci-archive"; readonly path: string } & ImageChoice)
  | ({ readonly transport: "docker-archive"; readonly path: string } & ImageChoice)
  /** Plain layer tars, the lowest first; compressed or not, by content. */
  | { readonly transport: "tar"; readonly paths: readonly string[] }
  | { readonly transport: "dir"; readonly path: string }
  | { readonly transport: "dump"; readonly path: string }
  /** A bare path, to be recognised by what is there. */
  | { readonly transport: "path"; readonly path: string }
  /** An archive on standard input. */
  | { readonly transport: "stdin" };

/** No choice: the layout or archive must hold exactly one image. */
export const ONLY: ImageChoice = { tag: undefined, index: undefined, digest: undefined };

function copyFirst(text: string): string {
  return `make a copy first: skopeo copy ${text} oci-archive:image.tar`;
}

/** Transports and URLs of other tools, and what to write or do instead. */
const FOREIGN: readonly (readonly [RegExp, (text: string, rest: string) => string])[] = [
  [/^(?:docker-daemon|containers-storage|sif|tarball):/, copyFirst],
  [/^ostree:/, () => "check the commit out: ostree checkout --repo=REPO COMMIT DIR; build dir:DIR"],
  [
    /^ostree-(?:unverified|image)[a-z-]*:/,
    () => "name the image in its registry: docker://HOST/NAME",
  ],
  [/^atomic:/, () => "name the image in its registry: docker://HOST/NAME"],
  [/^static:/, () => "name where the image is: docker://HOST/NAME, oci:DIR or a file"],
  [/^(?:oci-layout|ocidir):(?:\/\/)?/, (_, rest) => `an OCI layout: oci:${rest || "DIR"}`],
  [/^file:(?:\/\/)?/, (_, rest) => `name the file itself: ${rest || "FILE"}`],
  [/^(?:https?|ftp):\/\//, (text) => `fetch it first: curl -L ${text} | sealfs build -`],
  [
    /^(?:docker-image|oras|registry|docker):\/\//i,
    (_, rest) => `an image in a registry: docker://${rest}`,
  ],
  [/^[a-z][a-z0-9+.-]*:\/\//i, () => `expected ${TRANSPORTS}, or a path`],
];

const TRANSPORTS = "docker://, oci:, oci-archive:, docker-archive:, tar:, dir: or dump:";

/**
 * Reads `SOURCE` as the command line gives it. Does not look at the file system.
 *
 * @throws {@link UsageError} when a transport is unknown or its path is empty
 */
export function parseSource(text: string): SourceReference {
  if (text === "-") return { transport: "stdin" };
  if (text.includes("\0"))
    throw new UsageError("USAGE", "source: expected a path, got a NUL in it");
  const [, transport, rest] =
    /^(oci|oci-archive|docker-archive|tar|dir|dump):(.*)$/s.exec(text) ?? [];
  switch (transport) {
    case "oci":
    case "oci-archive":
    case "docker-archive":
      return parseImage(transport, rest!);
    case "tar": {
      const paths = rest!.split(",");
      for (const path of paths) verifyPath(path, "tar:FILE[,FILE…]");
      return { transport, paths };
    }
    case "dir":
    case "dump":
      verifyPath(rest!, `${transport}:PATH`);
      return { transport, path: rest! };
  }
  if (text.startsWith("docker:")) return parseRegistryReference(text);
  for (const [pattern, remedy] of FOREIGN) {
    const [prefix] = pattern.exec(text) ?? [];
    if (prefix === undefined) continue;
    throw new UsageError("USAGE", `source: transport of ${JSON.stringify(text)} is not supported`, {
      hint: remedy(text, text.slice(prefix.length)),
    });
  }
  verifyPath(text, "a path");
  return { transport: "path", path: text };
}

/** `PATH`, `PATH:TAG` (the first colon divides), `PATH:@INDEX`, `PATH@sha256:…`, `PATH:@sha256:…`. */
function parseImage(
  transport: "oci" | "oci-archive" | "docker-archive",
  rest: string,
): SourceReference {
  const colon = rest.indexOf(":");
  // A path may end with `@sha256` itself, before `:@…`.
  const pinned = /^([^:]*?)@((?:sha256|sha512):(?!@).*)$/s.exec(rest);
  const path = pinned ? pinned[1]! : colon < 0 ? rest : rest.slice(0, colon);
  const choice = pinned ? `@${pinned[2]!}` : colon < 0 ? undefined : rest.slice(colon + 1);
  verifyPath(path, `${transport}:PATH[:TAG]`);
  return { transport, path, ...(choice === undefined ? ONLY : parseChoice(choice, transport)) };
}

function parseChoice(text: string, transport: string): ImageChoice {
  if (!text.startsWith("@")) {
    if (text !== "") return { ...ONLY, tag: text };
    throw new UsageError("USAGE", `source: expected a tag after ${transport}:PATH:, got nothing`);
  }
  const at = text.slice(1);
  if (/^(0|[1-9][0-9]{0,8})$/.test(at)) return { ...ONLY, index: Number(at) };
  if (isDigest(at)) return { ...ONLY, digest: at };
  throw new UsageError(
    "USAGE",
    `source: expected @INDEX or @sha256:<64 hex>, got ${JSON.stringify(text)}`,
  );
}

function verifyPath(path: string, notation: string): void {
  if (path === "") throw new UsageError("USAGE", `source: expected ${notation}, got an empty path`);
}

/** The notation of a reference, for messages and statements. */
export function formatSource(reference: SourceReference): string {
  switch (reference.transport) {
    case "docker":
      return formatRegistryReference(reference);
    case "stdin":
      return "-";
    case "tar":
      return `tar:${reference.paths.join(",")}`;
    case "path":
      return reference.path;
    case "dir":
    case "dump":
      return `${reference.transport}:${reference.path}`;
    default: {
      const { transport, path, tag, index, digest } = reference;
      const choice = tag ?? (index === undefined ? digest && `@${digest}` : `@${index}`);
      return choice === undefined ? `${transport}:${path}` : `${transport}:${path}:${choice}`;
    }
  }
}
