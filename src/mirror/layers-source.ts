/**
 * Objects out of the image's own layers, by ranges, wherever these lie: in a registry, behind a web
 * server, in a local layout. The seek index says where each object is; neither it nor the layers need
 * be believed.
 *
 * @module
 */
import { IntegrityError, NotFoundError } from "../errors.ts";
import type { BlobRanges } from "../oci/blob-ranges.ts";
import type { SeekLayer } from "../seek/layer.ts";
import { type Piece, rangeOf } from "../seek/place.ts";
import { type Places, planRead } from "../seek/read-plan.ts";
import { type PlacedObject, type Run, groupObjects } from "./layer-groups.ts";
import type {
  ByteRange,
  GroupPart,
  ObjectGroup,
  ObjectSource,
  ReadOptions,
  WantedObject,
} from "./source.ts";

/** The blobs of one image at one place. */
export interface LayerBlobs {
  /** For messages and status. */
  readonly name: string;
  /**
   * The blob of a layer.
   *
   * @throws typed errors when it is not there
   */
  open(layer: SeekLayer): BlobRanges;
  close?(): Promise<void>;
}

/** Gives uncompressed bytes of a layer. */
export type ExtractLayer = (
  layer: SeekLayer,
  range: { readonly offset: number; readonly length: number },
  blob: BlobRanges,
  options: { readonly signal?: AbortSignal | undefined },
) => AsyncIterable<Uint8Array>;

const ZEROS = new Uint8Array(64 * 1024);

/** A source of objects that are files of the image's layers. */
export class LayersSource implements ObjectSource {
  readonly name: string;
  readonly kind = "layers";
  readonly #blobs: LayerBlobs;
  readonly #index: Places;
  readonly #extract: ExtractLayer;
  readonly #open = new Map<SeekLayer, BlobRanges>();
  #received = 0;

  constructor(blobs: LayerBlobs, index: Places, extract: ExtractLayer) {
    this.name = blobs.name;
    this.#blobs = blobs;
    this.#index = index;
    this.#extract = extract;
  }

  cost({ digest, size }: WantedObject, range?: ByteRange): number | undefined {
    if (this.#index.place(digest)?.size !== size) return undefined;
    const { blob } = planRead(this.#index, digest, range)!;
    return blob.end - blob.start;
  }

  async *read(
    object: WantedObject,
    range: ByteRange,
    { signal }: ReadOptions,
  ): AsyncIterable<Uint8Array> {
    const place = this.#index.place(object.digest);
    if (place === undefined) throw new NotFoundError("NO_OBJECT", `${this.name}: not in a layer`);
    const layer = this.#index.layers[place.layer]!;
    const { offset, stored, pieces } = rangeOf(place, range.start, range.end);
    const bytes = this.#bytes(layer, offset, stored, signal);
    yield* assemble(pieces, bytes, this.name);
  }

  groups(objects: readonly WantedObject[]): readonly ObjectGroup[] {
    const placed: PlacedObject[] = [];
    for (const object of objects) {
      const place = this.#index.place(object.digest);
      if (place?.size === object.size) placed.push({ object, place });
    }
    return groupObjects(this.#index.layers, placed).map((run) => ({
      objects: run.objects.map(({ object }) => object),
      cost: run.cost,
      read: ({ signal }) => this.#readRun(run, signal),
    }));
  }

  received(): number {
    return this.#received;
  }

  async close(): Promise<void> {
    await this.#blobs.close?.();
  }

  /** One pass over the run's bytes; what lies between its objects is dropped. */
  async *#readRun(run: Run, signal: AbortSignal | undefined): AsyncIterable<GroupPart> {
    const bytes = this.#bytes(run.layer, run.offset, run.length, signal);
    let at = run.offset;
    try {
      for (const { object, place } of run.objects) {
        await bytes.skip(place.offset - at);
        at = place.offset + place.stored;
        const { pieces } = rangeOf(place, 0, place.size);
        let left = place.size;
        for await (const chunk of assemble(pieces, bytes, this.name)) {
          left -= chunk.length;
          yield { object, chunk, isLast: left === 0 };
        }
      }
    } finally {
      await bytes.end();
    }
  }

  #bytes(layer: SeekLayer, offset: number, length: number, signal: AbortSignal | undefined) {
    if (length === 0) return new ByteQueue(nothing(), this.name);
    const range = { offset, length };
    return new ByteQueue(this.#extract(layer, range, this.#blob(layer), { signal }), this.name);
  }

  /** Opened once for each layer; what comes of it is counted. */
  #blob(layer: SeekLayer): BlobRanges {
    let counted = this.#open.get(layer);
    if (counted === undefined) {
      const blob = this.#blobs.open(layer);
      const count = (bytes: number) => void (this.#received += bytes);
      counted = {
        size: blob.size,
        async *read(start, end, options) {
          for await (const chunk of blob.read(start, end, options)) {
            count(chunk.length);
            yield chunk;
          }
        },
      };
      this.#open.set(layer, counted);
    }
    return counted;
  }
}

/** The pieces of a range in order: stored bytes as they come, holes as zeros. */
async function* assemble(
  pieces: readonly Piece[],
  bytes: ByteQueue,
  name: string,
): AsyncIterable<Uint8Array> {
  for (const { stored, length } of pieces) {
    for (let left = length; left > 0;) {
      const chunk = stored
        ? await bytes.take(left)
        : ZEROS.subarray(0, Math.min(left, ZEROS.length));
      if (chunk.length === 0)
        throw new IntegrityError("CUT_SHORT", `${name}: the layer ends early`);
      left -= chunk.length;
      yield chunk;
    }
  }
}

/** A stream of bytes, taken in portions. */
class ByteQueue {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #chunk: Uint8Array = new Uint8Array();

  constructor(stream: AsyncIterable<Uint8Array>, name: string) {
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#name = name;
  }

  /** At least one byte and at most `most`; none at the end. Good until the next call. */
  async take(most: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#iterator.next();
      if (done === true) return this.#chunk;
      this.#chunk = value;
    }
    const part = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const { length } = await this.take(left);
      if (length === 0) {
        throw new IntegrityError("CUT_SHORT", `${this.#name}: the layer ends early`);
      }
      left -= length;
    }
  }

  async end(): Promise<void> {
    await this.#iterator.return?.();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
