/**
 * Names of images as people shorten them, and as a reference gives them.
 *
 * @module
 */
import type { SourceReference } from "./reference.ts";
import { registryName, startsWithHost } from "./registry-reference.ts";

/** A repository tag with the parts that people leave out: `busybox` is docker.io/library/busybox:latest. */
export function fullName(name: string): string {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  const hasHost = startsWithHost(name);
  const path = hasHost ? name.slice(slash + 1) : name;
  const host = !hasHost || first === "index.docker.io" ? "docker.io" : first;
  const full = host === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return `${host}/${/[:@][^/]*$/.test(full) ? full : `${full}:latest`}`;
}

/**
 * The name that a reference gives its image: registry, repository and tag. Undefined where it says no
 * tag, or one that names no registry: what is signed is found under it by everybody.
 */
export function nameGivenBy(reference: SourceReference): string | undefined {
  if (!("tag" in reference) || reference.tag === undefined) return undefined;
  if (reference.transport === "docker") return registryName({ ...reference, digest: undefined });
  return startsWithHost(reference.tag) ? fullName(reference.tag) : undefined;
}
