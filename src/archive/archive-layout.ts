/**
 * An image on its way between machines: one tar archive that, unpacked, is itself a store.
 *
 * ```
 * meta.json                     as in every store
 * images/<id>                   -> ../objects/ab/cdef…
 * images/refs/<name>            -> ../<id>; absent when the image was exported by its id
 * bundles/<id>/….json           signed statements about it
 * seek/<id>/…                   the seek indexes that they name
 * objects/ab/cdef…              the image
 * objects/…                     its objects, by digest
 * ```
 *
 * In this order, so that a reader can check each object before the next one comes.
 *
 * Spec: POSIX.1-2017 pax, "pax Interchange Format" (ustar with extended headers).
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { decodeName } from "../store/names.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

/** What an entry's path says it is. */
export type ArchivePath =
  | { readonly kind: "meta" }
  | { readonly kind: "image"; readonly id: VerityDigest }
  | { readonly kind: "ref"; readonly name: string }
  | { readonly kind: "bundle"; readonly id: VerityDigest }
  | { readonly kind: "seek"; readonly id: VerityDigest; readonly digest: string }
  | { readonly kind: "object"; readonly digest: VerityDigest };

const HEX = "[0-9a-f]{64}(?:[0-9a-f]{64})?";
const IMAGE = new RegExp(`^images/(${HEX})$`);
const REF = /^images\/refs\/([^/]+)$/;
const BUNDLE = new RegExp(`^bundles/(${HEX})/[^/]+\\.json$`);
const SEEK = new RegExp(`^seek/(${HEX})/([0-9a-f]{64})$`);
const OBJECT = /^objects\/([0-9a-f]{2})\/([0-9a-f]{62}(?:[0-9a-f]{64})?)$/;

/**
 * Reads the path of an entry.
 *
 * @throws {@link FormatError} `MALFORMED` for a path that an exported image has not
 */
export function parseArchivePath(path: string): ArchivePath {
  if (path === "meta.json") return { kind: "meta" };
  const [, id] = IMAGE.exec(path) ?? [];
  if (id !== undefined) return { kind: "image", id: id as VerityDigest };
  const [, about] = BUNDLE.exec(path) ?? [];
  if (about !== undefined) return { kind: "bundle", id: about as VerityDigest };
  const [, of, digest] = SEEK.exec(path) ?? [];
  if (of !== undefined) {
    return { kind: "seek", id: of as VerityDigest, digest: `sha256:${digest}` };
  }
  const [, fan, rest] = OBJECT.exec(path) ?? [];
  if (fan !== undefined) return { kind: "object", digest: (fan + rest) as VerityDigest };
  const [, component] = REF.exec(path) ?? [];
  const name = component === undefined ? undefined : decodeName(component);
  if (name !== undefined) return { kind: "ref", name };
  throw new FormatError("MALFORMED", `archive: ${JSON.stringify(path)} is no part of an image`, {
    hint: "sealfs import reads what sealfs export wrote; sealfs build reads images of others",
  });
}
