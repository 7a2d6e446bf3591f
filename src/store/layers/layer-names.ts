/**
 * The names of what a store remembers of layers, and the list that says of which of them an image
 * was built: that is what keeps them from gc.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { FormatError, SealfsError } from "../../errors.ts";
import type { HeldDirectory } from "../../fs/held-directory.ts";
import { limits } from "../../limits.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { IMAGE_LAYERS, LAYER_BLOBS, LAYER_ENTRIES } from "../layout.ts";
import type { Store } from "../store.ts";

const DIGEST = /^(?:sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})$/;
const IMAGE_ID = /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/;
const FIRST_LINE = "sealfs layers 1";

/** What is remembered of a layer's content, by its diffID. */
export function entriesName(diffId: string): string {
  return `${LAYER_ENTRIES}/${diffId.replace(":", "-")}`;
}

/** What is remembered of a blob, by its digest. */
export function blobName(digest: string): string {
  return `${LAYER_BLOBS}/${digest.replace(":", "-")}`;
}

/** The layers that an image was built of. */
export function imageLayersName(id: VerityDigest): string {
  return `${IMAGE_LAYERS}/${id}`;
}

/** The digest that the last component of a name stands for; undefined for other names. */
export function digestInLayerName(component: string): string | undefined {
  return DIGEST.test(component) ? component.replace("-", ":") : undefined;
}

/** The list of these names. */
export function formatImageLayers(names: Iterable<string>): Buffer {
  return Buffer.from([FIRST_LINE, ...[...new Set(names)].sort(), ""].join("\n"));
}

/**
 * The names in a list.
 *
 * @throws {@link FormatError} `MALFORMED` when it is none; as `readRegular`
 */
export function readImageLayers(files: HeldDirectory, name: string): string[] {
  const bytes = files.readRegular(name, limits.imageLayersBytes);
  const [first, ...lines] = Buffer.from(bytes).toString("latin1").split("\n");
  if (first === FIRST_LINE && lines.pop() === "" && lines.every(isLayerName)) return lines;
  throw new FormatError("MALFORMED", `${files.pathOf(name)}: not a list of layers`);
}

/** The same; none when it is not there, or wrong. */
export function imageLayersIn(files: HeldDirectory, name: string): string[] {
  try {
    return readImageLayers(files, name);
  } catch (error) {
    if (error instanceof SealfsError) return [];
    throw error;
  }
}

/**
 * The names of what is remembered of layers that none of the wanted images was built of; what is not
 * named so stays.
 */
export function uselessLayerFiles({ files }: Store, wanted: ReadonlySet<VerityDigest>): string[] {
  const useless: string[] = [];
  const used = new Set<string>();
  for (const id of files.names(IMAGE_LAYERS)) {
    const name = `${IMAGE_LAYERS}/${id}`;
    if (wanted.has(id as VerityDigest))
      for (const each of imageLayersIn(files, name)) used.add(each);
    else if (IMAGE_ID.test(id)) useless.push(name);
  }
  for (const folder of [LAYER_ENTRIES, LAYER_BLOBS]) {
    const names = files.names(folder).map((component) => `${folder}/${component}`);
    useless.push(...names.filter((name) => isLayerName(name) && !used.has(name)));
  }
  return useless;
}

function isLayerName(line: string): boolean {
  const folder = [LAYER_ENTRIES, LAYER_BLOBS].find((each) => line.startsWith(`${each}/`));
  return folder !== undefined && DIGEST.test(line.slice(folder.length + 1));
}
