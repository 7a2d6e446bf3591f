/**
 * Layers in a registry.
 *
 * @module
 */
import type { BlobRanges } from "../oci/blob-ranges.ts";
import { parseDigest } from "../oci/digest.ts";
import type { Registry } from "../oci/registry/registry.ts";
import type { SeekLayer } from "../seek/layer.ts";
import type { LayerBlobs } from "./layers-source.ts";

/** The blobs of one repository. */
export class RegistryBlobs implements LayerBlobs {
  readonly name: string;
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.name = `docker://${registry.label}`;
    this.#registry = registry;
  }

  open({ digest, size }: SeekLayer): BlobRanges {
    return this.#registry.ranges({ digest: parseDigest(digest, this.name), size });
  }

  close(): Promise<void> {
    return this.#registry.close();
  }
}
