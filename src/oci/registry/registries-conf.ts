/**
 * What this machine says about registries: where each really is, its mirrors, which may be asked
 * without TLS and which not at all, and what short names mean. One file, and those of the
 * directories `registries.conf.d` that belong to it, each of which says more or something else.
 *
 * Spec: containers-registries.conf(5), containers-registries.conf.d(5).
 *
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { configDirectory } from "../../fs/home.ts";
import { asArray, asObject, asString, optionalString } from "../../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../../bytes/json.ts";
import { parseToml } from "../../bytes/toml.ts";
import { FormatError, NotFoundError } from "../../errors.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";

/** A place of a registry, or of part of one: `HOST[:PORT][/NAMESPACE…]`. */
export interface RegistryLocation {
  readonly location: string;
  readonly insecure: boolean;
}

/** A mirror, and for which references it is asked. */
export interface RegistryMirror extends RegistryLocation {
  readonly pulls: "all" | "digest-only" | "tag-only";
}

/** One `[[registry]]`. */
export interface RegistryRule {
  /** The names that it is about; `*.DOMAIN` for hosts below one. */
  readonly prefix: string;
  /** Empty when names are left as they are. */
  readonly location: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly RegistryMirror[];
  /** The file that says so. */
  readonly file: string;
}

/** All files together. */
export interface RegistriesConf {
  readonly rules: readonly RegistryRule[];
  /** Registries in which names without one are searched; undefined when nothing is said. */
  readonly search: readonly string[] | undefined;
  /** Full names by short ones. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Who is asked for credentials, in this order: programs, and {@link AUTH_FILES}. */
  readonly helpers: readonly string[];
}

/** What stands for the files with credentials among the programs that keep such. */
export const AUTH_FILES = "containers-auth.json";

/** What one file says. */
type ConfFile = Omit<RegistriesConf, "helpers"> & {
  readonly helpers: readonly string[] | undefined;
};

/**
 * The configuration of this machine: `~/.config/containers/registries.conf` with the directory
 * beside it; else `/etc/containers/registries.conf` with both directories, in place of which
 * `$CONTAINERS_REGISTRIES_CONF` counts when it is set.
 *
 * @throws {@link FormatError} for a file that is not as it has to be
 * @throws {@link NotFoundError} `NO_FILE` for one that was named
 */
export function readRegistriesConf(env: NodeJS.ProcessEnv = process.env): RegistriesConf {
  const rules = new Map<string, RegistryRule>();
  const aliases = new Map<string, string>();
  let search: readonly string[] | undefined;
  let helpers: readonly string[] | undefined;
  for (const [i, path] of filesOf(env).entries()) {
    const file = readConf(path, i > 0);
    if (file === undefined) continue;
    for (const rule of file.rules) rules.set(rule.prefix, rule);
    for (const [alias, name] of file.aliases) {
      // An empty one takes back what an earlier file says.
      if (name === "") aliases.delete(alias);
      else aliases.set(alias, name);
    }
    search = file.search ?? search;
    helpers = file.helpers ?? helpers;
  }
  return { rules: [...rules.values()], search, aliases, helpers: helpers ?? [AUTH_FILES] };
}

function filesOf(env: NodeJS.ProcessEnv): string[] {
  const user = join(configDirectory(env), "containers");
  const system = "/etc/containers";
  const ofUser = join(user, "registries.conf");
  const named = env["CONTAINERS_REGISTRIES_CONF"] || env["REGISTRIES_CONFIG_PATH"];
  if (named && !existsSync(named)) {
    const message = `CONTAINERS_REGISTRIES_CONF in the environment: ${named}: no such file`;
    throw new NotFoundError("NO_FILE", message);
  }
  const isUsers = !named && existsSync(ofUser);
  const places = isUsers ? [user] : [system, user];
  const first = named || (isUsers ? ofUser : join(system, "registries.conf"));
  return [first, ...places.flatMap((place) => dropIns(join(place, "registries.conf.d")))];
}

function dropIns(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".conf"));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoOf(error) ?? "")) return [];
    throw failure(directory, error);
  }
}

function readConf(path: string, isDropIn: boolean): ConfFile | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readUserFile(path, limits.registriesConfBytes, path);
  } catch (error) {
    if (error instanceof NotFoundError || errnoOf(error) === "EACCES") return undefined;
    throw failure(path, error);
  }
  return parseRegistriesConf(bytes, path, isDropIn);
}

const VERSION_2 = ["registry", "unqualified-search-registries"];

/**
 * A file of version 2, or one of version 1 in its terms. Files of the directories are of version 2.
 *
 * @throws {@link FormatError}
 */
