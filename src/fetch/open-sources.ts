/**
 * The sources of a verified image's objects, with its seek index where there is one.
 *
 * @module
 */
import { SealfsError } from "../errors.ts";
import type { Image } from "../erofs/image.ts";
import { type SourcesRequest, openSources } from "../mirror/sources.ts";
import type { ObjectSource } from "../mirror/source.ts";
import type { SeekIndex } from "../seek/seek-index.ts";
import type { Stores } from "../store/stores.ts";
import type { Predicate } from "../trust/statement.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { openSeekIndex } from "./open-seek-index.ts";

/** The image, as it was verified. */
export interface SourcedImage {
  readonly image: Image;
  readonly digest: VerityDigest;
  /** Its name, which decides who serves it. */
  readonly name: string;
  /** What was signed about its seek index. */
  readonly seekIndex: Predicate["seekIndex"];
}

/** Which places are to be asked. */
export type Places = Pick<SourcesRequest, "mirrors" | "mirrorsFile" | "reach">;

/**
 * Opens the sources for an image; nothing is asked yet. A seek index that is damaged is as good as
 * none: `onProblem` hears of it, and other sources may do.
 *
 * @throws as {@link openSources}
 */
export function openSourcesFor(
  { image, digest, name, seekIndex }: SourcedImage,
  stores: Stores,
  { mirrors, mirrorsFile, reach }: Places,
  onProblem: (message: string) => void,
): Promise<ObjectSource[]> {
  let index: SeekIndex | undefined;
  try {
    index = openSeekIndex(stores, image, digest, seekIndex);
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    onProblem(error.message);
  }
  return openSources({ mirrors, mirrorsFile, reach, name, index, onProblem });
}
