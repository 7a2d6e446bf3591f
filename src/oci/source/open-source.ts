/**
 * From a source reference to what it names, open.
 *
 * @module
 */
import { statSync } from "node:fs";
import type { Readable } from "node:stream";
import { NotFoundError, UsageError } from "../../errors.ts";
import type { BlobRange, LayoutFiles } from "../blob.ts";
import { type Question, TO_BE_SAVED } from "../image-search.ts";
import type { OciImage } from "../image.ts";
import type { Platform } from "../../platform/platform.ts";
import { type ImageChoice, ONLY, type SourceReference, formatSource } from "../reference.ts";
import { readRegistriesConf } from "../registry/registries-conf.ts";
import type { RegistryOptions } from "../registry/session.ts";
import { namesMeant } from "../registry/short-names.ts";
import { verifyAgreement } from "./agreement.ts";
import type { ArchiveFiles } from "./archive.ts";
import { openArchive } from "./archive-file.ts";
import type { DecompressOptions } from "./decompressed.ts";
import { meantHint, openGiven } from "./given-file.ts";
import { openDockerArchive } from "./docker-archive.ts";
import { imageOfLayers, openLayerFiles } from "./layer-files.ts";
import { DirectoryFiles, openLayout } from "./oci-layout.ts";
import {
  type RecognisedFile,
  type RecognisedImage,
  recogniseFile,
  recogniseFolder,
} from "./recognise.ts";
import { openRegistryImage } from "./registry-image.ts";
import { openSkopeoImage } from "./skopeo-image.ts";
import { spool } from "./spool.ts";

export interface SourceOptions extends DecompressOptions {
  /** Which image of an index; undefined: the only one, or of several the host's. */
  readonly platform?: Platform | undefined;
  /** Hears the platforms that an index has images for, before one is chosen. */
  readonly onPlatforms?: Question["onPlatforms"];
  /** How to talk to registries. */
  readonly registry?: RegistryOptions | undefined;
  /** Read for the source `-`; `process.stdin` when not given. */
  readonly stdin?: Readable;
}

/** What a source is. Layers and dump files are open, a directory is not yet. */
export type OpenedSource =
  | { readonly kind: "layers"; readonly image: OciImage }
  | { readonly kind: "dir"; readonly path: string }
  | { readonly kind: "dump"; readonly path: string; readonly file: BlobRange };

const STDIN = "standard input";

/**
 * Opens what `reference` names.
 *
 * @throws {@link NotFoundError} `NO_FILE` or `NO_REF`
 * @throws {@link FormatError} when it is not what it was said to be, or nothing that is read;
 *   `AMBIGUOUS` when more than one image matches
 * @throws {@link IntegrityError} when a document is not what its descriptor says
 */
export async function openAnySource(
  reference: SourceReference,
  options: SourceOptions = {},
): Promise<OpenedSource> {
  const { platform, onPlatforms, stdin = process.stdin } = options;
  const question = { platform, onPlatforms };
  const layout = (files: LayoutFiles, source: Extract<SourceReference, ImageChoice>) =>
    openLayout(files, { choice: source, ...question }, formatSource({ ...source, ...ONLY }));
  switch (reference.transport) {
    case "docker":
      return layers(await openRegistryImage(reference, question, options.registry));
    case "oci":
      verifyLayoutFolder(reference);
      return layers(await layout(new DirectoryFiles(reference.path), reference));
    case "oci-archive":
      return layers(await layout(await openTagged(reference, options), reference));
    case "docker-archive":
      return layers(
        openDockerArchive(
          await openTagged(reference, options),
          { choice: reference, ...question },
          formatSource({ ...reference, ...ONLY }),
        ),
      );
    case "tar":
      return layers(await openLayerFiles(reference.paths, options.signal));
    case "dir":
      return { kind: "dir", path: reference.path };
    case "dump":
      return {
        kind: "dump",
        path: reference.path,
        file: await openGiven(reference.path, options.signal),
      };
    case "path":
      return openPath(reference.path, options);
    case "stdin": {
      const named = { ...options, label: STDIN, path: undefined };
      return openRecognised(await recogniseFile(await spool(stdin, options), named), named);
    }
  }
}

