/**
 * What a mirror has to give under which path. Only these paths lead to anything, no part of a path
 * from outside is used as one of the file system before it has been taken apart into digests, and
 * what is not named by its own digest has to be what its place says: the store may be somebody
 * else's. Without this it could make a mirror that root runs give out other files.
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
import { closeSync, fstatSync } from "node:fs";
import { FormatError, IntegrityError, NotFoundError, TrustError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import type { OpenFile } from "../../fs/regular-file.ts";
import { limits } from "../../limits.ts";
import { readSeekLayers } from "../../seek/seek-index.ts";
import { readClaim } from "../../store/claims.ts";
import { META_FILE } from "../../store/layout.ts";
import { parseMeta } from "../../store/meta.ts";
import { decodeName } from "../../store/names.ts";
import { seekIndexOf } from "../../store/seek-indexes.ts";
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
/** Files that are remembered to be what they should be. */
const MOST_CHECKED = 4096;
const SHA256 = /^[0-9a-f]{64}$/;

/** Finds what a path of a request stands for. */
export class Resources {
  readonly #store: Store;
  readonly #leaves: LeafService;
  /** Names of good files, and which file that was. */
  readonly #checked = new Map<string, string>();

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
    if (kind === META_FILE && count === 1) return this.#meta();
    if (kind === "objects" && count === 3) return this.#object(digestOf(first, second));
    if (kind === "images" && count === 2) return this.#object(digestOf("", first));
    if (kind === "verity" && count === 3) return this.#leafHashes(digestOf(first, second));
    if (kind === "seek" && count === 3 && digestOf("", first) !== undefined) {
      return SHA256.test(second) ? this.#seekIndex(first, second) : undefined;
    }
    if (kind === "bundles" && count === 3 && digestOf("", first) !== undefined) {
      const file = bundleFile(second);
      return file === undefined ? undefined : this.#bundle(first, file);
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

  #meta(): Resource | undefined {
    const file = this.#file(META_FILE, limits.metaBytes, (bytes) => void parseMeta(bytes));
    return file && { ...file, etag: undefined, contentType: JSON_TYPE };
  }

  #bundle(id: string, name: string): Resource | undefined {
    const file = this.#file(`bundles/${id}/${name}`, limits.envelopeBytes, (bytes) => {
      const about = readClaim({ keyId: "", bytes }).id;
      if (about !== id) throw new FormatError("MALFORMED", `bundle about the image ${about}`);
    });
    return file && { ...file, etag: undefined, contentType: JSON_TYPE };
  }

  #seekIndex(id: string, sha256: string): Resource | undefined {
    const file = this.#file(`seek/${id}/${sha256}`, limits.seekIndexBytes, (bytes) => {
      const { digest } = seekIndexOf(bytes);
      if (digest !== `sha256:${sha256}`) throw new FormatError("MALFORMED", `index ${digest}`);
      readSeekLayers(bytes);
    });
    return file && { ...file, etag: `"${sha256}"`, contentType: BYTES };
  }

  /** A file that `check` does not refuse; it is asked again only when the file has changed. */
  #file(name: string, most: number, check: (bytes: Uint8Array) => void): OpenFile | undefined {
    const file = this.#store.files.openRegular(name, name);
    try {
      const { dev, ino, size, ctimeNs } = fstatSync(file.fd, { bigint: true });
      const seen = `${dev}:${ino}:${size}:${ctimeNs}`;
      if (this.#checked.get(name) === seen) return file;
      if (file.size > most) throw new FormatError("LIMIT", `${name}: too large`);
      const bytes = new Uint8Array(file.size);
      check(bytes.subarray(0, readFully(file.fd, bytes, 0)));
      if (this.#checked.size >= MOST_CHECKED) this.#checked.clear();
      this.#checked.set(name, seen);
      return file;
    } catch (error) {
      closeSync(file.fd);
      if (error instanceof FormatError || error instanceof TrustError) return undefined;
      throw error;
    }
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
