/**
 * Reads the layers of an image: each once, as a stream, its files staged as objects on the way. A
 * layer is returned only after its size, digest and diffID have been verified.
 *
 * @module
 */
import { layerBound } from "../oci/codec/decode.ts";
import type { LayerDescriptor, OciImage } from "../oci/image.ts";
import { type LayerReport, readLayer } from "../oci/layer/layer.ts";
import { labelled } from "../oci/source/tar-scan.ts";
import type { Transaction } from "../store/transaction.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarParser } from "../tar/parser.ts";
import type { LayerEntry } from "../tree/merge.ts";
import { EntryTotals } from "./entry-totals.ts";
import type { SharedLayers } from "./shared-layers.ts";
import type { ReadLayer } from "./read-layer.ts";
import { ContentIntake, type FileContent } from "./content.ts";

export interface LayersOptions {
  /** Whether access points are wanted, for a seek index. */
  readonly points?: boolean;
  readonly strict?: boolean;
  /** The most bytes of a layer; by default what follows from the size of its blob. */
  readonly maxLayerBytes?: number | undefined;
  readonly warn: (message: string) => void;
  /** Called with the bytes of the blobs that have been read, and their total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends the reading; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Layers that other images have as well. */
  readonly shared?: SharedLayers | undefined;
}

/** Layers whose decompression may run while another one is hashed and written. */
const LAYERS_AT_ONCE = 2;

/**
 * The layers of `image`, lowest first, their objects staged in `transaction`.
 *
 * @throws {@link FormatError} and {@link IntegrityError} for a layer that is malformed or not the
 *   one of its descriptor; {@link SystemError} when an object cannot be written
 */
export async function readLayers(
  image: OciImage,
  transaction: Transaction,
  options: LayersOptions,
): Promise<ReadLayer[]> {
  const layers: ReadLayer[] = [];
  const totals = new EntryTotals();
  const total = image.layers.reduce((sum, layer) => sum + layer.size, 0);
  let done = 0;
  let next = 0;
  let failed: { readonly error: unknown } | undefined;
  const onRead = (bytes: number) => {
    done += bytes;
    options.onProgress?.(done, total);
  };
  const hooks: Hooks = {
    onRead,
    checkGoing: () => {
      options.signal?.throwIfAborted();
      if (failed !== undefined) throw failed.error;
    },
    onEntry: (entry) => totals.add(entry),
  };
  const readSome = async () => {
    while (next < image.layers.length && failed === undefined) {
      const index = next++;
      try {
        const layer = image.layers[index]!;
        const known = options.shared?.get(layer);
        const read = known ?? (await readOne(image, layer, transaction, options, hooks));
        if (known === undefined) options.shared?.add(layer, read);
        else for (const { entry } of known.entries) totals.add(entry);
        layers[index] = read;
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  // All are awaited even when one fails: none may go on writing after the transaction has ended.
  await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, readSome));
  if (failed !== undefined) throw failed.error;
  return layers;
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
  options: LayersOptions,
  { onRead, checkGoing, onEntry }: Hooks,
): Promise<ReadLayer> {
  const intake = new ContentIntake(transaction);
  const entries: LayerEntry[] = [];
  const bound = layerBound(layer.size, options.maxLayerBytes);
  const parser = new TarParser(
    {
      entry: (entry) => {
        onEntry(entry);
        const file: { entry: TarEntry } & FileContent = { entry };
        entries.push(file);
        return entry.size > 0 ? intake.sink(entry.size, file) : undefined;
      },
    },
    {
      strict: options.strict ?? false,
      maxBytes: bound,
      warn: (message) => options.warn(`${layer.label}: ${message}`),
    },
  );
  let report: LayerReport;
  try {
    const write = (chunk: Uint8Array) => {
      checkGoing();
      parser.write(chunk);
    };
    report = await readLayer(image, layer, write, { onRead, points: options.points, bound });
    parser.end();
  } catch (error) {
    throw labelled(error, layer.label);
  } finally {
    intake.abandon();
  }
  return { label: layer.label, entries, size: layer.size, report };
}