/**
 * Opens the image that `reference` names.
 *
 * @throws {@link UsageError} when it is a directory or a dump file; otherwise as
 *   {@link openAnySource}
 */
export async function openSource(
  reference: SourceReference,
  options: SourceOptions = {},
): Promise<OciImage> {
  const source = await openAnySource(reference, options);
  if (source.kind === "layers") return source.image;
  if (source.kind === "dump") source.file.close();
  throw new UsageError("USAGE", `${formatSource(reference)}: expected an image, got a tree`);
}

function layers(image: OciImage): OpenedSource {
  return { kind: "layers", image };
}

/** An archive whose path a colon ends. */
function openTagged(
  { path, tag }: { readonly path: string } & ImageChoice,
  options: SourceOptions,
): Promise<ArchiveFiles> {
  return openArchive(path, options, tag === undefined ? path : `${path}:${tag}`);
}

function verifyLayoutFolder({ path, tag }: { readonly path: string } & ImageChoice): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    const hint = meantHint(path, tag === undefined ? path : `${path}:${tag}`);
    throw new NotFoundError("NO_FILE", `${path}: no such directory`, { hint });
  }
  if (stat.isDirectory()) return;
  throw new UsageError("USAGE", `oci:${path}: expected a directory`, {
    hint: `an archive of a layout: oci-archive:${path}`,
  });
}

/** What to say if the name of an OCI image was meant. */
function nameHint(path: string): string | undefined {
  let meant: string[];
  try {
    meant = namesMeant(path, readRegistriesConf());
  } catch {
    return undefined; // that no file is there is what is wrong
  }
  const [one, ...others] = meant;
  if (one === undefined) return undefined;
  const more = others.map((other) => ` or ${other}`).join("");
  return `an OCI image of that name in a registry is ${one}${more}`;
}

async function openPath(path: string, options: SourceOptions): Promise<OpenedSource> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new NotFoundError("NO_FILE", `${path}: no such file or directory`, {
      hint: nameHint(path),
    });
  }
  if (!stat.isDirectory()) {
    const file = await openGiven(path, options.signal);
    // A pipe cannot be read again.
    const named = { ...options, label: path, path: stat.isFIFO() ? undefined : path };
    return openRecognised(await recogniseFile(file, named), named);
  }
  const found = recogniseFolder(path);
  if (found.kind === "dir") return { kind: "dir", path };
  return layers(await openForm(found, options, `oci:${path}`));
}

/** @param named with a path unless it came on a pipe */
async function openRecognised(
  found: RecognisedFile,
  options: SourceOptions & { readonly label: string; readonly path: string | undefined },
): Promise<OpenedSource> {
  const { label, path } = options;
  if (found.kind === "image") {
    const source = path === undefined || path.includes(":") ? TO_BE_SAVED : `oci-archive:${path}`;
    return layers(await openForm(found, options, source));
  }
  if (found.kind === "tar") return layers(imageOfLayers([found.range], [label]));
  return { kind: "dump", path: label, file: found.range };
}

/** @param source how users can choose among the images, were it a layout */
async function openForm(
  found: RecognisedImage,
  { platform, onPlatforms }: SourceOptions,
  source: string,
): Promise<OciImage> {
  const { form, files } = found;
  const question = { choice: ONLY, platform, onPlatforms };
  switch (form) {
    case "oci":
      return openRecognisedLayout(found, question, source);
    case "docker":
      return openDockerArchive(files, question, source.replace(/^oci-/, "docker-"));
    case "skopeo":
      return openSkopeoImage(files, question);
  }
}

async function openRecognisedLayout(
  { files, isDockerToo }: RecognisedImage,
  question: Question,
  source: string,
): Promise<OciImage> {
  const image = await openLayout(files, question, source);
  try {
    if (isDockerToo === true) verifyAgreement(image, files);
    return image;
  } catch (error) {
    image.close();
    throw error;
  }
}
