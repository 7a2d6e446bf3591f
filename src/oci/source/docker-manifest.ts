/**
 * `manifest.json` of Docker archives: images as a configuration and layers, by their names in the
 * archive.
 *
 * Spec: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
 *
 * @module
 */
import type { ByteString } from "../../bytes/bytestring.ts";
import { asArray, asObject, asString } from "../../bytes/json-fields.ts";
import type { JsonValue } from "../../bytes/json.ts";
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { parseOciJson, verifyNames } from "../oci-json.ts";
import { memberName } from "./member-name.ts";

/** One image of an archive; all names are paths in the archive. */
export interface DockerImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/** @throws {@link FormatError} */
export function parseDockerManifest(bytes: Uint8Array, what: string): readonly DockerImage[] {
  return asArray(parseOciJson(bytes, what), what).map((value, i) => image(value, `${what}[${i}]`));
}

function image(value: JsonValue, what: string): DockerImage {
  const object = asObject(value, what);
  verifyNames(object, ["Config", "RepoTags", "Layers"], what);
  // Both lists are null when docker save had nothing to put in.
  const strings = (name: string) =>
    asArray(object.get(name) ?? [], `${what}: ${name}`).map((entry, i) =>
      asString(entry, `${what}: ${name}[${i}]`),
    );
  const layers = strings("Layers");
  if (layers.length > limits.layers) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${limits.layers} layers, got ${layers.length}`,
    );
  }
  const config = asString(object.get("Config"), `${what}: Config`);
  return {
    config: cleanName(config),
    tags: strings("RepoTags"),
    layers: layers.map(cleanName),
  };
}

function cleanName(path: string): string {
  return memberName(path as ByteString); // any text will do: the separators are ASCII
}
