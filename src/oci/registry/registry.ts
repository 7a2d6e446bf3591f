/**
 * One repository of a registry: its manifests and blobs (OCI distribution spec 1.1, "Pull").
 *
 * @module
 */
import { FormatError, NetworkError } from "../../errors.ts";
import { type Asked, refusesPart, single, statusFailure } from "../../http/answer.ts";
import type { GoodResponse, HttpResponse } from "../../http/client.ts";
import { explanation } from "../../http/explanation.ts";
import { slice } from "../../http/slice.ts";
import { limits } from "../../limits.ts";
import type { BlobRanges } from "../blob-ranges.ts";
import { verifyBlob } from "../blob.ts";
import type { Descriptor } from "../descriptor.ts";
import { type OciDigest, algorithmOf, digestOf, isDigest, verifyDigest } from "../digest.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../media-types.ts";
import type { RegistryReference } from "../registry-reference.ts";
import { documentType } from "./document-type.ts";
import { type RegistryOptions, RegistrySession, collect } from "./session.ts";
import { defined } from "../../optional.ts";

/** A manifest or index as it came; its digest has been computed, not believed. */
export interface RegistryDocument {
  readonly mediaType: string;
  readonly digest: OciDigest;
  readonly bytes: Uint8Array;
}

const ACCEPT = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");

type BlobDescriptor = Pick<Descriptor, "digest" | "size">;

export class Registry {
  readonly session: RegistrySession;
  /** For messages. */
  readonly label: string;
  /** Where blobs turned out to be, on other servers. */
  readonly #places = new Map<OciDigest, URL>();
  /** Blobs that are not given in parts. */
  readonly #wholes = new Set<OciDigest>();

  constructor(
    place: Pick<RegistryReference, "host" | "repository">,
    options: RegistryOptions = {},
  ) {
    this.session = new RegistrySession(place, options);
    this.label = `${place.host}/${place.repository}`;
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /**
   * The manifest of a tag or digest.
   *
   * @throws {@link NetworkError} `NOT_FOUND` and others; {@link IntegrityError} `DIGEST_MISMATCH`
   */
  async manifest(reference: string, signal?: AbortSignal): Promise<RegistryDocument> {
    const url = await this.session.url(`manifests/${reference}`);
    const what = `${this.label}: manifest ${reference}`;
    const response = await this.session.send("GET", url, "pull", {
      headers: { accept: ACCEPT },
      maxBytes: limits.manifestBytes,
      signal,
    });
    await requireStatus(response, [200], what);
    const type = single(response.headers, "content-type", what);
    const bytes = await collect(response.body);
    const mediaType = documentType(type, bytes);
    if (isDigest(reference)) {
      verifyDigest(reference, digestOf(bytes, algorithmOf(reference)), what);
      return { mediaType, digest: reference, bytes };
    }
    const digest = digestOf(bytes);
    const told = single(response.headers, "docker-content-digest", what);
    // By another algorithm, or no digest at all, it says nothing.
    if (told !== undefined && isDigest(told)) {
      verifyDigest(told, digestOf(bytes, algorithmOf(told)), what);
    }
    return { mediaType, digest, bytes };
  }

  /** The manifest that a reference names: its digest counts before its tag. */
  named({ tag, digest }: RegistryReference, signal?: AbortSignal): Promise<RegistryDocument> {
    return this.manifest(digest ?? tag ?? "latest", signal);
  }

  /** A document by its descriptor, whole and checked. */
  async document(descriptor: Descriptor, signal?: AbortSignal): Promise<RegistryDocument> {
    const { mediaType, digest } = descriptor;
    const document = await this.manifest(digest, signal);
    verifyBlob(document.bytes, descriptor, `${this.label}: ${digest}`);
    return { ...document, mediaType };
  }

  /**
   * A small blob, whole and checked.
   *
   * @throws {@link FormatError} `LIMIT`; {@link IntegrityError}; {@link NetworkError}
   */
  async blob(
    descriptor: BlobDescriptor,
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const what = `${this.label}: ${descriptor.digest}`;
    if (descriptor.size > maxBytes) {
      const message = `${what}: expected at most ${maxBytes} bytes, got a descriptor of ${descriptor.size}`;
      throw new FormatError("LIMIT", message);
    }
    const bytes = await collect(this.ranges(descriptor).read(0, descriptor.size, { signal }));
    verifyBlob(bytes, descriptor, what);
    return bytes;
  }

  /** A blob by ranges, unchecked. */
  ranges(descriptor: BlobDescriptor): BlobRanges {
    const { size } = descriptor;
    const open = (start: number, end: number, signal?: AbortSignal) =>
      this.#open(descriptor, start, end, signal);
    return {
      size,
      async *read(start, end, { signal }) {
        if (start < end) yield* slice(await open(start, end, signal), start, end);
      },
    };
  }

  /** A blob that is not given in parts is taken whole, now and from then on. */
  async #open(
    blob: BlobDescriptor,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<GoodResponse> {
    const isWhole = (start === 0 && end === blob.size) || this.#wholes.has(blob.digest);
    if (isWhole) return this.#ask(blob, undefined, signal);
    try {
      return await this.#ask(blob, { start, end }, signal);
    } catch (error) {
      // What is no answer to a request for a part may be one to that for the whole.
      const isOdd = error instanceof NetworkError && error.code === "BAD_RESPONSE";
      if (!isOdd && !refusesPart(error)) throw error;
      const whole = await this.#ask(blob, undefined, signal);
      this.#wholes.add(blob.digest);
      return whole;
    }
  }

  /**
   * Registries often send elsewhere for a blob, by a URL that is good for a while. It is kept; when
   * it is not good any more, the registry is asked again, once.
   */
  async #ask(
    { digest, size }: BlobDescriptor,
    range: Asked["range"],
    signal: AbortSignal | undefined,
  ): Promise<GoodResponse> {
    const options = { expectedSize: size, signal, ...defined({ range }) };
    const known = this.#places.get(digest);
    if (known !== undefined) {
      try {
        return await this.session.getElsewhere(known, options);
      } catch (error) {
        if (!isExpired(error)) throw error;
        this.#places.delete(digest);
      }
    }
    const response = await this.session.get(await this.session.url(`blobs/${digest}`), options);
    if (!(await this.session.isOwn(response.url))) this.#places.set(digest, response.url);
    return response;
  }
}

/** What storage says of a URL whose signature is too old. */
function isExpired(error: unknown): boolean {
  if (!(error instanceof NetworkError) || error.code === "BUSY") return false;
  return error.status !== undefined && error.status < 500;
}

/** @throws {@link NetworkError} with what the registry says, for any other status */
export async function requireStatus(
  response: HttpResponse,
  wanted: readonly number[],
  what: string,
): Promise<void> {
  const { status, headers } = response;
  if (wanted.includes(status)) return;
  const why = await explanation(response);
  if (isSuccess(status)) {
    const expected = wanted.join(" or ");
    throw new NetworkError("BAD_RESPONSE", `${what}: expected status ${expected}, got ${status}`);
  }
  throw statusFailure(status, headers, what, false, why);
}

/** The same for every status that is no success: of these registries use any for "done". */
export async function requireSuccess(response: HttpResponse, what: string): Promise<void> {
  if (!isSuccess(response.status)) await requireStatus(response, [], what);
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
