/**
 * The seek index that belongs to a signed image.
 *
 * @module
 */
import type { Image } from "../erofs/image.ts";
import { objectsOf } from "../erofs/object-list.ts";
import { NotFoundError } from "../errors.ts";
import { SeekIndex } from "../seek/seek-index.ts";
import { readSeekIndex } from "../store/seek-indexes.ts";
import type { Stores } from "../store/stores.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

/**
 * Reads the index that a statement names from the first store that has it right; undefined when it
 * names none, or no store has it.
 *
 * @param id of `image`
 * @throws {@link IntegrityError} when only something else is in its place
 * @throws {@link FormatError} for one that is signed and still malformed
 */
export function openSeekIndex(
  stores: Pick<Stores, "all">,
  image: Image,
  id: VerityDigest,
  wanted: SeekIndexFile | undefined,
): SeekIndex | undefined {
  if (wanted === undefined) return undefined;
  let problem: unknown;
  for (const store of stores.all) {
    try {
      return SeekIndex.parse(readSeekIndex(store, id, wanted), objectsOf(image));
    } catch (error) {
      if (!(error instanceof NotFoundError)) problem ??= error;
    }
  }
  if (problem !== undefined) throw problem;
  return undefined;
}
