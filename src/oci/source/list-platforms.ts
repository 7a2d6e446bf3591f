/**
 * For which platforms a source has images.
 *
 * @module
 */
import { FormatError, NotFoundError } from "../../errors.ts";
import { type Platform, isUsualPlatform } from "../../platform/platform.ts";
import type { SourceReference } from "../reference.ts";
import { type SourceOptions, openAnySource } from "./open-source.ts";

/**
 * The platforms of the images that a reference leads to, each of which can be asked for; none where
 * nothing says what the source is for.
 *
 * @throws as {@link openAnySource}, but for a platform that is not there and images that only their
 *   platforms tell apart
 */
export async function listPlatforms(
  reference: SourceReference,
  options: Omit<SourceOptions, "platform" | "onPlatforms">,
): Promise<readonly Platform[]> {
  let listed: readonly Platform[] = [];
  const onPlatforms = (platforms: readonly Platform[]) => (listed = platforms);
  try {
    const source = await openAnySource(reference, { ...options, onPlatforms });
    if (source.kind === "dump") source.file.close();
    if (source.kind !== "layers") return [];
    source.image.close();
    if (listed.length > 0) return listed;
    return isUsualPlatform(source.image.platform) ? [source.image.platform] : [];
  } catch (error) {
    const isChoice = error instanceof NotFoundError || error instanceof FormatError;
    if (listed.length > 0 && isChoice) return listed;
    throw error;
  }
}
