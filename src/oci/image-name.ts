/**
 * Names of images as people shorten them.
 *
 * @module
 */

/** A repository tag with the parts that people leave out: `busybox` is docker.io/library/busybox:latest. */
export function fullName(name: string): string {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  const hasHost = /[.:]/.test(first) || first === "localhost";
  const path = hasHost ? name.slice(slash + 1) : name;
  const host = !hasHost || first === "index.docker.io" ? "docker.io" : first;
  const full = host === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return `${host}/${/[:@][^/]*$/.test(full) ? full : `${full}:latest`}`;
}
