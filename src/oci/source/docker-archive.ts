/**
 * The archive of `docker save` and `skopeo copy … docker-archive:` as a source. Layers have no
 * descriptor; their diffIDs are what they are checked against.
 *
 * @module
 */
import { FormatError, NotFoundError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type LayoutFiles, readFile } from "../blob.ts";
import { parseConfig } from "../config.ts";
import { digestOf, verifyDigest } from "../digest.ts";
import { type LayerDescriptor, NO_ANNOTATIONS, type OciImage } from "../image.ts";
import type { Question } from "../image-search.ts";
import { verifyPlatform } from "../../platform/platform-match.ts";
import type { Platform } from "../../platform/platform.ts";
import { chooseDockerImage, digestInName } from "./docker-choice.ts";
import { type DockerImage, parseDockerManifest } from "./docker-manifest.ts";

/**
 * The one image of an archive that is asked for. Owns `files`, also when it fails.
 *
 * @param source how users write the archive, for hints
 * @throws {@link FormatError} `AMBIGUOUS` when the archive has several and none is chosen
 * @throws {@link NotFoundError} `NO_REF` when the one asked for is not there
 * @throws {@link IntegrityError} when the configuration is not what its name says
 */
export function openDockerArchive(
  files: LayoutFiles,
  question: Question,
  source: string,
): OciImage {
  try {
    const what = `${files.label}: manifest.json`;
    if (!files.has("manifest.json")) {
      throw new NotFoundError("NO_FILE", `${files.label}: no manifest.json in it`, {
        hint: "without docker-archive: in front, sealfs finds out what it is",
      });
    }
    const bytes = readFile(files, "manifest.json", limits.manifestBytes, what);
    const images = parseDockerManifest(bytes, what);
    const image = chooseDockerImage(images, files, question, source);
    return openImage(files, image, question.platform);
  } catch (error) {
    files.close();
    throw error;
  }
}

function openImage(
  files: LayoutFiles,
  image: DockerImage,
  platform: Platform | undefined,
): OciImage {
  const what = `${files.label}: ${image.config}`;
  const bytes = readFile(files, image.config, limits.manifestBytes, what);
  const configDigest = digestOf(bytes);
  const named = digestInName(image.config);
  if (named !== undefined) verifyDigest(named, configDigest, what);
  const config = parseConfig(bytes, what);
  verifyPlatform(config.platform, platform, what);
  const { diffIds } = config;
  if (diffIds.length !== image.layers.length) {
    throw new FormatError(
      "MALFORMED",
      `${what}: expected ${image.layers.length} diff_ids, one a layer, got ${diffIds.length}`,
    );
  }
  const paths = new Map<LayerDescriptor, string>();
  const layers = image.layers.map((path, i): LayerDescriptor => {
    const range = files.open(path);
    const layer: LayerDescriptor = {
      label: `${files.label}: layer ${i + 1} of ${diffIds.length} (${path})`,
      mediaType: undefined,
      compression: undefined,
      digest: path.startsWith("blobs/") ? digestInName(path) : undefined,
      size: range.size,
      diffId: diffIds[i]!,
      annotations: NO_ANNOTATIONS,
    };
    range.close();
    paths.set(layer, path);
    return layer;
  });
  return {
    label: files.label,
    manifestDigest: undefined,
    manifestBytes: undefined,
    mediaType: undefined,
    configDigest,
    config,
    platform: config.platform,
    annotations: NO_ANNOTATIONS,
    layers,
    openBlob: (layer) => files.open(paths.get(layer)!),
    close: () => files.close(),
  };
}
