/**
 * Images in registries: `docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`, as skopeo and podman write
 * them (containers-transports(5); OCI distribution spec 1.1, "Pulling manifests").
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { type OciDigest, isDigest } from "./digest.ts";

export interface RegistryReference {
  readonly transport: "docker";
  /** With the port, where one is given. */
  readonly host: string;
  readonly repository: string;
  /** `latest` when neither tag nor digest is given. */
  readonly tag: string | undefined;
  readonly digest: OciDigest | undefined;
}

const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/;
const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const REPOSITORY_BYTES = 255;

const DOCKER = "docker.io";

/** @throws {@link UsageError} */
export function parseRegistryReference(text: string): RegistryReference {
  const bad = (why: string) =>
    new UsageError("USAGE", `${JSON.stringify(text.slice(0, 300))}: ${why}`, {
      hint: "expected docker://HOST[:PORT]/REPOSITORY[:TAG][@sha256:…]",
    });
  if (!text.startsWith("docker://")) throw bad("names no image in a registry");
  const name = text.slice("docker://".length);
  if (/^[^/@]*@[^/@]+\//.test(name)) {
    // Not repeated: it may have a password in it.
    throw new UsageError("USAGE", "a reference to a registry has credentials in it", {
      hint: "put them into an auth file (podman login, docker login), where nobody sees them",
    });
  }
  const at = name.indexOf("@");
  const digest = at < 0 ? undefined : name.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw bad("what follows @ is no digest");
  const [, place = "", tag] =
    /^(.*?)(?::([^/:]*))?$/s.exec(at < 0 ? name : name.slice(0, at)) ?? [];
  if (tag !== undefined && !TAG.test(tag)) throw bad("what follows the last : is no tag");
  const [host, repository] = splitPlace(place);
  if (!isHost(host)) throw bad("its first part is no host");
  if (!isRepository(repository)) {
    throw bad("what follows the host is no repository");
  }
  const implied = digest === undefined ? "latest" : undefined;
  return { transport: "docker", host, repository, tag: tag ?? implied, digest };
}

/**
 * The same where nothing else can be meant: `docker://` may be left out in front of a host.
 *
 * @throws {@link UsageError}
 */
export function parseRegistryArgument(text: string): RegistryReference {
  const isBare = startsWithHost(text) && !/^[a-z-]+:(?![0-9])/.test(text);
  return parseRegistryReference(isBare ? `docker://${text}` : text);
}

/** Whether a name begins with a registry, as `registry.example/app` does and `library/app` does not. */
export function startsWithHost(name: string): boolean {
  const slash = name.indexOf("/");
  return slash > 0 && (/[.:]/.test(name.slice(0, slash)) || name.startsWith("localhost/"));
}

function isRepository(text: string): boolean {
  return REPOSITORY.test(text) && text.length <= REPOSITORY_BYTES;
}

/** Whether a host and a repository are written as such. */
export function isPlace({ host, repository }: { host: string; repository: string }): boolean {
  return isHost(host) && isRepository(repository);
}

function isHost(text: string): boolean {
  // Neither a port over 65535 nor 1.2.3.400, which look like others.
  return HOST.test(text) && URL.canParse(`https://${text}/`);
}

/** `busybox` is `docker.io/library/busybox`, as everywhere. */
function splitPlace(place: string): [host: string, repository: string] {
  const slash = place.indexOf("/");
  const first = slash < 0 ? "" : place.slice(0, slash);
  const isHost = startsWithHost(place);
  if (isHost && first !== DOCKER && first !== "index.docker.io")
    return [first, place.slice(slash + 1)];
  const path = isHost ? place.slice(slash + 1) : place;
  return [DOCKER, path.includes("/") ? path : `library/${path}`];
}

export function formatRegistryReference(reference: RegistryReference): string {
  return `docker://${registryName(reference)}`;
}

/** The reference as a name: `HOST/REPOSITORY:TAG`. */
export function registryName({ host, repository, tag, digest }: RegistryReference): string {
  const mark = tag === undefined ? "" : `:${tag}`;
  return `${host}/${repository}${mark}${digest === undefined ? "" : `@${digest}`}`;
}

/** The host that answers for a registry. */
export function apiHost(host: string): string {
  return host === DOCKER ? "registry-1.docker.io" : host;
}
