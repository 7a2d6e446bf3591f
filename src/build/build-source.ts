/**
 * What a build reads, found and opened before anything is made for it: a mistyped source leaves no
 * store behind.
 *
 * @module
 */
import { statSync } from "node:fs";
import { FormatError, NotFoundError } from "../errors.ts";
import { type BlobRange, openNamed } from "../oci/blob.ts";
import type { OciImage } from "../oci/image.ts";
import { resolveSource } from "../oci/source/recognise.ts";
import type { SourceReference } from "../oci/reference.ts";
import { type SourceOptions, openSource } from "../oci/source/open-source.ts";
import { failure } from "../fs/failure.ts";

/** An open source; {@link close} it in the end. */
export type BuildSource = { close(): void } & (
  | { readonly kind: "layers"; readonly image: OciImage }
  | { readonly kind: "dir"; readonly path: string }
  | { readonly kind: "dump"; readonly path: string; readonly file: BlobRange }
);

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
  const source = resolveSource(reference);
  if (source.transport === "dir") {
    requireFolder(source.path);
    return { kind: "dir", path: source.path, close: () => undefined };
  }
  if (source.transport === "dump") {
    const file = openNamed(source.path);
    return { kind: "dump", path: source.path, file, close: () => file.close() };
  }
  const { platform, registry } = options;
  const image = await openSource(source, { platform, registry });
  return { kind: "layers", image, close: () => image.close() };
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
