/**
 * Finding the one image that is asked for among what an index lists: by name, position or digest,
 * then by platform. Two answers are as bad as none.
 *
 * @module
 */
import { FormatError, NotFoundError } from "../errors.ts";
import { ambiguityHint, nameHint, platformHint, platformsOf } from "./choice-hint.ts";
import type { Descriptor } from "./descriptor.ts";
import { type Documents, ImageSearch, type Question } from "./image-search.ts";
import type { ImageIndex } from "./manifest.ts";
import { platformDistance } from "../platform/platform-match.ts";
import { formatPlatform } from "../platform/platform.ts";

/**
 * The descriptor of an image manifest.
 *
 * @throws {@link NotFoundError} `NO_REF` when nothing matches
 * @throws {@link FormatError} `AMBIGUOUS` when more than one matches; `LIMIT` when indexes are
 *   nested too deep or list too much; what is wrong with the entry that is chosen
 */
export async function selectManifest(
  index: ImageIndex,
  question: Question,
  documents: Documents,
): Promise<Descriptor> {
  const search = new ImageSearch(index, documents);
  const { choice, platform } = question;
  const { label } = documents;
  const tops = await search.tops(choice);
  if (index.entries.length === 0) {
    throw new NotFoundError("NO_REF", `${label}: no image in it: its index lists nothing`);
  }
  if (tops.length === 0) throw await notListed(search, question);
  question.onPlatforms?.(await platformsOf(search, question));
  const answer = await search.among(tops, question);
  if ("image" in answer) return answer.image;
  const { images, why } = answer;
  if (why === "several") {
    throw new FormatError("AMBIGUOUS", `${label}: expected one image, got ${images.length}`, {
      hint: await ambiguityHint(search, question, images),
    });
  }
  if (platform === undefined || images.length === 0) {
    throw new NotFoundError("NO_REF", `${label}: no image in it`);
  }
  const isListed = images.some(
    (image) => image.platform && platformDistance(platform, image.platform) !== undefined,
  );
  const which = `platform ${formatPlatform(platform)}`;
  const message = isListed
    ? `${label}: its image for ${which} is listed, but not here`
    : `${label}: no image for ${which}`;
  const hint = await platformHint(search, question, images);
  throw new NotFoundError("NO_REF", message, { hint });
}

async function notListed(search: ImageSearch, question: Question): Promise<NotFoundError> {
  const { label } = search.documents;
  const { tag, index, digest } = question.choice;
  const count = search.index.entries.length;
  const message =
    index !== undefined
      ? `expected an image at ${index}, there are ${count}`
      : `no image ${digest ?? `named ${JSON.stringify(tag)}`}`;
  const hint = await nameHint(search, question);
  return new NotFoundError("NO_REF", `${label}: ${message}`, { hint });
}
