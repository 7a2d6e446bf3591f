/**
 * Image configurations: the platform and the diffIDs of the layers (OCI image spec, config.md; the
 * fields read here are the same in Docker's).
 *
 * @module
 */
import { asArray, asObject, asString, optionalString } from "../bytes/json-fields.ts";
import type { JsonObject } from "../bytes/json.ts";
import { FormatError } from "../errors.ts";
import { type OciDigest, parseDigest } from "./digest.ts";
import { parseOciJson, verifyNames } from "./oci-json.ts";
import { type DeclaredPlatform, platformOf } from "../platform/platform.ts";

export interface ImageConfig {
  readonly platform: DeclaredPlatform;
  /** Digests of the uncompressed layers, the lowest first. */
  readonly diffIds: readonly OciDigest[];
  /** The whole document, read laxly: check names before their values are used. */
  readonly document: JsonObject;
}

const NOTHING: JsonObject = new Map();

/**
 * Reads a configuration. Of its many fields, which tools fill as they please, only these are looked
 * at.
 *
 * @throws {@link FormatError}
 */
export function parseConfig(bytes: Uint8Array, what: string): ImageConfig {
  const document = asObject(parseOciJson(bytes, what), what);
  verifyNames(document, ["architecture", "os", "variant", "rootfs"], what);
  const rootfs = asObject(document.get("rootfs") ?? NOTHING, `${what}: rootfs`);
  verifyNames(rootfs, ["type", "diff_ids"], `${what}: rootfs`);
  const type = optionalString(rootfs, "type", `${what}: rootfs`) || "layers";
  if (type !== "layers") {
    throw new FormatError(
      "UNSUPPORTED",
      `${what}: expected rootfs.type "layers", got ${JSON.stringify(type)}`,
    );
  }
  // Go writes an empty list that was never filled as null.
  const diffIds = asArray(rootfs.get("diff_ids") ?? [], `${what}: rootfs.diff_ids`);
  return {
    platform: platformOf(document, what),
    diffIds: diffIds.map((value, i) => {
      const where = `${what}: rootfs.diff_ids[${i}]`;
      return parseDigest(asString(value, where), where);
    }),
    document,
  };
}
