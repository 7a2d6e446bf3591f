/**
 * Layers behind a plain web server over an OCI layout: `blobs/sha256/<hex>`.
 *
 * @module
 */
import type { HttpClient } from "../http/client.ts";
import type { BlobRanges } from "../oci/blob-ranges.ts";
import { blobPath, parseDigest } from "../oci/digest.ts";
import type { SeekLayer } from "../seek/layer.ts";
import { readHttp } from "./http-ranges.ts";
import type { LayerBlobs } from "./layers-source.ts";

export class HttpLayoutBlobs implements LayerBlobs {
  readonly name: string;
  readonly #base: URL;
  readonly #client: HttpClient;
  readonly #authorization: string | undefined;

  /** `base` ends with a slash. */
  constructor(base: URL, client: HttpClient, authorization?: string) {
    this.name = `oci:${base.href}`;
    this.#base = base;
    this.#client = client;
    this.#authorization = authorization;
  }

  open({ digest, size }: SeekLayer): BlobRanges {
    const url = new URL(blobPath(parseDigest(digest, this.name)), this.#base);
    const resource = {
      client: this.#client,
      url,
      size,
      authorization: this.#authorization,
      mayBeEncoded: true,
    };
    const nobody = { onBytes: () => undefined, onWhole: () => undefined };
    return {
      size,
      read: (start, end, { signal }) => readHttp(resource, { start, end }, { signal, ...nobody }),
    };
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
