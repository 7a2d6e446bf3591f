/**
 * Opening sources: from the arguments of a command, and from `mirrors.json`.
 *
 * @module
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { NotFoundError, SealfsError, UsageError } from "../errors.ts";
import { parseRegistryReference } from "../oci/registry-reference.ts";
import { optionsFor, pullPlaces } from "../oci/registry/pull-places.ts";
import { readRegistriesConf } from "../oci/registry/registries-conf.ts";
import { Registry } from "../oci/registry/registry.ts";
import { layerReader } from "../oci/layer/seek-extract.ts";
import type { SeekIndex } from "../seek/seek-index.ts";
import { HeldDirectory } from "../fs/held-directory.ts";
import { META_FILE } from "../store/layout.ts";
import { HttpClient } from "../http/client.ts";
import { noPatience } from "../http/patience.ts";
import { FileSource } from "./file-source.ts";
import { HttpMirror } from "./http-mirror.ts";
import { authorizationFor } from "./http-credential.ts";
import { HttpLayoutBlobs } from "./http-layout.ts";
import { type LayerBlobs, LayersSource } from "./layers-source.ts";
import { LayoutBlobs } from "./layout-blobs.ts";
import { type Location, parseLocation } from "./location.ts";
import {
  type MirrorEntry,
  type MirrorReach,
  NO_MIRRORS,
  findMirrorsFile,
  readMirrorsFile,
} from "./mirrors-file.ts";
import { limitRate } from "./rate-limit.ts";
import { RegistryBlobs } from "./registry-blobs.ts";
import type { ObjectSource } from "./source.ts";

/** What to open. */
export interface SourcesRequest {
  /** Locations, in the notation of `location.ts`; they come first, and have to be there. */
  readonly mirrors: readonly string[];
  /** How `mirrors` are to be asked, where that is not as usual. */
  readonly reach?: MirrorReach | undefined;
  /** The file of mirrors; by default the one that is found, `none` for none. */
  readonly mirrorsFile?: string | undefined;
  /** The name of the image that is wanted; needed for the file of mirrors. */
  readonly name?: string;
  /** Where its objects lie in its layers; without it, layers are of no use. */
  readonly index?: SeekIndex | undefined;
  /** Hears why a mirror of the file, or credentials for a mirror, cannot be used. */
  readonly onProblem?: (message: string) => void;
}

/**
 * The sources for an image, in the order in which they are to be asked. Nothing is asked yet.
 *
 * @throws {@link UsageError} or {@link NotFoundError} for an argument that names nothing
 * @throws {@link FormatError} when the file of mirrors is not as it has to be
 */
export async function openSources(request: SourcesRequest): Promise<ObjectSource[]> {
  const sources: ObjectSource[] = [];
  for (const mirror of request.mirrors) {
    const entry = { ...request.reach, location: parseLocation(mirror) };
    sources.push(...(await openEntry(entry, request)));
  }
  for (const entry of mirrorsOfFile(request)) {
    try {
      sources.push(...(await openEntry(entry, request)));
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
      request.onProblem?.(`mirror not used: ${error.message}`);
    }
  }
  return sources;
}

function mirrorsOfFile({ mirrorsFile, name }: SourcesRequest): MirrorEntry[] {
  if (mirrorsFile === NO_MIRRORS) return [];
  const path = mirrorsFile ?? findMirrorsFile();
  if (path === undefined) return [];
  return readMirrorsFile(path).filter(
    ({ names }) =>
      names === undefined || names.some((pattern) => name !== undefined && pattern.matches(name)),
  );
}

/** The sources of one entry: a registry has its own mirrors. */
async function openEntry(entry: MirrorEntry, request: SourcesRequest): Promise<ObjectSource[]> {
  const { location, rateLimit } = entry;
  const sources =
    location.kind === "registry"
      ? openRegistry(location.reference, entry, request)
      : [await openLocation({ ...entry, location }, request)];
  return rateLimit === undefined ? sources : sources.map((source) => limitRate(source, rateLimit));
}

function openRegistry(
  text: string,
  { caFile, insecure, authFile }: MirrorEntry,
  { index, onProblem }: SourcesRequest,
): ObjectSource[] {
  const reference = parseRegistryReference(text);
  // While it is busy others are asked.
  const options = { caFile, insecure, authFile, onProblem, patience: noPatience };
  return pullPlaces(reference, readRegistriesConf(), true).map((place) =>
    layers(index, () => new RegistryBlobs(new Registry(place, optionsFor(place, options)))),
  );
}

async function openLocation(
  entry: MirrorEntry & { readonly location: Exclude<Location, { kind: "registry" }> },
  { index, onProblem }: Pick<SourcesRequest, "index" | "onProblem">,
): Promise<ObjectSource> {
  const { location, caFile, insecure, authFile } = entry;
  switch (location.kind) {
    case "path":
      return openPath(location.path);
    case "http": {
      const authorization = await authorizationFor(location.url, authFile, onProblem);
      const client = new HttpClient({ caFile, insecure });
      return new HttpMirror({ base: location.url, client, authorization });
    }
    case "layout":
      return layers(index, () => LayoutBlobs.ofDirectory(location.path));
    case "archive":
      return layers(index, () => LayoutBlobs.ofArchive(location.path));
    case "http-layout": {
      const authorization = await authorizationFor(location.url, authFile, onProblem);
      const client = new HttpClient({ caFile, insecure });
      return layers(index, () => new HttpLayoutBlobs(location.url, client, authorization));
    }
  }
}

function layers(index: SeekIndex | undefined, open: () => LayerBlobs): ObjectSource {
  if (index !== undefined) return new LayersSource(open(), index, layerReader(index));
  throw new NotFoundError("NO_OBJECT", "the image has no seek index, so its layers are of no use", {
    hint: "sealfs build makes one for images with layers; import or pull brings it",
  });
}

/** A store has a `meta.json`; what has only `objects/` is nearly one; else the objects lie here. */
function openPath(path: string): ObjectSource {
  const root = resolve(path);
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) {
    throw new NotFoundError("NO_STORE", `mirror ${path}: no directory there`);
  }
  const files = HeldDirectory.open(root);
  const has = (name: string) => files.stat(name) !== undefined;
  if (has(META_FILE)) return new FileSource("store", files, "objects");
  if (has("objects")) return new FileSource("directory", files, "objects");
  if (has("oci-layout")) {
    throw new UsageError("USAGE", `mirror ${path}: is an OCI layout`, {
      hint: `say oci:${path} to take objects from its layers`,
    });
  }
  return new FileSource("directory", files, "");
}
