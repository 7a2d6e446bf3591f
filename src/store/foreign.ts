/**
 * Directories with objects that other tools made. They are read where they lie, as additional
 * stores; nothing is ever written to them, as sealfs knows neither their locks nor what they keep.
 *
 * - a repository of composefs-rs: `objects/`, `images/`, `streams/`, in later versions `meta.json`;
 * - the object directory of `mkcomposefs --digest-store`, or the `objects/` of any store:
 *   `ab/cdef…` right below it.
 *
 * A repository of ostree is recognised, to say why it cannot be read: its files are named by
 * ostree's checksums, so none can be found by its verity digest.
 *
 * Spec: docs/store.md, "Foreign stores".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { VerityAlgorithm } from "../verity/verity-digest.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";

export type ForeignKind = "composefs-rs" | "digest-store";

/** What messages call each kind. */
export const foreignNames: Readonly<Record<ForeignKind, string>> = {
  "composefs-rs": "a repository of composefs-rs",
  "digest-store": "an object directory of mkcomposefs",
};

/** A directory of another tool. */
export interface ForeignStore {
  readonly kind: ForeignKind;
  readonly algorithm: VerityAlgorithm;
  /** The name of the directory with `ab/cdef…`; empty for the store itself. */
  readonly objects: string;
}

const FAN = /^[0-9a-f]{2}$/;
/** A digest without the two digits of its directory. */
const REST = /^(?:[0-9a-f]{62}|[0-9a-f]{126})$/;
const SHA256_REST_DIGITS = 62;

/** Whether a directory that has a `meta.json` is one that only composefs-rs has worked with. */
export function isComposefsRepository(files: HeldDirectory): boolean {
  return ["lock", "tmp"].every((name) => files.stat(name) === undefined) && hasStreams(files);
}

const hasStreams = (files: HeldDirectory) => isFolder(files, "streams");

/**
 * What the directory of another tool is, which has no `meta.json`; undefined when it is not one, or
 * holds no object yet.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for a repository of ostree
 * @throws {@link SystemError} when it cannot be read
 */
export function recogniseForeign(files: HeldDirectory): ForeignStore | undefined {
  if (files.stat("config") !== undefined && isFolder(files, "objects") && isFolder(files, "refs")) {
    throw new FormatError("UNSUPPORTED", `store ${files.path}: a repository of ostree`, {
      hint:
        "it names files by ostree's checksums, not by verity digests: take a checkout of it in " +
        "with sealfs build dir:CHECKOUT --reflink, which shares its blocks where that is possible",
    });
  }
  const own = algorithmIn(files, "");
  if (own !== undefined) return { kind: "digest-store", algorithm: own, objects: "" };
  if (!hasStreams(files)) return undefined;
  const algorithm = algorithmIn(files, "objects");
  if (algorithm === undefined) return undefined;
  return { kind: "composefs-rs", algorithm, objects: "objects" };
}

/** The algorithm of the first object found; all objects of a store have the same one. */
function algorithmIn(files: HeldDirectory, directory: string): VerityAlgorithm | undefined {
  for (const fan of files.names(directory)) {
    const name = directory === "" ? fan : `${directory}/${fan}`;
    if (!FAN.test(fan) || !isFolder(files, name)) continue;
    const object = files.names(name).find((rest) => REST.test(rest));
    if (object !== undefined) return object.length === SHA256_REST_DIGITS ? "sha256" : "sha512";
  }
  return undefined;
}

function isFolder(files: HeldDirectory, name: string): boolean {
  return files.stat(name)?.isDirectory() === true;
}
