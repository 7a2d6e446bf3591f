/**
 * Images of layers in every form, built into stores, with their seek indexes.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { VerityDigest } from "../../src/verity/verity-digest.ts";
import { objectsOf } from "../../src/erofs/object-list.ts";
import { verifyImage } from "../../src/erofs/check.ts";
import { buildImage } from "../../src/build/build-image.ts";
import type { BuildOptions, BuildResult } from "../../src/build/build-options.ts";
import { openSeekIndex } from "../../src/fetch/open-seek-index.ts";
import { type BlobRanges, fileRanges } from "../../src/oci/blob-ranges.ts";
import { openNamed } from "../../src/oci/blob.ts";
import { parseSource } from "../../src/oci/reference.ts";
import { extract } from "../../src/oci/layer/seek-extract.ts";
import type { SeekIndex } from "../../src/seek/seek-index.ts";
import { Store } from "../../src/store/store.ts";
import { Stores } from "../../src/store/stores.ts";
import { TestLayout, named, types } from "./oci.ts";
import { scratchFolder } from "./scratch.ts";

/** A layer: its archive, and the blob that holds it. */
export interface BlobLayer {
  readonly tar: Uint8Array;
  readonly blob?: Uint8Array;
  readonly mediaType?: string;
}

/** A layout with one image `app`; a layer without a blob is stored as gzip. */
export function layoutOf(layers: readonly BlobLayer[]): string {
  const layout = new TestLayout();
  const blobs = layers.map(({ tar, blob = gzipSync(tar), mediaType = types.gzip }) =>
    layout.blob(blob, mediaType),
  );
  const image = layout.image(
    layers.map(({ tar }) => tar),
    { manifest: { layers: blobs } },
  );
  return layout.index([named(image, "app")]).directory();
}

/** An image in a store, its index, and the blobs of its layers. */
export class SeekBed {
  readonly store: Store;
  readonly built: BuildResult;
  readonly objects: ReadonlyMap<VerityDigest, number>;
  readonly index: SeekIndex;
  readonly #layout: string;

  private constructor(store: Store, built: BuildResult, layout: string) {
    this.store = store;
    this.built = built;
    this.#layout = layout;
    const image = verifyImage(built.bytes);
    this.objects = objectsOf(image);
    const index = openSeekIndex(new Stores([store]), image, built.digest, built.seekIndex);
    if (index === undefined) throw new Error("the image has no seek index");
    this.index = index;
  }

  static async of(layout: string, options: Partial<BuildOptions> = {}): Promise<SeekBed> {
    const store = Store.create(join(scratchFolder(), "store"));
    const reference = parseSource(`oci:${layout}`);
    const built = await buildImage(reference, { store, durability: "none", ...options });
    return new SeekBed(store, built, layout);
  }

  content(digest: VerityDigest): Buffer {
    return readFileSync(this.store.objects.path(digest));
  }

  /** The blob that an object lies in. */
  blobOf(digest: VerityDigest): BlobRanges {
    const layer = this.index.layers[this.index.place(digest)!.layer]!;
    const path = join(this.#layout, "blobs", layer.digest.replace(":", "/"));
    const range = openNamed(path);
    const ranges = fileRanges(range, path);
    return {
      size: range.size,
      async *read(start, end, options) {
        try {
          yield* ranges.read(start, end, options);
        } finally {
          range.close();
        }
      },
    };
  }

  /** A range out of the layer. */
  async read(
    digest: VerityDigest,
    start: number,
    end: number,
    blob = this.blobOf(digest),
    decoder?: "own",
  ): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of extract(this.index, digest, { start, end }, blob, { decoder })) {
      parts.push(Buffer.from(part));
    }
    return Buffer.concat(parts);
  }

  /**
   * Reads `count` ranges of up to 64 KiB at random places and compares each with the object in the
   * store; gives those that were wrong.
   */
  async wrongReads(count: number, decoder?: "own", seed = 1): Promise<string[]> {
    const wrong: string[] = [];
    const digests = [...this.objects.keys()].sort();
    // Bytes, not files, are chosen with equal chances.
    const ends: number[] = [];
    for (const digest of digests) ends.push((ends.at(-1) ?? 0) + this.objects.get(digest)!);
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let i = 0; i < count; i++) {
      const at = random(ends.at(-1)!);
      const which = ends.findIndex((end) => at < end);
      const digest = digests[which]!;
      const start = at - (ends[which - 1] ?? 0);
      const end = Math.min(this.objects.get(digest)!, start + 64 * 1024);
      const got = await this.read(digest, start, end, this.blobOf(digest), decoder);
      const right = this.content(digest).subarray(start, end);
      if (!got.equals(right)) wrong.push(`${digest} ${start} ${end}`);
    }
    return wrong;
  }
}
