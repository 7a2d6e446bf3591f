/**
 * From a source reference to an open image.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import type { Readable } from "node:stream";
import { FormatError, NotFoundError, UsageError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import { ArchiveFiles } from "./archive.ts";
import { type BlobRange, openNamed } from "../blob.ts";
import { sniff } from "../codec/sniff.ts";
import { openDockerArchive } from "./docker-archive.ts";
import type { OciImage } from "../image.ts";
import { imageOfLayers, openLayerFiles } from "./layer-files.ts";
import { DirectoryFiles, openLayout } from "./oci-layout.ts";
import type { Platform } from "../platform.ts";
import { recogniseFile, resolveSource } from "./recognise.ts";
import { ONLY, type SourceReference, formatSource } from "../reference.ts";
import { openRegistryImage } from "./registry-image.ts";
import type { RegistryOptions } from "../registry/session.ts";
import { spool } from "./spool.ts";

export interface SourceOptions {
  /** Which image of an index; undefined: there must be only one. */
  readonly platform?: Platform | undefined;
  /** How to talk to registries. */
  readonly registry?: RegistryOptions | undefined;
  /** Read for the source `-`; `process.stdin` when not given. */
  readonly stdin?: Readable;
}

/**
 * Opens the image that `reference` names. `dir:` and `dump:` are trees, not images: see
 * {@link resolveSource} to tell them apart first.
 *
 * @throws {@link UsageError} for `dir:` and `dump:`
 * @throws {@link NotFoundError} `NO_FILE` or `NO_REF`
 * @throws {@link FormatError} `AMBIGUOUS` when more than one image matches, and others
 * @throws {@link IntegrityError} when a document is not what its descriptor says
 */
export async function openSource(
  reference: SourceReference,
  options: SourceOptions = {},
): Promise<OciImage> {
  const { platform, stdin = process.stdin } = options;
  const source = resolveSource(reference);
  switch (source.transport) {
    case "docker":
      return openRegistryImage(source, platform, options.registry);
    case "oci":
      verifyLayoutFolder(source.path);
      return openLayout(new DirectoryFiles(source.path), source, platform);
    case "oci-archive":
      return openLayout(openArchive(source.path), source, platform);
    case "docker-archive":
      return openDockerArchive(openArchive(source.path), source, platform);
    case "tar":
      return openLayerFiles(source.paths);
    case "stdin":
      return openSpooled(await spool(stdin), platform);
    default:
      throw new UsageError("USAGE", `${formatSource(source)}: expected an image, got a tree`);
  }
}

function verifyLayoutFolder(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  throw new NotFoundError("NO_FILE", `${path}: no such directory`);
}

/** An archive that is a file, not compressed: its members are read where they lie. */
export function openArchive(path: string): ArchiveFiles {
  const range = openNamed(path);
  const head = new Uint8Array(512);
  const compression = sniff(head.subarray(0, readFully(range.fd, head, 0)));
  if (compression === "none") return ArchiveFiles.open(range, path);
  range.close();
  throw new FormatError(
    "UNSUPPORTED",
    `${path}: a ${compression} archive cannot be read in place`,
    {
      hint: `${compression} -dc ${path} | sealfs build - …`,
    },
  );
}

function openSpooled(range: BlobRange, platform: Platform | undefined): OciImage {
  const label = "standard input";
  try {
    const found = recogniseFile(range, label);
    switch (found.kind) {
      case "oci-archive":
        return owning(range, openLayout(found.files, ONLY, platform));
      case "docker-archive":
        return owning(range, openDockerArchive(found.files, ONLY, platform));
      case "tar":
        return imageOfLayers([range], [label]);
      case "dump":
        throw new UsageError("USAGE", `${label}: expected an image or layer tar, got a dump file`);
    }
  } catch (error) {
    range.close();
    throw error;
  }
}

/** `image`, whose closing closes `range` too. */
function owning(range: BlobRange, image: OciImage): OciImage {
  return { ...image, close: () => range.close() };
}
