/**
 * The layers that a build need not read: those that it has read for another platform, and those that
 * the store remembers of an earlier build. A layer comes from memory only where reading it would give
 * the same, refusals included; otherwise it is read.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { SystemError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { LayerDescriptor, OciImage } from "../oci/image.ts";
import type { LayerReport } from "../oci/layer/layer.ts";
import {
  blobName,
  entriesName,
  formatImageLayers,
  imageLayersIn,
  imageLayersName,
} from "../store/layers/layer-names.ts";
import { LayerMemory, memoryReader } from "../store/layers/layer-memory.ts";
import {
  type RememberedEntries,
  encodeBlob,
  encodeEntries,
} from "../store/layers/remembered-layer.ts";
import type { Transaction } from "../store/transaction.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type LayerDemand, type Recalled, recallLayer } from "./recall-layer.ts";

/** What {@link KnownLayers.keep} keeps of a layer that was read. */
export type LayerContent = Omit<RememberedEntries, "diffId" | "bytes">;

export class KnownLayers {
  readonly #transaction: Transaction;
  /** What this transaction has kept, then what the store had. */
  readonly #memories: readonly LayerMemory[];
  /** Whether what is kept is for later builds, too. */
  readonly #lasts: boolean;
  readonly #keeps: boolean;
  readonly #kept = new Set<string>();
  /** Of which layers images are made: names in the store. */
  readonly #lists = new Map<VerityDigest, readonly string[]>();

  /**
   * @param cache whether what the store remembers is used
   * @param areSeveral whether several images are built, which may have layers in common
   */
  constructor(transaction: Transaction, cache: boolean, areSeveral: boolean) {
    const { store } = transaction;
    const stored = memoryReader(store);
    const own = (name: string) => transaction.kept(name);
    const readers = stored !== undefined && cache ? [own, stored] : [own];
    this.#transaction = transaction;
    this.#memories = readers.map((read) => new LayerMemory(read, store.algorithm));
    this.#lasts = stored !== undefined;
    this.#keeps = this.#lasts || areSeveral;
  }

  /** What reading the layer would give; undefined when it has to be read. */
  find(image: OciImage, layer: LayerDescriptor, demand: LayerDemand): Recalled | undefined {
    for (const memory of this.#memories) {
      const recalled = recallLayer(memory, image, layer, demand);
      if (recalled !== undefined) return recalled;
    }
    return undefined;
  }

  /** Keeps what reading a layer has given, where it can be found again. */
  keep(
    { diffId, digest, size, compression }: LayerDescriptor,
    read: LayerContent,
    report: LayerReport,
  ): void {
    if (!this.#keeps || diffId === undefined) return;
    const { algorithm } = this.#transaction.store;
    const { points, bytes } = report;
    this.#put(entriesName(diffId), encodeEntries({ diffId, bytes, ...read }, algorithm));
    if (digest === undefined || points === undefined) return;
    const blob = { ...report, digest, size, diffId, declared: compression, points };
    this.#put(blobName(digest), encodeBlob(blob, algorithm));
  }

  /** Says of which layers an image is made. */
  use(id: VerityDigest, layers: readonly LayerDescriptor[]): void {
    const names = layers.flatMap(({ diffId, digest }) => [
      ...(diffId === undefined ? [] : [entriesName(diffId)]),
      ...(digest === undefined || diffId === undefined ? [] : [blobName(digest)]),
    ]);
    // Two platforms may have the same image.
    if (names.length > 0) this.#lists.set(id, [...(this.#lists.get(id) ?? []), ...names]);
  }

  /** The names of the files that are to be published with the images. */
  finish(): ReadonlySet<string> {
    if (!this.#lasts) return new Set();
    const { files } = this.#transaction.store;
    for (const [id, names] of this.#lists) {
      const name = imageLayersName(id);
      const list = formatImageLayers(names);
      if (!formatImageLayers(imageLayersIn(files, name)).equals(list)) this.#put(name, [list]);
    }
    return this.#kept;
  }

  /** A build does not fail because it cannot be remembered. */
  #put(name: string, parts: readonly Uint8Array[]): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes > limits.rememberedBytes) return;
    try {
      this.#transaction.keep(name, parts);
      this.#kept.add(name);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
}
