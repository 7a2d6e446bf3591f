/**
 * What a mirror has to give under which path. Only these paths lead to anything, and no part of a
 * path from outside is used as one of the file system before it has been taken apart into digests:
 *
 * ```
 * objects/ab/cdef…       the object                      immutable
 * verity/ab/cdef…        its leaf hashes, when large     immutable
 * images/<id>            the image                       immutable
 * seek/<id>/<sha256>     its seek indexes                immutable
 * bundles/<id>/<file>    signed statements about it      may be replaced
 * meta.json              version and algorithm           may be replaced
 * ```
 *
 * Spec: docs/registry-artifact.md, "HTTP mirror".
 *
 * @module
 */
import { FormatError, IntegrityError, NotFoundError } from "../../errors.ts";
import { META_FILE } from "../../store/layout.ts";
import { openRegular } from "../../fs/regular-file.ts";
import { decodeName } from "../../store/names.ts";
import type { Store } from "../../store/store.ts";
import { type VerityDigest, parseVerityDigest } from "../../verity/verity-digest.ts";
import type { LeafService } from "./leaf-service.ts";

/** Something that can be given out. */
export interface Resource {
  /** The descriptor, the taker's to close. */
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** A strong entity tag, with its quotes; undefined when the content may change under it. */
  readonly etag: string | undefined;
  readonly contentType: string;
}

const BYTES = "application/octet-stream";
const JSON_TYPE = "application/json";
const SHA256 = /^[0-9a-f]{64}$/;

/** Finds what a path of a request stands for. */
export class Resources {
  readonly #store: Store;
  readonly #leaves: LeafService;

  constructor(store: Store, leaves: LeafService) {
    this.#store = store;
    this.#leaves = leaves;
  }

  /**
   * Opens what `path` leads to, without its leading slash and still percent-encoded; undefined when
   * that is nothing.
   *
   * @throws {@link SystemError} when what is there cannot be opened
   */
  async open(path: string): Promise<Resource | undefined> {
    try {
      return await this.#open(path.split("/"));
    } catch (error) {
      // A fifo or symlink in the place of an object is nothing that this mirror has.
      if (error instanceof NotFoundError || error instanceof IntegrityError) return undefined;
      throw error;
    }
  }

  async #open(parts: readonly string[]): Promise<Resource | undefined> {
    const [kind, first = "", second = ""] = parts;
    const count = parts.length;
    if (kind === META_FILE && count === 1) return this.#file(META_FILE, JSON_TYPE);
    if (kind === "objects" && count === 3) return this.#object(digestOf(first, second));
    if (kind === "images" && count === 2) return this.#object(digestOf("", first));
    if (kind === "verity" && count === 3) return this.#leafHashes(digestOf(first, second));
    if (kind === "seek" && count === 3 && digestOf("", first) !== undefined) {
      return SHA256.test(second) ? this.#file(`seek/${first}/${second}`, BYTES, second) : undefined;
    }
    if (kind === "bundles" && count === 3 && digestOf("", first) !== undefined) {
      const file = bundleFile(second);
      return file === undefined ? undefined : this.#file(`bundles/${first}/${file}`, JSON_TYPE);
    }
    return undefined;
  }

  #object(digest: VerityDigest | undefined): Resource | undefined {
    if (digest === undefined) return undefined;
    const file = this.#store.objects.openFile(digest);
    return { ...file, etag: `"${digest}"`, contentType: BYTES };
  }

  async #leafHashes(digest: VerityDigest | undefined): Promise<Resource | undefined> {
    if (digest === undefined) return undefined;
    const file = await this.#leaves.open(digest);
    return file && { ...file, etag: `"leaves-${digest}"`, contentType: BYTES };
  }

  /** A file that may be replaced, unless it is named by its content. */
  #file(path: string, contentType: string, sha256?: string): Resource {
    const file = openRegular(`${this.#store.path}/${path}`, path);
    return { ...file, etag: sha256 === undefined ? undefined : `"${sha256}"`, contentType };
  }
}

/** The name of a bundle's file, which has percent signs of its own; undefined for anything else. */
function bundleFile(encoded: string): string | undefined {
  try {
    const name = decodeURIComponent(encoded);
    return name.endsWith(".json") && decodeName(name) !== undefined ? name : undefined;
  } catch {
    return undefined; // not UTF-8
  }
}

/** The digest of an object's path; undefined for anything else. */
function digestOf(fan: string, rest: string): VerityDigest | undefined {
  const text = fan + rest;
  if (fan !== "" && fan.length !== 2) return undefined;
  try {
    return parseVerityDigest(text);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
