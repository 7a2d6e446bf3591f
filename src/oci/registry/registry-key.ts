/**
 * Which registry is meant by a key of a file with credentials. docker and podman have written them
 * in many spellings: `HOST:PORT`, `https://HOST:PORT`, `https://HOST/v1/`, `HOST/v2/`, and for Docker
 * Hub several hosts.
 *
 * @module
 */

/** The host of a key, with its port; undefined for a namespace or repository of a registry. */
export function registryOfKey(key: string): string | undefined {
  const plain = key.replace(/^https?:\/\//i, "");
  const slash = plain.indexOf("/");
  if (slash < 0) return plain;
  // What has a scheme is the URL of an API; else a path is a namespace, unless it is the API's.
  const isApi = plain !== key || /^\/(?:v[12]\/?)?$/.test(plain.slice(slash));
  return isApi ? plain.slice(0, slash) : undefined;
}

/** What docker login uses for Docker Hub, with every program that keeps credentials. */
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

const DOCKER_HUB: ReadonlySet<string> = new Set([
  "docker.io",
  "index.docker.io",
  "registry-1.docker.io",
]);

export function isDockerHub(host: string): boolean {
  return DOCKER_HUB.has(host.toLowerCase());
}

/** Whether two hosts are one registry. */
export function sameRegistry(a: string | undefined, b: string): boolean {
  if (a === undefined) return false;
  const [one, other] = [a.toLowerCase(), b.toLowerCase()];
  if (isDockerHub(one)) return isDockerHub(other);
  return withoutPort(one) === withoutPort(other);
}

/** The port of https is the one that is meant without any. */
function withoutPort(host: string): string {
  return host.replace(/:443$/, "");
}
