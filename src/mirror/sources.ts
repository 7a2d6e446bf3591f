/**
 * Opening sources: from the arguments of a command, and from `mirrors.json`.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { NotFoundError, SealfsError, UsageError } from "../errors.ts";
import { META_FILE } from "../store/layout.ts";
import { HttpClient } from "../http/client.ts";
import { FileSource } from "./file-source.ts";
import { HttpMirror } from "./http-mirror.ts";
import { parseLocation } from "./location.ts";
import { type MirrorEntry, findMirrorsFile, readMirrorsFile } from "./mirrors-file.ts";
import { limitRate } from "./rate-limit.ts";
import type { ObjectSource } from "./source.ts";

/** What to open. */
export interface SourcesRequest {
  /** Locations, in the notation of `location.ts`; they come first, and have to be there. */
  readonly mirrors: readonly string[];
  /** The file of mirrors; by default the one that is found, `none` for none. */
  readonly mirrorsFile?: string | undefined;
  /** The name of the image that is wanted; needed for the file of mirrors. */
  readonly name?: string;
  /** Hears why a mirror of the file cannot be used. */
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
    sources.push(await openSource({ location: parseLocation(mirror) }));
  }
  for (const entry of mirrorsOfFile(request)) {
    try {
      sources.push(await openSource(entry));
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
      request.onProblem?.(`mirror not used: ${error.message}`);
    }
  }
  return sources;
}

function mirrorsOfFile({ mirrorsFile, name }: SourcesRequest): MirrorEntry[] {
  if (mirrorsFile === "none") return [];
  const path = mirrorsFile ?? findMirrorsFile();
  if (path === undefined) return [];
  return readMirrorsFile(path).filter(
    ({ names }) =>
      names === undefined || names.some((pattern) => name !== undefined && pattern.matches(name)),
  );
}

async function openSource(entry: MirrorEntry): Promise<ObjectSource> {
  const source = await openLocation(entry);
  return entry.rateLimit === undefined ? source : limitRate(source, entry.rateLimit);
}

// oxlint-disable-next-line require-await
async function openLocation(entry: MirrorEntry): Promise<ObjectSource> {
  const { location, caFile, insecure } = entry;
  switch (location.kind) {
    case "path":
      return openPath(location.path);
    case "http":
      return new HttpMirror({ base: location.url, client: new HttpClient({ caFile, insecure }) });
    default:
      throw new UsageError("USAGE", `mirror: ${location.kind} is not supported`);
  }
}

/** A store has a `meta.json`; what has only `objects/` is nearly one; else the objects lie here. */
function openPath(path: string): ObjectSource {
  const root = resolve(path);
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) {
    throw new NotFoundError("NO_STORE", `mirror ${path}: no directory there`);
  }
  if (existsSync(`${root}/${META_FILE}`)) return new FileSource("store", root);
  if (existsSync(`${root}/objects`)) return new FileSource("directory", `${root}/objects`, root);
  if (existsSync(`${root}/oci-layout`)) {
    throw new UsageError("USAGE", `mirror ${path}: is an OCI layout`, {
      hint: `say oci:${path} to take objects from its layers`,
    });
  }
  return new FileSource("directory", root);
}
