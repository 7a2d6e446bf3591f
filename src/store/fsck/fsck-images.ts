/**
 * Checking names, images, and whether the store has the objects that images refer to.
 *
 * @module
 */
import { verifyImage } from "../../erofs/check.ts";
import { objectsOf } from "../../erofs/object-list.ts";
import { FormatError, NotFoundError, SealfsError } from "../../errors.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { targetOf } from "../images.ts";
import type { FoundProblem } from "./problem.ts";
import { REFS, idOfRefTarget, imageLinkTarget } from "../layout.ts";
import { hasDirectory, statOf } from "../stat-of.ts";
import { decodeRef } from "../image-ref.ts";
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
  readonly problems: readonly FoundProblem[];
}

/** Checks every name and every image, and that the store has everything that they lead to. */
export function checkImages(store: Store): ImagesResult {
  const check = new ImagesCheck(store);
  check.run();
  return check;
}

class ImagesCheck implements ImagesResult {
  readonly needed = new Map<VerityDigest, number | undefined>();
  readonly problems: FoundProblem[] = [];
  readonly ids = new Set<VerityDigest>();
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  run(): void {
    if (!hasDirectory(this.#store, "images")) return; // reported by itself
    for (const id of this.#store.images.ids().sort()) {
      this.ids.add(id);
      this.#checkLink(id);
    }
    this.#checkRefs();
    for (const id of this.ids) this.#checkImage(id);
  }

  #checkLink(id: VerityDigest): void {
    const name = `images/${id}`;
    if (targetOf(this.#store.files, name) === imageLinkTarget(id)) return;
    this.#add({ kind: "link", name, digest: id, message: "does not lead to its object" });
  }

  #checkRefs(): void {
    if (!hasDirectory(this.#store, REFS)) return;
    for (const component of this.#store.files.names(REFS)) {
      const name = `${REFS}/${component}`;
      const id = idOfRefTarget(targetOf(this.#store.files, name) ?? "");
      if (id === undefined || decodeRef(component) === undefined) {
        this.#add({ kind: "ref", name, message: "is not an image name" });
        continue;
      }
      if (this.ids.has(id)) continue;
      this.ids.add(id);
      this.#add({
        kind: "link",
        name: `images/${id}`,
        digest: id,
        message: "missing, and a name leads to it",
      });
    }
  }

  #checkImage(id: VerityDigest): void {
    if (!this.needed.has(id)) this.needed.set(id, undefined);
    const name = this.#store.objects.nameOf(id);
    try {
      const image = openStoredImage(this.#store, id);
      const problem = formatProblem(image.bytes);
      if (problem !== undefined) this.#add({ kind: "image", name, digest: id, message: problem });
      for (const [digest, size] of objectsOf(image)) this.#checkPresent(digest, size, id);
    } catch (error) {
      if (error instanceof NotFoundError) {
        this.#add({ kind: "missing", name, digest: id, message: "the image is missing" });
      } else if (error instanceof FormatError) {
        this.#add({ kind: "image", name, digest: id, message: error.message });
      } else if (!(error instanceof SealfsError)) {
        throw error;
      } // otherwise its object is wrong, which the check of objects reports
    }
  }

  #checkPresent(digest: VerityDigest, size: number, id: VerityDigest): void {
    if (this.needed.has(digest)) return;
    this.needed.set(digest, size);
    const name = this.#store.objects.nameOf(digest);
    if (statOf(this.#store, name) !== undefined) return;
    this.#add({ kind: "missing", name, digest, message: `image ${id} needs it` });
  }

  #add(problem: Omit<FoundProblem, "bad">): void {
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
