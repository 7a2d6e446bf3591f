/**
 * The layers of an image: each is read once, as a stream, its files staged as objects on the way, or
 * comes from memory. A layer is returned only after its size, digest and diffID have been verified,
 * now or when it was read.
 *
 * @module
 */
import { layerBound } from "../oci/codec/decode.ts";
import type { LayerDescriptor, OciImage } from "../oci/image.ts";
import { type LayerReport, readLayer } from "../oci/layer/layer.ts";
import { labelled } from "../oci/source/tar-scan.ts";
import type { Transaction } from "../store/transaction.ts";
import { NO_POINTS } from "../seek/point-writer.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import type { LayerEntry } from "../tree/merge.ts";
import { ContentIntake, type FileContent } from "./content.ts";
import { EntryTotals } from "./entry-totals.ts";
import type { KnownLayers } from "./known-layers.ts";
import type { ReadLayer } from "./read-layer.ts";

export interface LayersOptions {
  /** Whether access points are wanted, for a seek index. */
  readonly points?: boolean;
  readonly strict?: boolean;
  /** The most bytes of a layer; by default what follows from the size of its blob. */
  readonly maxLayerBytes?: number | undefined;
  /** Called with the bytes of the blobs that have been read, and how many are to be. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends the reading; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** What is known before layers are read. */
export interface LayersAtHand {
  readonly known: KnownLayers;
  /** Layers by their place in the image; the others are looked for, and read. */
  readonly layers?: readonly (ReadLayer | undefined)[];
  /** Places of layers that are to be read whatever is remembered of them. */
  readonly anew?: ReadonlySet<number>;
}

/** Layers whose decompression may run while another one is hashed and written. */
const LAYERS_AT_ONCE = 2;

/**
 * The layers of `image`, lowest first. The objects of those that were read are staged in
 * `transaction`.
 *
 * @throws {@link FormatError} and {@link IntegrityError} for a layer that is malformed or not the
 *   one of its descriptor; {@link SystemError} when an object cannot be written
 */
export async function readLayers(
  image: OciImage,
  transaction: Transaction,
  { known, layers: given = [], anew = new Set() }: LayersAtHand,
  options: LayersOptions,
): Promise<ReadLayer[]> {
  options.signal?.throwIfAborted();
  const totals = new EntryTotals();
  const layers = image.layers.map((layer, place) => {
    if (anew.has(place)) return undefined;
    const found = given[place] ?? recall(image, layer, known, options);
    for (const { entry } of found?.entries ?? []) totals.add(entry);
    return found;
  });
  const pending = [...layers.keys()].filter((place) => layers[place] === undefined);
  const total = pending.reduce((sum, place) => sum + image.layers[place]!.size, 0);
  let done = 0;
  let failed: { readonly error: unknown } | undefined;
  const hooks: Hooks = {
    onRead: (bytes) => {
      done += bytes;
      options.onProgress?.(done, total);
    },
    checkGoing: () => {
      options.signal?.throwIfAborted();
      if (failed !== undefined) throw failed.error;
    },
    onEntry: (entry) => totals.add(entry),
  };
  const readSome = async () => {
    for (let place = pending.shift(); place !== undefined; place = pending.shift()) {
      if (failed !== undefined) return;
      try {
        layers[place] = await readOne(
          image,
          image.layers[place]!,
          transaction,
          known,
          options,
          hooks,
        );
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  // All are awaited even when one fails: none may go on writing after the transaction has ended.
  await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, readSome));
  if (failed !== undefined) throw failed.error;
  return layers as ReadLayer[];
}

function recall(
  image: OciImage,
  layer: LayerDescriptor,
  known: KnownLayers,
  { strict = false, maxLayerBytes, points = false }: LayersOptions,
): ReadLayer | undefined {
  const bound = layerBound(layer.size, maxLayerBytes);
  const recalled = known.find(image, layer, { strict, bound, points });
  return recalled && { label: layer.label, ...recalled, isRemembered: true };
}

/** What the reading of a layer shares with that of the others. */
interface Hooks {
  readonly onRead: (bytes: number) => void;
  /** Throws when the reading is to end. */
  readonly checkGoing: () => void;
  readonly onEntry: (entry: TarEntry) => void;
}

async function readOne(
  image: OciImage,
  layer: LayerDescriptor,
  transaction: Transaction,
  known: KnownLayers,
  { strict = false, maxLayerBytes, points = false }: LayersOptions,
  { onRead, checkGoing, onEntry }: Hooks,
): Promise<ReadLayer> {
  const intake = new ContentIntake(transaction);
  const entries: LayerEntry[] = [];
  const warnings: string[] = [];
  const bound = layerBound(layer.size, maxLayerBytes);
  const parser = new TarParser(
    {
      entry: (entry) => {
        onEntry(entry);
        const file: { entry: TarEntry } & FileContent = { entry };
        entries.push(file);
        return entry.size > 0 ? intake.sink(entry.size, file) : undefined;
      },
    },
    { strict, maxBytes: bound, warn: (message) => void warnings.push(message) },
  );
  let report: LayerReport;
  try {
    const write = (chunk: Uint8Array) => {
      checkGoing();
      parser.write(chunk);
    };
    report = await readLayer(image, layer, write, { onRead, points, bound });
    parser.end();
  } catch (error) {
    throw labelled(error, layer.label);
  } finally {
    intake.abandon();
  }
  known.keep(layer, { entries, warnings, expanded: parser.expanded }, report);
  const { size, label } = layer;
  const indexed = points ? { ...report, size, points: report.points ?? NO_POINTS } : undefined;
  return { label, entries, warnings, indexed, isRemembered: false };
}
