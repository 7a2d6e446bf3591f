/**
 * Credentials for registries, where docker and podman keep them: `$REGISTRY_AUTH_FILE` alone when it is
 * set, else `$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json`,
 * `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`. Those for the longest part of the repository's
 * path count. Programs that keep credentials (`credHelpers`, `credsStore`) are asked.
 * Spec: containers-auth.json(5), docker-credential-helpers.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { asObject, asString, optionalString } from "../../bytes/json-fields.ts";
import { type JsonObject, parseJson } from "../../bytes/json.ts";
import { FormatError, NotFoundError, SystemError } from "../../errors.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";
import { errnoOf, failure } from "../../fs/failure.ts";

/** Whom a registry knows us as. */
export type Credential =
  | { readonly user: string; readonly password: string }
  /** To be given for a token (OAuth2). */
  | { readonly identityToken: string };

/**
 * The credential for a repository; undefined when none is kept.
 *
 * @param file in place of the usual files
 * @throws {@link FormatError} for a file that is not as it has to be; {@link SystemError} when a helper
 *   fails
 */
export async function findCredential(
  host: string,
  repository: string,
  file?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Credential | undefined> {
  const named = file ?? (env["REGISTRY_AUTH_FILE"] || undefined);
  if (named !== undefined) {
    const found = readAuthFile(named);
    if (found !== undefined) return await lookUp(found, named, host, repository);
    throw new NotFoundError("NO_FILE", `auth file ${named}: no such file`);
  }
  for (const path of usualFiles(env)) {
    const found = readAuthFile(path);
    const credential = found && (await lookUp(found, path, host, repository));
    if (credential !== undefined) return credential;
  }
  return undefined;
}

function usualFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env["HOME"] || homedir();
  const runtime = env["XDG_RUNTIME_DIR"] || `/run/user/${process.getuid?.() ?? 0}`;
  return [
    join(runtime, "containers/auth.json"),
    `/run/containers/${process.getuid?.() ?? 0}/auth.json`,
    join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "containers/auth.json"),
    join(env["DOCKER_CONFIG"] || join(home, ".docker"), "config.json"),
  ];
}

function readAuthFile(path: string): JsonObject | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readUserFile(path, limits.authFileBytes, path);
  } catch (error) {
    if (error instanceof NotFoundError || errnoOf(error) === "EACCES") return undefined;
    throw failure(path, error);
  }
  return asObject(parseJson(bytes, { what: path, maxBytes: limits.authFileBytes }), path);
}

async function lookUp(
  file: JsonObject,
  path: string,
  host: string,
  repository: string,
): Promise<Credential | undefined> {
  const section = (name: string) => {
    const value = file.get(name);
    return value === undefined || value === null ? undefined : asObject(value, `${path}: ${name}`);
  };
  const helper = section("credHelpers")?.get(host);
  if (helper !== undefined) return askHelper(asString(helper, `${path}: credHelpers`), host);
  const auths = section("auths");
  for (const key of keysFor(host, repository)) {
    const entry = auths && find(auths, key);
    if (entry === undefined) continue;
    const credential = parseEntry(asObject(entry, `${path}: ${key}`), `${path}: ${key}`);
    if (credential !== undefined) return credential;
  }
  const store = optionalString(file, "credsStore", path);
  return store === undefined || store === "" ? undefined : askHelper(store, host);
}

/** The longest part of the path first; then the host. */
function keysFor(host: string, repository: string): string[] {
  const parts = repository.split("/");
  const paths = parts.map((_, i) => `${host}/${parts.slice(0, parts.length - i).join("/")}`);
  return [...paths, host, ...(host === "docker.io" ? ["index.docker.io"] : [])];
}

/** docker login writes `https://HOST/v1/`. */
function find(auths: JsonObject, key: string) {
  const exact = auths.get(key);
  if (exact !== undefined) return exact;
  for (const [name, value] of auths) {
    if (name.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "") === key) return value;
  }
  return undefined;
}

function parseEntry(entry: JsonObject, what: string): Credential | undefined {
  const identityToken = optionalString(entry, "identitytoken", what);
  if (identityToken !== undefined && identityToken !== "") return { identityToken };
  const auth = optionalString(entry, "auth", what);
  if (auth === undefined || auth === "") return undefined; // it is with a helper
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  // What was there is a secret, also when it is wrong.
  if (colon < 0)
    throw new FormatError("MALFORMED", `${what}: auth: expected USER:PASSWORD in base64`);
  return { user: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
}

const HELPER_MS = 30_000;

async function askHelper(name: string, host: string): Promise<Credential | undefined> {
  const what = `docker-credential-${name}`;
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    throw new FormatError(
      "MALFORMED",
      `credential helper ${JSON.stringify(name)}: no program's name`,
    );
  }
  const server = host === "docker.io" ? "https://index.docker.io/v1/" : host;
  const answer = await runHelper(what, server);
  if (answer === undefined) return undefined;
  const object = asObject(parseJson(answer, { what, maxBytes: limits.authFileBytes }), what);
  const user = asString(object.get("Username"), `${what}: Username`);
  const password = asString(object.get("Secret"), `${what}: Secret`);
  return user === "<token>" ? { identityToken: password } : { user, password };
}

/** Undefined when the helper has nothing for that server. */
function runHelper(program: string, server: string): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: HELPER_MS,
      maxBuffer: limits.authFileBytes,
      encoding: "buffer",
    } as const;
    const child = execFile(program, ["get"], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (stdout.toString().includes("credentials not found")) resolve(undefined);
      else reject(new SystemError("IO", `${program}: failed`, { cause: error }));
    });
    child.stdin?.on("error", () => undefined).end(`${server}\n`);
  });
}
