/**
 * Mirrors that are asked every time, in a file: `--mirrors FILE`, or the first that is there of
 * `$XDG_CONFIG_HOME/sealfs/mirrors.json` (`~/.config/sealfs/mirrors.json`) and
 * `/etc/sealfs/mirrors.json`. JSON, read strictly; its schema is `keys/mirrors.schema.json`.
 *
 * ```json
 * {"mirrors":[
 *   {"location":"/mnt/share/store"},
 *   {"location":"https://mirror.example/sealfs","names":["registry.example/**"],
 *    "caFile":"/etc/sealfs/mirror-ca.pem","rateLimit":4000000},
 *   {"location":"docker://registry.example/app","names":["registry.example/app:*"],
 *    "authFile":"/etc/sealfs/auth.json"}]}
 * ```
 *
 * They are asked in this order. Relative paths start at the file's directory. `comment` and `$schema`
 * are for people and editors.
 *
 * Spec: docs/policy.md, "Mirrors file".
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { configDirectory } from "../fs/home.ts";
import { asArray, asObject, asSize, asString, optionalString } from "../bytes/json-fields.ts";
import { type JsonObject, type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError, NotFoundError, SealfsError } from "../errors.ts";
import { readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";
import { defined } from "../optional.ts";
import { NamePattern } from "../trust/name-pattern.ts";
import { type Location, parseLocation } from "./location.ts";

/** How a mirror is reached. */
export interface MirrorReach {
  /** PEM certificates to trust beside the system's, for this mirror alone. */
  readonly caFile?: string | undefined;
  /** Credentials, in the format of docker and podman. */
  readonly authFile?: string | undefined;
  /** May be asked over plain http though it is on another machine, or show any certificate. */
  readonly insecure?: boolean | undefined;
}

/** One mirror, and how it is to be asked. */
export interface MirrorEntry extends MirrorReach {
  readonly location: Location;
  /** Names of images that it serves; undefined for all. */
  readonly names?: readonly NamePattern[];
  /** Bytes per second. */
  readonly rateLimit?: number;
}

/** Fields of the objects of the file; all others are refused. */
export const mirrorsFields = {
  file: ["$schema", "comment", "mirrors"],
  mirror: ["comment", "location", "names", "caFile", "authFile", "rateLimit", "insecure"],
} as const;

/** Less would look like a mirror that hangs. */
const LEAST_RATE_LIMIT = 4096;

/** The file that is read when none is named; undefined when there is none. */
export function findMirrorsFile(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const config = configDirectory(env);
  const places = [join(config, "sealfs/mirrors.json"), "/etc/sealfs/mirrors.json"];
  return places.find((path) => existsSync(path));
}

/** Said in place of a file: no mirrors that are always asked. */
export const NO_MIRRORS = "none";

/**
 * @throws {@link NotFoundError} `NO_FILE`
 * @throws {@link FormatError} for a file that is not as it has to be
 */
export function readMirrorsFile(path: string): MirrorEntry[] {
  let bytes: Uint8Array;
  try {
    bytes = readUserFile(path, limits.mirrorsBytes, path);
  } catch (cause) {
    if (cause instanceof SealfsError) throw cause;
    throw new NotFoundError("NO_FILE", `${path}: cannot be read`, { cause });
  }
  return parseMirrors(bytes, dirname(resolve(path)), path);
}

/** The mirrors in the bytes of a file; relative paths in it start at `directory`. */
export function parseMirrors(bytes: Uint8Array, directory: string, what: string): MirrorEntry[] {
  const value = parseJson(bytes, { what, maxBytes: limits.mirrorsBytes });
  const file = asObject(value, what);
  onlyFields(file, mirrorsFields.file, what);
  optionalString(file, "comment", what);
  const mirrors = asArray(file.get("mirrors"), `${what}: mirrors`);
  requireAtMost(mirrors.length, limits.mirrors, `${what}: mirrors`);
  return mirrors.map((mirror, i) => readMirror(mirror, directory, `${what}: mirror ${i}`));
}

function readMirror(value: JsonValue, directory: string, what: string): MirrorEntry {
  const mirror = asObject(value, what);
  onlyFields(mirror, mirrorsFields.mirror, what);
  optionalString(mirror, "comment", what);
  const file = (name: string) => {
    const path = optionalString(mirror, name, what);
    return path === undefined ? undefined : resolve(directory, path);
  };
  const location = refusing(what, () =>
    parseLocation(asString(mirror.get("location"), `${what}: location`)),
  );
  const caFile = file("caFile");
  const authFile = file("authFile");
  return {
    location:
      "path" in location ? { ...location, path: resolve(directory, location.path) } : location,
    ...readNames(mirror, what),
    ...defined({ caFile, authFile }),
    ...readRateLimit(mirror, what),
    ...readInsecure(mirror, what),
  };
}

function readNames(mirror: JsonObject, what: string): Pick<MirrorEntry, "names"> {
  if (!mirror.has("names")) return {};
  const names = asArray(mirror.get("names"), `${what}: names`);
  requireAtMost(names.length, limits.mirrorNames, `${what}: names`);
  return {
    names: names.map((name) =>
      refusing(what, () => new NamePattern(asString(name, `${what}: name`), `${what}: name`)),
    ),
  };
}

function readRateLimit(mirror: JsonObject, what: string): Pick<MirrorEntry, "rateLimit"> {
  if (!mirror.has("rateLimit")) return {};
  const rateLimit = asSize(mirror.get("rateLimit"), `${what}: rateLimit`);
  if (rateLimit >= LEAST_RATE_LIMIT) return { rateLimit };
  const message = `${what}: rateLimit: expected at least ${LEAST_RATE_LIMIT} bytes per second`;
  throw new FormatError("OUT_OF_RANGE", `${message}, got ${rateLimit}`);
}

function readInsecure(mirror: JsonObject, what: string): Pick<MirrorEntry, "insecure"> {
  const insecure = mirror.get("insecure");
  if (insecure === undefined) return {};
  if (typeof insecure === "boolean") return { insecure };
  throw new FormatError("MALFORMED", `${what}: insecure: expected true or false`);
}

function onlyFields(object: JsonObject, allowed: readonly string[], what: string): void {
  const unknown = [...object.keys()].find((name) => !allowed.includes(name));
  if (unknown === undefined) return;
  throw new FormatError(
    "MALFORMED",
    `${what}: unknown field ${JSON.stringify(unknown)}; expected ${allowed.join(", ")}`,
  );
}

function requireAtMost(count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new FormatError("LIMIT", `${what}: expected at most ${most}, got ${count}`);
}

/** What a value's own parser says against it, as an error of the file. */
function refusing<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SealfsError) || error instanceof FormatError) throw error;
    const message = error.message.startsWith(what) ? error.message : `${what}: ${error.message}`;
    throw new FormatError("MALFORMED", message, { cause: error });
  }
}
