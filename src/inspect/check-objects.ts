/**
 * Whether stores have every object of an image, whole.
 *
 * @module
 */
import type { Image } from "../erofs/image.ts";
import type { Stores } from "../store/stores.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";
import { objectsOf } from "../erofs/object-list.ts";

/** An object that is not right. */
export interface ObjectProblem {
  readonly digest: VerityDigest;
  /** Bytes that the image says it has. */
  readonly size: number;
  /** `wrong`: the file at `path` has another content or size; `missing`: no store has it. */
  readonly problem: "missing" | "wrong";
  readonly path: string;
}

/**
 * Reads every object in every store: yields each wrong copy, and the objects that no store has
 * right. The image has passed `verifyImage`. `onProgress` is called with the bytes done and their
 * total.
 *
 * @throws {@link SystemError} when an object cannot be read
 */
export function* checkObjects(
  image: Image,
  stores: Stores,
  onProgress?: (done: number, total: number) => void,
): Generator<ObjectProblem, void, undefined> {
  const objects = objectsOf(image);
  const total = [...objects.values()].reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const [digest, size] of objects) {
    let hasGood = false;
    let hasWrong = false;
    for (const store of stores.all) {
      const state = store.objects.state(digest, size);
      if (state === "good") hasGood = true;
      if (state !== "wrong") continue;
      hasWrong = true;
      yield { digest, size, problem: "wrong", path: store.objects.path(digest) };
    }
    if (!hasGood && !hasWrong) {
      yield { digest, size, problem: "missing", path: `objects/${objectPath(digest)}` };
    }
    onProgress?.((done += size), total);
  }
}
