/**
 * Files with credentials, as docker (`config.json`, once `.dockercfg`) and podman (`auth.json`)
 * write them: `auths` by registry, and the programs that keep them in place of the file
 * (`credHelpers`, `credsStore`).
 *
 * Spec: containers-auth.json(5).
 *
 * @module
 */
import { asObject, asString, optionalString } from "../../bytes/json-fields.ts";
import { type JsonObject, type JsonValue, parseJson } from "../../bytes/json.ts";
import { NotFoundError } from "../../errors.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";
import { TOKEN_USER } from "./credential-helper.ts";
import { registryOfKey, sameRegistry } from "./registry-key.ts";

/** Whom a registry knows us as. */
export type Credential =
  | { readonly user: string; readonly password: string }
  /** To be given for a token (OAuth2). */
  | { readonly identityToken: string }
  /** The token itself. */
  | { readonly registryToken: string };

/** What one file says. */
export class AuthFile {
  readonly #what: string;
  readonly #auths: JsonObject;
  readonly #helpers: JsonObject;
  readonly #store: string | undefined;

  /** @throws {@link FormatError} `MALFORMED` */
  constructor(document: JsonObject, what: string) {
    const section = (name: string): JsonObject => {
      const value = document.get(name);
      return value === undefined || value === null
        ? new Map<string, JsonValue>()
        : asObject(value, `${what}: ${name}`);
    };
    this.#what = what;
    this.#auths = section("auths");
    this.#helpers = section("credHelpers");
    this.#store = optionalString(document, "credsStore", what) || undefined;
  }

  /**
   * Undefined when there is no such file, or none that may be read.
   *
   * @throws {@link FormatError} for a file that is not as it has to be
   */
  static read(path: string): AuthFile | undefined {
    const bytes = readIfThere(path);
    return bytes && AuthFile.parse(bytes, path);
  }

  /** A `.dockercfg`, which is nothing but what `auths` is elsewhere; as {@link read}. */
  static readLegacy(path: string): AuthFile | undefined {
    const bytes = readIfThere(path);
    return bytes && new AuthFile(new Map([["auths", parseObject(bytes, path)]]), path);
  }

  static parse(bytes: Uint8Array, what: string): AuthFile {
    return new AuthFile(parseObject(bytes, what), what);
  }

  /** The helper that keeps the credentials of this very registry. */
  helperOf(host: string): string | undefined {
    for (const [key, value] of this.#helpers) {
      if (!sameRegistry(registryOfKey(key), host)) continue;
      const name = asString(value, `${this.#what}: credHelpers: ${key}`);
      if (name !== "") return name;
    }
    return undefined;
  }

  /** The helper that keeps the credentials of all others. */
  get store(): string | undefined {
    return this.#store;
  }

  /** How the file spells a registry, which is how its helper was told about it. */
  spellingsOf(host: string): string[] {
    return [...this.#auths.keys()].filter((key) => sameRegistry(registryOfKey(key), host));
  }

  /**
   * The credential for the longest part of a repository's path, else for its host. As for docker and
   * podman, an entry that holds no user and password is none; `onProblem` hears of one that is broken.
   *
   * @throws {@link FormatError} `MALFORMED` for an entry whose fields are of other types
   */
  credentialFor(
    host: string,
    repository: string,
    onProblem: (message: string) => void = () => undefined,
  ): Credential | undefined {
    const parts = repository.split("/");
    const paths = parts.map((_, i) => `${host}/${parts.slice(0, parts.length - i).join("/")}`);
    const namespaces = paths.flatMap((path) => [path, `${path}/`]);
    for (const key of new Set([...namespaces, host, ...this.spellingsOf(host)])) {
      const entry = this.#auths.get(key);
      if (entry === undefined || entry === null) continue;
      const what = `${this.#what}: ${key}`;
      const credential = parseEntry(asObject(entry, what), what, onProblem);
      if (credential !== undefined) return credential;
    }
    return undefined;
  }
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readUserFile(path, limits.authFileBytes, path);
  } catch (error) {
    if (error instanceof NotFoundError || errnoOf(error) === "EACCES") return undefined;
    throw failure(path, error);
  }
}

/** An empty file has no credentials; docker and mktemp make such files. */
function parseObject(bytes: Uint8Array, what: string): JsonObject {
  if (Buffer.from(bytes).toString("latin1").trim() === "") return new Map<string, JsonValue>();
  return asObject(parseJson(bytes, { what, maxBytes: limits.authFileBytes }), what);
}

function parseEntry(
  entry: JsonObject,
  what: string,
  onProblem: (message: string) => void,
): Credential | undefined {
  const field = (name: string) => optionalString(entry, name, what) || undefined;
  const identityToken = field("identitytoken");
  if (identityToken !== undefined) return { identityToken };
  const registryToken = field("registrytoken");
  if (registryToken !== undefined) return { registryToken };
  const auth = field("auth");
  const [user, password] =
    auth === undefined ? [field("username"), field("password")] : parseAuth(auth, what, onProblem);
  if (user === undefined || password === undefined) return undefined; // it is with a helper
  if (user === "" && password === "") return undefined; // it was logged out of
  return user === TOKEN_USER ? { identityToken: password } : { user, password };
}

function parseAuth(
  auth: string,
  what: string,
  onProblem: (message: string) => void,
): readonly string[] {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) {
    // The text is a secret, also when it is wrong.
    onProblem(
      `${what}: auth: expected USER:PASSWORD in base64; going on without it (podman login and docker login write it)`,
    );
    return [];
  }
  return [text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")];
}
