/**
 * Image configurations: the platform and the diffIDs of the layers (OCI image spec, config.md; the
 * fields read here are the same in Docker's).
 *
 * @module
 */
import { asArray, asObject, asString, optionalString } from "../bytes/json-fields.ts";
import { type JsonObject, parseJson } from "../bytes/json.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { verifyNames } from "./descriptor.ts";
import { type OciDigest, parseDigest } from "./digest.ts";
import { type Platform } from "./platform.ts";

export interface ImageConfig {
  readonly platform: Platform;
  /** Digests of the uncompressed layers, the lowest first. */
  readonly diffIds: readonly OciDigest[];
  /** RFC 3339 time, as written; undefined when not given. */
  readonly created: string | undefined;
  /** The whole document. */
  readonly document: JsonObject;
}

/** @throws {@link FormatError} */
export function parseConfig(bytes: Uint8Array, what: string): ImageConfig {
  const document = asObject(parseJson(bytes, { what, maxBytes: limits.manifestBytes }), what);
  verifyNames(document, ["architecture", "os", "variant", "rootfs"], what);
  const rootfs = asObject(document.get("rootfs"), `${what}: rootfs`);
  verifyNames(rootfs, ["type", "diff_ids"], `${what}: rootfs`);
  const type = asString(rootfs.get("type"), `${what}: rootfs.type`);
  if (type !== "layers") {
    throw new FormatError(
      "UNSUPPORTED",
      `${what}: expected rootfs.type "layers", got ${JSON.stringify(type)}`,
    );
  }
  // Go writes an empty list that was never filled as null.
  const diffIds = asArray(rootfs.get("diff_ids") ?? [], `${what}: rootfs.diff_ids`);
  return {
    platform: {
      os: asString(document.get("os"), `${what}: os`),
      architecture: asString(document.get("architecture"), `${what}: architecture`),
      variant: optionalString(document, "variant", what) || undefined,
    },
    diffIds: diffIds.map((value, i) => {
      const where = `${what}: rootfs.diff_ids[${i}]`;
      return parseDigest(asString(value, where), where);
    }),
    created: optionalString(document, "created", what),
    document,
  };
}
