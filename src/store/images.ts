/**
 * The images of one store and their names: `images/<id>` and `images/refs/<name> -> ../<id>`.
 * Reading only; a transaction writes them.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { FormatError, NotFoundError } from "../errors.ts";
import { type VerityDigest, parseVerityDigest } from "../verity/verity-digest.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { REFS, idOfRefTarget } from "./layout.ts";
import { decodeName, encodeName } from "./names.ts";

/** An image and the names that lead to it. */
export interface ImageRecord {
  readonly id: VerityDigest;
  /** Sorted. */
  readonly names: readonly string[];
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

  /** Whether something stands under this name, wherever it leads. */
  hasName(name: string): boolean {
    return targetOf(this.#files, `${REFS}/${encodeName(name)}`) !== undefined;
  }

  /**
   * The id that a name leads to; undefined when the store has no such name.
   *
   * @throws {@link FormatError} `MALFORMED` when the ref is no symlink to an id
   */
  lookup(name: string): VerityDigest | undefined {
    return this.#idOf(encodeName(name), name);
  }

  /**
   * The id of an image given by name or by its id. A name wins.
   *
   * @throws {@link NotFoundError} `NO_REF`
   */
  resolve(nameOrId: string): VerityDigest {
    const id = this.lookup(nameOrId);
    if (id !== undefined) return id;
    if (ID.test(nameOrId) && this.has(parseVerityDigest(nameOrId))) {
      return nameOrId as VerityDigest;
    }
    throw new NotFoundError("NO_REF", `image ${nameOrId}: no such image in ${this.#files.path}`);
  }

  /** Every name with its id, sorted by name. Names that sealfs does not make are left out. */
  refs(): ReadonlyMap<string, VerityDigest> {
    const refs: [string, VerityDigest][] = [];
    for (const component of this.#files.names(REFS)) {
      const name = decodeName(component);
      if (name === undefined) continue;
      const id = this.#idOf(component, name);
      if (id !== undefined) refs.push([name, id]);
    }
    return new Map(refs.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Every id under `images/`, in no order. */
  ids(): VerityDigest[] {
    return this.#files.names("images").filter((entry): entry is VerityDigest => ID.test(entry));
  }

  /** Every image, sorted by id, with its names. */
  list(): ImageRecord[] {
    const names = new Map<VerityDigest, string[]>(this.ids().map((id) => [id, []]));
    for (const [name, id] of this.refs()) {
      const known = names.get(id);
      if (known === undefined) names.set(id, [name]);
      else known.push(name);
    }
    return [...names]
      .map(([id, all]) => ({ id, names: all }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
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
