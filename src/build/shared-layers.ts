/**
 * Layers that several of the images that are built together have: each is read once, and kept until
 * the last image that has it.
 *
 * @module
 */
import type { LayerDescriptor, OciImage } from "../oci/image.ts";
import type { ReadLayer } from "./read-layer.ts";

export class SharedLayers {
  /** How many images are still to come that have a layer. */
  readonly #uses = new Map<string, number>();
  readonly #layers = new Map<string, ReadLayer>();

  constructor(images: readonly OciImage[]) {
    for (const { layers } of images) {
      for (const key of new Set(layers.map(keyOf))) {
        if (key !== undefined) this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
      }
    }
  }

  /** A layer that has been read for an earlier image. */
  get(layer: LayerDescriptor): ReadLayer | undefined {
    const key = keyOf(layer);
    return key === undefined ? undefined : this.#layers.get(key);
  }

  /** Keeps a layer that has been read, if a later image has it. */
  add(layer: LayerDescriptor, read: ReadLayer): void {
    const key = keyOf(layer);
    if (key !== undefined && (this.#uses.get(key) ?? 0) > 1) this.#layers.set(key, read);
  }

  /** Lets go of layers that only this image still needed. */
  done({ layers }: OciImage): void {
    for (const key of new Set(layers.map(keyOf))) {
      if (key === undefined) continue;
      const left = (this.#uses.get(key) ?? 0) - 1;
      this.#uses.set(key, left);
      if (left <= 0) this.#layers.delete(key);
    }
  }
}

/** The bytes of the blob, and what they are declared to decompress to. */
function keyOf({ digest, diffId, compression }: LayerDescriptor): string | undefined {
  return digest === undefined ? undefined : `${digest} ${diffId} ${compression}`;
}
