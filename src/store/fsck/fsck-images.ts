/**
 * Checking names, images, and whether the store has the objects that images refer to.
 *
 * @module
 */
import { existsSync, readlinkSync } from "node:fs";
import { verifyImage } from "../../erofs/check.ts";
import { objectsOf } from "../../erofs/object-list.ts";
import { FormatError, NotFoundError, SealfsError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import type { StoreProblem } from "./problem.ts";
import { REFS, idOfRefTarget, imageLinkTarget } from "../layout.ts";
import { decodeName } from "../names.ts";
import { entriesOf } from "../object-names.ts";
import type { Store } from "../store.ts";
import { openStoredImage } from "../stored-image.ts";

export interface ImagesResult {
  /** Images in `images/`, and those that names lead to. */
  readonly ids: ReadonlySet<VerityDigest>;
  /**
   * What names and images need: images, and the objects of the readable ones, with their sizes in
   * bytes. The size of an image itself is not known.
   */
  readonly needed: ReadonlyMap<VerityDigest, number | undefined>;
  readonly problems: readonly StoreProblem[];
}

/** Checks every name and every image, and that the store has everything that they lead to. */
export function checkImages(store: Store): ImagesResult {
  const check = new ImagesCheck(store);
  check.run();
  return check;
}

class ImagesCheck implements ImagesResult {
  readonly needed = new Map<VerityDigest, number | undefined>();
  readonly problems: StoreProblem[] = [];
  readonly ids = new Set<VerityDigest>();
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  run(): void {
    for (const id of this.#store.images.ids().sort()) {
      this.ids.add(id);
      this.#checkLink(id);
    }
    this.#checkRefs();
    for (const id of this.ids) this.#checkImage(id);
  }

  #checkLink(id: VerityDigest): void {
    const path = `${this.#store.path}/images/${id}`;
    if (targetOf(path) === imageLinkTarget(id)) return;
    this.#add({ kind: "link", path, digest: id, message: "does not lead to its object" });
  }

  #checkRefs(): void {
    for (const component of entriesOf(`${this.#store.path}/${REFS}`)) {
      const path = `${this.#store.path}/${REFS}/${component}`;
      const id = idOfRefTarget(targetOf(path) ?? "");
      if (id === undefined || decodeName(component) === undefined) {
        this.#add({ kind: "ref", path, message: "is not an image name" });
        continue;
      }
      if (this.ids.has(id)) continue;
      this.ids.add(id);
      const link = `${this.#store.path}/images/${id}`;
      this.#add({
        kind: "link",
        path: link,
        digest: id,
        message: "missing, and a name leads to it",
      });
    }
  }

  #checkImage(id: VerityDigest): void {
    if (!this.needed.has(id)) this.needed.set(id, undefined);
    const path = this.#store.objects.path(id);
    try {
      const image = openStoredImage(this.#store, id);
      const problem = formatProblem(image.bytes);
      if (problem !== undefined) this.#add({ kind: "image", path, digest: id, message: problem });
      for (const [digest, size] of objectsOf(image)) this.#checkPresent(digest, size, id);
    } catch (error) {
      if (error instanceof NotFoundError) {
        this.#add({ kind: "missing", path, digest: id, message: "the image is missing" });
      } else if (error instanceof FormatError) {
        this.#add({ kind: "image", path, digest: id, message: error.message });
      } else if (!(error instanceof SealfsError)) {
        throw error;
      } // otherwise its object is wrong, which the check of objects reports
    }
  }

  #checkPresent(digest: VerityDigest, size: number, id: VerityDigest): void {
    if (this.needed.has(digest)) return;
    this.needed.set(digest, size);
    const path = this.#store.objects.path(digest);
    if (existsSync(path)) return;
    this.#add({ kind: "missing", path, digest, message: `image ${id} needs it` });
  }

  #add(problem: Omit<StoreProblem, "bad">): void {
    this.problems.push({ ...problem, bad: true });
  }
}

function formatProblem(bytes: Uint8Array): string | undefined {
  try {
    verifyImage(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** The target of a symlink; undefined for anything else. */
function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") return undefined;
    throw failure(path, error);
  }
}
