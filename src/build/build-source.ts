/**
 * What a build reads, found and opened before anything is made for it: a mistyped source leaves no
 * store behind.
 *
 * @module
 */
import { statSync } from "node:fs";
import { FormatError, NotFoundError } from "../errors.ts";
import type { SourceReference } from "../oci/reference.ts";
import { type OpenedSource, type SourceOptions, openAnySource } from "../oci/source/open-source.ts";
import { surveyFolder } from "../oci/source/survey-folder.ts";
import { failure } from "../fs/failure.ts";

/** An open source; {@link close} it in the end. */
export type BuildSource = OpenedSource & {
  /** What is odd about it. */
  readonly warnings: readonly string[];
  close(): void;
};

/**
 * Opens a source. For layers, this reads and checks the manifest and the configuration.
 *
 * @throws {@link NotFoundError} `NO_FILE` when it is not there; {@link FormatError} when it is not
 *   what it was said to be
 */
export async function openBuildSource(
  reference: SourceReference,
  options: SourceOptions,
): Promise<BuildSource> {
  const { platform, registry, signal, maxLayerBytes } = options;
  const source = await openAnySource(reference, { platform, registry, signal, maxLayerBytes });
  if (source.kind === "dir") requireFolder(source.path);
  const warnings = reference.transport === "dir" ? warningsAbout(reference.path) : [];
  return { ...source, warnings, close: () => close(source) };
}

/** For skopeo and podman, `dir:` is a form of an image. */
function warningsAbout(path: string): string[] {
  if (surveyFolder(path).kind !== "image") return [];
  return [`dir:${path}: is taken as a root file system, but is an image; without dir: it is read`];
}

function close(source: OpenedSource): void {
  if (source.kind === "layers") source.image.close();
  else if (source.kind === "dump") source.file.close();
}

function requireFolder(path: string): void {
  let stat;
  try {
    stat = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw failure(path, error);
  }
  if (stat === undefined) throw new NotFoundError("NO_FILE", `${path}: no such directory`);
  if (!stat.isDirectory()) throw new FormatError("MALFORMED", `${path}: expected a directory`);
}
