/**
 * A web server over a store: `objects/ab/cdef…`, and leaf hashes as `verity/ab/cdef…`.
 *
 * Spec: docs/registry-artifact.md, "HTTP mirror".
 *
 * @module
 */
import { NetworkError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { type VerityDigest, algorithmOf, objectPath } from "../verity/verity-digest.ts";
import { leavesSize } from "../verity/hasher.ts";
import { collect } from "./collect.ts";
import { type HttpResource, readHttp } from "./http-ranges.ts";
import type { ByteRange, ObjectSource, ReadOptions, WantedObject } from "./source.ts";

export interface HttpMirrorOptions {
  /** Ends with a slash. */
  readonly base: URL;
  readonly client: HttpClient;
  readonly authorization?: string | undefined;
}

/** Objects behind a URL. */
export class HttpMirror implements ObjectSource {
  readonly name: string;
  readonly kind = "mirror";
  readonly #options: HttpMirrorOptions;
  /** Whether it has ever given all where a part was asked for. */
  #givesAll = false;
  #received = 0;

  constructor(options: HttpMirrorOptions) {
    this.name = options.base.href;
    this.#options = options;
  }

  cost({ size }: WantedObject, range?: ByteRange): number | undefined {
    if (range === undefined) return size;
    return this.#givesAll ? range.end : range.end - range.start;
  }

  read({ digest, size }: WantedObject, range: ByteRange, options: ReadOptions) {
    return readHttp(this.#resource("objects", digest, size), range, {
      ...options,
      ...this.#counters,
    });
  }

  async leaves({ digest, size }: WantedObject, { signal }: ReadOptions) {
    const bytes = leavesSize(size, algorithmOf(digest));
    const resource = this.#resource("verity", digest, bytes);
    const read = readHttp(resource, { start: 0, end: bytes }, { signal, ...this.#counters });
    try {
      return await collect(read, bytes, { progress: () => undefined });
    } catch (error) {
      if (error instanceof NetworkError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  received(): number {
    return this.#received;
  }

  close(): Promise<void> {
    return this.#options.client.close();
  }

  /** The path is made of the digest's hex digits alone. */
  #resource(directory: "objects" | "verity", digest: VerityDigest, size: number): HttpResource {
    const { base, client, authorization } = this.#options;
    return {
      client,
      url: new URL(`${directory}/${objectPath(digest)}`, base),
      size,
      authorization,
    };
  }

  readonly #counters = {
    onBytes: (bytes: number) => void (this.#received += bytes),
    onWhole: () => void (this.#givesAll = true),
  };
}
