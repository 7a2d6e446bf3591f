/**
 * `meta.json`: what a store is. The keys are those of composefs-rs, so that its tools can tell
 * the digest algorithm of our stores.
 *
 * Spec: docs/store.md, "meta.json".
 *
 * @module
 */
import { asArray, asObject, asSize, asString } from "../bytes/json-fields.ts";
import { type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError } from "../errors.ts";
import { type VerityAlgorithm, verityAlgorithms } from "../verity/verity-digest.ts";

/** The newest store format that this version reads and writes. */
export const STORE_VERSION = 1;

/** The fields of `meta.json` that sealfs reads. */
export interface StoreMeta {
  readonly version: number;
  readonly algorithm: VerityAlgorithm;
}

/** `fsverity-<hash>-<log2 of the block size>`. */
const ALGORITHM = /^fsverity-(sha256|sha512)-12$/;

/**
 * @throws {@link FormatError} `UNSUPPORTED` for a newer format or an unknown feature, `MALFORMED`
 *   for anything else that is not a store's `meta.json`
 */
export function parseMeta(bytes: Uint8Array): StoreMeta {
  const what = "store meta.json";
  const object = asObject(parseJson(bytes, { what }), what);
  const version = asSize(object.get("version"), `${what}: version`);
  if (version > STORE_VERSION || version < 1) {
    throw new FormatError(
      "UNSUPPORTED",
      `store: expected format version ${STORE_VERSION}, got ${version}`,
      version > STORE_VERSION ? { hint: "a newer sealfs made this store" } : {},
    );
  }
  const algorithm = asString(object.get("algorithm"), `${what}: algorithm`);
  const match = ALGORITHM.exec(algorithm);
  if (match === null) {
    const known = Object.keys(verityAlgorithms).map((name) => `fsverity-${name}-12`);
    throw new FormatError(
      "UNSUPPORTED",
      `${what}: expected algorithm ${known.join(" or ")}, got ${JSON.stringify(algorithm)}`,
    );
  }
  refuseUnknownFeatures(object.get("features"));
  return { version, algorithm: match[1] as VerityAlgorithm };
}

/** The text of `meta.json`. */
export function formatMeta(meta: StoreMeta): string {
  const document = { version: meta.version, algorithm: `fsverity-${meta.algorithm}-12` };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function refuseUnknownFeatures(features: JsonValue | undefined): void {
  if (features === undefined || features === null) return;
  const incompatible = asObject(features, "store features").get("incompatible");
  if (incompatible === undefined) return;
  for (const feature of asArray(incompatible, "store features: incompatible")) {
    throw new FormatError("UNSUPPORTED", `store: unknown feature ${JSON.stringify(feature)}`);
  }
}
