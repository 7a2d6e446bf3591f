/**
 * Where things lie in a store:
 *
 * ```
 * meta.json                    format version, digest algorithm
 * objects/ab/cdef…             content, mode 0444, name = verity digest
 * verity/ab/cdef…              leaf hashes of large objects, an untrusted cache
 * images/<id>                  -> ../objects/ab/cdef…; images/refs/<name> -> ../<id>
 * bundles/<id>/<key id>~….json  signed statements, one per signer and name
 * seek/<id>/<sha256>           seek indexes: one for each form of its layers
 * layers/                      what layers hold, for the next build: see `layers/`
 * leases/ tmp/ quarantine/ lock lock.gate
 * ```
 *
 * `objects/` has the layout of `mkcomposefs --digest-store`, and with `images/` that of a
 * composefs-rs repository.
 *
 * Spec: docs/store.md, "Layout".
 *
 * @module
 */
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";

/** What is remembered of layers, of their blobs, and which of it images were built of. */
export const LAYER_ENTRIES = "layers/entries";
export const LAYER_BLOBS = "layers/blobs";
export const IMAGE_LAYERS = "layers/images";

/** Those that stores have only since layers are remembered; made when they are needed. */
export const layerDirectories = ["layers", LAYER_ENTRIES, LAYER_BLOBS, IMAGE_LAYERS] as const;

/** The directories of a store, in the order in which `create` makes them. */
export const storeDirectories = [
  "objects",
  "verity",
  "images",
  "images/refs",
  "bundles",
  "seek",
  ...layerDirectories,
  "leases",
  "tmp",
  "quarantine",
] as const;

/** `00` to `ff`: the directories below `objects/`. */
export const fanOut: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

export const META_FILE = "meta.json";
export const LOCK_FILE = "lock";
/** Taken before the lock; see `lock.ts`. Made when it is needed. */
export const GATE_FILE = "lock.gate";
/** Names in `tmp/` of large objects that were fetched in part; see `partial-file.ts`. */
export const PARTIAL_PREFIX = "partial-";
export const REFS = "images/refs";
export const TMP = "tmp";
export const QUARANTINE = "quarantine";

/** The target of `images/<id>`. */
export function imageLinkTarget(id: VerityDigest): string {
  return `../objects/${objectPath(id)}`;
}

/** The target of `images/refs/<name>`. */
export function refLinkTarget(id: VerityDigest): string {
  return `../${id}`;
}

const REF_TARGET = /^\.\.\/([0-9a-f]{64}|[0-9a-f]{128})$/;

/** The id that the target of a ref's symlink names; undefined when it names none. */
export function idOfRefTarget(target: string): VerityDigest | undefined {
  return REF_TARGET.exec(target)?.[1] as VerityDigest | undefined;
}