export function parseRegistriesConf(bytes: Uint8Array, what: string, isDropIn = false): ConfFile {
  const file = parseToml(bytes, what);
  const first = file.get("registries");
  if (first !== undefined) {
    const isMixed = VERSION_2.some((name) => file.has(name));
    if (!isDropIn && !isMixed) return parseVersion1(asObject(first, `${what}: registries`), what);
    const why = isMixed ? "mixes versions 1 and 2" : "expected version 2, got version 1";
    throw new FormatError("UNSUPPORTED", `${what}: ${why} ([registries.…])`, {
      hint: "say it as version 2: unqualified-search-registries and [[registry]]",
    });
  }
  const tables = file.get("registry");
  const strings = (name: string) => {
    const value = file.get(name);
    return value === undefined ? undefined : stringsOf(value, `${what}: ${name}`);
  };
  const aliases = file.get("aliases");
  return {
    rules:
      tables === undefined
        ? []
        : asArray(tables, `${what}: registry`).map((table, i) =>
            parseRule(asObject(table, `${what}: registry`), what, `${what}: registry ${i + 1}`),
          ),
    search: strings("unqualified-search-registries"),
    helpers: strings("credential-helpers"),
    aliases: new Map(
      aliases === undefined
        ? []
        : [...asObject(aliases, `${what}: aliases`)].map(([alias, name]) => [
            alias,
            asString(name, `${what}: aliases: ${alias}`),
          ]),
    ),
  };
}

function stringsOf(value: JsonValue, what: string): string[] {
  return asArray(value, what).map((name) => asString(name, what));
}

/** `[registries.search]`, `[registries.insecure]` and `[registries.block]`, each with `registries`. */
function parseVersion1(tables: JsonObject, what: string): ConfFile {
  const listed = (name: string): string[] => {
    const table = tables.get(name);
    const label = `${what}: registries.${name}`;
    const names = table === undefined ? undefined : asObject(table, label).get("registries");
    if (names === undefined) return [];
    return stringsOf(names, label).map((each) => plainLocation(each, label));
  };
  const insecure = new Set(listed("insecure"));
  const blocked = new Set(listed("block"));
  const rules = [...new Set([...insecure, ...blocked])].map((prefix) => ({
    prefix,
    location: prefix,
    insecure: insecure.has(prefix),
    blocked: blocked.has(prefix),
    mirrors: [],
    file: what,
  }));
  return { rules, search: listed("search"), aliases: new Map(), helpers: undefined };
}

function parseRule(table: JsonObject, file: string, what: string): RegistryRule {
  const given = locationOf(table, "location", what);
  const prefix = locationOf(table, "prefix", what) || given;
  if (prefix === "") {
    throw new FormatError("MALFORMED", `${what}: expected a prefix or a location, got neither`);
  }
  const isWild = prefix.startsWith("*.");
  if (prefix.slice(isWild ? 2 : 0).includes("*")) {
    const message = `${what}: prefix: expected * as the first part of a host alone`;
    throw new FormatError("MALFORMED", `${message}, got ${JSON.stringify(prefix)}`);
  }
  const digestOnly = flag(table, "mirror-by-digest-only", what);
  const mirrors = table.get("mirror");
  return {
    prefix,
    location: given === "" && !isWild ? prefix : given,
    insecure: flag(table, "insecure", what),
    blocked: flag(table, "blocked", what),
    mirrors:
      mirrors === undefined
        ? []
        : asArray(mirrors, `${what}: mirror`).map((mirror, i) =>
            parseMirror(mirror, digestOnly, `${what}: mirror ${i + 1}`),
          ),
    file,
  };
}

function parseMirror(value: JsonValue, digestOnly: boolean, what: string): RegistryMirror {
  const table = asObject(value, what);
  const location = locationOf(table, "location", what);
  if (location === "") throw new FormatError("MALFORMED", `${what}: expected a location, got none`);
  const pulls = optionalString(table, "pull-from-mirror", what) || "all";
  if (pulls !== "all" && pulls !== "digest-only" && pulls !== "tag-only") {
    const message = `${what}: pull-from-mirror: expected all, digest-only or tag-only`;
    throw new FormatError("MALFORMED", `${message}, got ${JSON.stringify(pulls)}`);
  }
  const insecure = flag(table, "insecure", what);
  return { location, insecure, pulls: digestOnly ? "digest-only" : pulls };
}

function locationOf(table: JsonObject, name: string, what: string): string {
  return plainLocation(optionalString(table, name, what) ?? "", `${what}: ${name}`);
}

function plainLocation(location: string, what: string): string {
  const text = location.replace(/\/+$/, "");
  if (!/^[a-z]+:\/\//i.test(text)) return text;
  throw new FormatError("MALFORMED", `${what}: expected no scheme, got ${text}`, {
    hint: "say HOST[:PORT][/NAMESPACE]; insecure = true for a registry without TLS",
  });
}

function flag(table: JsonObject, name: string, what: string): boolean {
  const value = table.get(name);
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new FormatError("MALFORMED", `${what}: ${name}: expected true or false`);
}
