/**
 * Checking what a store remembers of layers. Whether it is true, only reading the layers tells.
 *
 * @module
 */
import { FormatError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { IMAGE_LAYERS, LAYER_BLOBS, LAYER_ENTRIES } from "../layout.ts";
import { digestInLayerName, readImageLayers } from "../layers/layer-names.ts";
import { decodeBlob, decodeEntries } from "../layers/remembered-layer.ts";
import type { Store } from "../store.ts";
import { hasDirectory } from "../stat-of.ts";

/** A file that is wrong, and why. */
export interface WrongLayerFile {
  readonly name: string;
  readonly message: string;
}

export interface LayersResult {
  /** Files about layers and blobs. */
  readonly layers: number;
  readonly wrong: readonly WrongLayerFile[];
}

export function checkLayers(store: Store): LayersResult {
  const { files, algorithm } = store;
  const wrong: WrongLayerFile[] = [];
  let layers = 0;
  const check = (name: string, read: () => void) => {
    const message = reasonOf(read);
    if (message !== undefined) wrong.push({ name, message });
  };
  const decoders = { [LAYER_ENTRIES]: decodeEntries, [LAYER_BLOBS]: decodeBlob };
  for (const [folder, decode] of Object.entries(decoders)) {
    for (const { component, name } of namesIn(store, folder)) {
      layers += 1;
      check(name, () => {
        const digest = digestInLayerName(component);
        if (digest === undefined) throw new FormatError("MALFORMED", "the name is not a digest");
        decode(files.readRegular(name, limits.rememberedBytes), digest, algorithm);
      });
    }
  }
  for (const { name } of namesIn(store, IMAGE_LAYERS)) {
    check(name, () => void readImageLayers(files, name));
  }
  return { layers, wrong };
}

/** A file of another version is not damaged: it is not used, and replaced by the next build. */
function reasonOf(read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    return error.code === "UNSUPPORTED" ? undefined : error.message;
  }
}

function namesIn(store: Store, folder: string) {
  if (!hasDirectory(store, folder)) return []; // reported by itself
  return store.files
    .names(folder)
    .map((component) => ({ component, name: `${folder}/${component}` }));
}
