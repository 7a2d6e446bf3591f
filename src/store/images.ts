/**
 * The images of one store and their names: `images/<id>` and `images/refs/<name> -> ../<id>`.
 * Reading only; a transaction writes them.
 *
 * Spec: docs/store.md, "Images and names".
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { FormatError, NotFoundError } from "../errors.ts";
import { type VerityDigest, parseVerityDigest } from "../verity/verity-digest.ts";
import { errnoOf, failure } from "../fs/failure.ts";
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
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether `images/<id>` is there. */
  has(id: VerityDigest): boolean {
    return readLink(`${this.#root}/images/${id}`) !== undefined;
  }

  /** Whether something stands under this name, wherever it leads. */
  hasName(name: string): boolean {
    return readLink(`${this.#root}/${REFS}/${encodeName(name)}`) !== undefined;
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
    throw new NotFoundError("NO_REF", `image ${nameOrId}: no such image in ${this.#root}`);
  }

  /** Every name with its id, sorted by name. Names that sealfs does not make are left out. */
  refs(): ReadonlyMap<string, VerityDigest> {
    const refs: [string, VerityDigest][] = [];
    for (const component of list(`${this.#root}/${REFS}`)) {
      const name = decodeName(component);
      if (name === undefined) continue;
      const id = this.#idOf(component, name);
      if (id !== undefined) refs.push([name, id]);
    }
    return new Map(refs.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Every id under `images/`, in no order. */
  ids(): VerityDigest[] {
    return list(`${this.#root}/images`).filter((entry): entry is VerityDigest => ID.test(entry));
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
    const path = `${this.#root}/${REFS}/${component}`;
    const target = readLink(path);
    if (target === undefined) return undefined;
    const id = idOfRefTarget(target);
    if (id !== undefined) return id;
    throw new FormatError("MALFORMED", `image name ${name}: ${path} does not lead to an image`);
  }
}

/** Target of a symlink, "" for what is no symlink, undefined for what is not there. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return undefined;
    if (errno === "EINVAL") return "";
    throw failure(path, error);
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw failure(directory, error);
  }
}
