/**
 * Where the code of a thread or a server process is: beside its caller, and compiled. Node 20 cannot
 * load TypeScript in a new thread, so callers that run from `src/` get the file in `dist/`.
 *
 * @module
 */

/** The compiled module `file` (such as `./inflate-worker.ts`) next to the module `from`. */
export function workerUrl(from: string, file: string): URL {
  const url = new URL(file, from);
  if (!from.endsWith(".ts")) {
    url.pathname = url.pathname.replace(/\.ts$/, ".js");
    return url;
  }
  const at = url.pathname.lastIndexOf("/src/");
  const path = `${url.pathname.slice(0, at)}/dist/${url.pathname.slice(at + "/src/".length)}`;
  url.pathname = path.replace(/\.ts$/, ".js");
  return url;
}
