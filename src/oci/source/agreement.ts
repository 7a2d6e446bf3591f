/**
 * Archives of docker save describe their images twice: by the index of an OCI layout, and by
 * `manifest.json`. Tools read the one or the other, so both have to mean the same image.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type LayoutFiles, readFile } from "../blob.ts";
import { parseConfig } from "../config.ts";
import { digestOf } from "../digest.ts";
import type { OciImage } from "../image.ts";
import { samePlatform } from "../../platform/platform-match.ts";
import { parseDockerManifest } from "./docker-manifest.ts";

/**
 * Compares the image of a layout with those of the `manifest.json` beside it, which may leave
 * platforms away.
 *
 * @throws {@link FormatError} `AMBIGUOUS` when it has another image for the platform
 */
export function verifyAgreement(image: OciImage, files: LayoutFiles): void {
  const { configDigest, config } = image;
  const what = `${files.label}: manifest.json`;
  const bytes = readFile(files, "manifest.json", limits.manifestBytes, what);
  const configs = parseDockerManifest(bytes, what).flatMap((docker) => {
    if (!files.has(docker.config)) return []; // of a platform that was not saved
    const own = `${files.label}: ${docker.config}`;
    return readFile(files, docker.config, limits.manifestBytes, own);
  });
  if (configs.some((other) => digestOf(other) === configDigest)) return;
  for (const other of configs) {
    const { platform } = parseConfig(other, what);
    if (config !== undefined && !samePlatform(config.platform, platform)) continue;
    const message = `${what} and index.json have different images`;
    throw new FormatError("AMBIGUOUS", message, {
      hint: "choose one of them by the transport: docker-archive: or oci-archive:",
    });
  }
}
