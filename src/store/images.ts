/**
 * The images of one store and their names: `images/<id>` and `images/refs/<name> -> ../<id>`, beside
 * which a name has a ref for each platform that it has an image for. Reading only; a transaction
 * writes them.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { basename } from "node:path";
import { FormatError, NotFoundError, UsageError } from "../errors.ts";
import { type VerityDigest, abbreviates } from "../verity/verity-digest.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import { type ImageRef, decodeRef, encodeRef, nearestRef } from "./image-ref.ts";
import { REFS, idOfRefTarget } from "./layout.ts";

/** An image and the names that lead to it. */
export interface ImageRecord {
  readonly id: VerityDigest;
  /** Sorted. */
  readonly names: readonly string[];
  /** For which it has one of the names; sorted. */
  readonly platforms: readonly string[];
}

/** An image that was looked up, and by which name; undefined when it was given by its id. */
export interface FoundImage {
  readonly id: VerityDigest;
  readonly name: string | undefined;
}

/** A ref, and where it leads. */
export interface StoredRef extends ImageRef {
  readonly id: VerityDigest;
}

const ID = /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/;

/** The index of images below one store. */
export class ImageIndex {
  readonly #files: HeldDirectory;

  constructor(files: HeldDirectory) {
    this.#files = files;
  }

  /** Whether `images/<id>` is there. */
  has(id: VerityDigest): boolean {
    return targetOf(this.#files, `images/${id}`) !== undefined;
  }

  /**
   * The id that a name leads to: of its images for platforms the one that is nearest to `platform`,
   * else what the name leads to by itself; undefined when the store has no such name.
   *
   * @throws {@link FormatError} `MALFORMED` when the ref is no symlink to an id
   */
  lookup(name: string, platform?: Platform): VerityDigest | undefined {
    const nearest = nearestRef(this.refsOf(name), platform);
    return nearest?.id ?? this.idOf({ name, platform: undefined });
  }

  /** The id that this very ref leads to; undefined when there is none. */
  idOf(ref: ImageRef): VerityDigest | undefined {
    return this.#idOf(encodeRef(ref), ref.name);
  }

  /** The refs of one name, the one without a platform first. */
  refsOf(name: string): StoredRef[] {
    return this.refPaths(name).flatMap((path) => this.#read(basename(path)) ?? []);
  }

  /** The same by their names in the store, wherever they lead; sorted. */
  refPaths(name: string): string[] {
    return this.#files
      .names(REFS)
      .filter((component) => decodeRef(component)?.name === name)
      .sort()
      .map((component) => `${REFS}/${component}`);
  }

  /**
   * An image given by name, as {@link lookup}, or by its id, whole or shortened. A name wins.
   *
   * @throws {@link NotFoundError} `NO_REF`
   * @throws {@link UsageError} when several ids begin like this
   */
  find(nameOrId: string, platform?: Platform): FoundImage {
    const id = this.lookup(nameOrId, platform);
    if (id !== undefined) return { id, name: nameOrId };
    const [found, ...others] = this.#idsLike(nameOrId);
    if (found === undefined) {
      throw new NotFoundError("NO_REF", `image ${nameOrId}: no such image in ${this.#files.path}`);
    }
    if (others.length > 0) {
      const count = others.length + 1;
      throw new UsageError("USAGE", `image ${nameOrId}: expected one id, got ${count} like this`, {
        hint: `give more of it, such as ${found.slice(0, nameOrId.length + 8)}`,
      });
    }
    return { id: found, name: undefined };
  }

  /** The id alone; as {@link find}. */
  resolve(nameOrId: string, platform?: Platform): VerityDigest {
    return this.find(nameOrId, platform).id;
  }

  #idsLike(text: string): VerityDigest[] {
    if (ID.test(text)) return this.has(text as VerityDigest) ? [text as VerityDigest] : [];
    return this.ids()
      .filter((id) => abbreviates(text, id))
      .sort();
  }

  /** Every ref, sorted. Those that sealfs does not make are left out. */
  refs(): StoredRef[] {
    return this.#files
      .names(REFS)
      .sort()
      .flatMap((component) => this.#read(component) ?? []);
  }

  /** Every id under `images/`, in no order. */
  ids(): VerityDigest[] {
    return this.#files.names("images").filter((entry): entry is VerityDigest => ID.test(entry));
  }

  /** Every image, sorted by id, with its names. */
  list(): ImageRecord[] {
    const refs = new Map<VerityDigest, StoredRef[]>(this.ids().map((id) => [id, []]));
    for (const ref of this.refs()) {
      const known = refs.get(ref.id);
      if (known === undefined) refs.set(ref.id, [ref]);
      else known.push(ref);
    }
    return [...refs]
      .map(([id, all]) => ({
        id,
        names: sorted(all.map(({ name }) => name)),
        platforms: sorted(all.flatMap(({ platform }) => platform && formatPlatform(platform))),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #read(component: string): StoredRef | undefined {
    const ref = decodeRef(component);
    if (ref === undefined) return undefined;
    const id = this.#idOf(component, ref.name);
    return id === undefined ? undefined : { ...ref, id };
  }

  #idOf(component: string, name: string): VerityDigest | undefined {
    const link = `${REFS}/${component}`;
    const target = targetOf(this.#files, link);
    if (target === undefined) return undefined;
    const id = idOfRefTarget(target);
    if (id !== undefined) return id;
    throw new FormatError(
      "MALFORMED",
      `image name ${name}: ${this.#files.pathOf(link)} does not lead to an image`,
    );
  }
}

/** Each once. */
function sorted(texts: readonly (string | undefined)[]): string[] {
  return [...new Set(texts)].filter((text) => text !== undefined).sort();
}

/** Target of a symlink, "" for anything else, undefined for what is not there. */
export function targetOf(files: HeldDirectory, name: string): string | undefined {
  try {
    return files.readLink(name);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return undefined;
    if (errno === "EINVAL") return "";
    throw failure(files.pathOf(name), error);
  }
}
