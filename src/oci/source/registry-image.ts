/**
 * An image in a registry as a source of builds. Its documents come at once, its layers when they are
 * read: into a file without a name, and checked before anybody reads from it.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NetworkError, NotFoundError } from "../../errors.ts";
import { writeFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { limits } from "../../limits.ts";
import { type BlobRange, partOf } from "../blob.ts";
import type { Descriptor } from "../descriptor.ts";
import { DigestHasher, type OciDigest, algorithmOf, verifyDigest } from "../digest.ts";
import type { Documents, PlatformQuestion } from "../image-search.ts";
import type { LayerDescriptor, OciImage } from "../image.ts";
import { isAboutContent } from "../index-walk.ts";
import { foreignLayer, imageOf } from "./oci-layout.ts";
import { type ImageIndex, type Manifest, parseDocument, unsupportedDocument } from "../manifest.ts";
import { documentKind } from "../media-types.ts";
import { ONLY } from "../reference.ts";
import { withPullPlaces } from "../registry/pull-places.ts";
import type { Registry, RegistryDocument } from "../registry/registry.ts";
import { type RegistryReference, registryName } from "../registry-reference.ts";
import type { RegistryOptions } from "../registry/session.ts";
import { selectManifest } from "../select.ts";
import { openUnnamed } from "./spool.ts";

/**
 * The image that a reference names, from the first place that has it.
 *
 * @throws {@link UsageError} for a registry that is blocked; {@link NetworkError}; {@link FormatError} `AMBIGUOUS`; {@link NotFoundError} `NO_REF`;
 *   {@link IntegrityError}
 */
export async function openRegistryImage(
  reference: RegistryReference,
  question: PlatformQuestion,
  options: RegistryOptions = {},
): Promise<OciImage> {
  return withPullPlaces(reference, options, (registry) => openAt(registry, reference, question));
}

async function openAt(
  registry: Registry,
  reference: RegistryReference,
  question: PlatformQuestion,
): Promise<OciImage> {
  const blobs = new SpooledBlobs(registry);
  const close = () => {
    blobs.close();
    registry.close().catch(() => undefined);
  };
  try {
    const label = registryName(reference);
    const document = await imageManifest(
      registry,
      await registry.named(reference),
      question,
      label,
    );
    const what = `${label}: manifest ${document.digest}`;
    const { config } = parseDocument(document.bytes, document.mediaType, what) as Manifest;
    const configBytes = await registry.blob(config, limits.manifestBytes);
    const image = imageOf(label, document, document.bytes, configBytes, question.platform);
    return {
      ...image,
      prepare: (layer) => fetchLayer(blobs, layer),
      openBlob: ({ digest, size }) =>
        digest === config.digest ? blobs.keep(digest, configBytes) : blobs.open(digest!, size),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function fetchLayer(blobs: SpooledBlobs, layer: LayerDescriptor): Promise<void> {
  try {
    await blobs.fetch({ digest: layer.digest!, size: layer.size });
  } catch (error) {
    const missing = error instanceof NetworkError && error.code === "NOT_FOUND";
    throw missing && layer.isForeign ? foreignLayer(layer, error) : error;
  }
}

/** The manifest itself, or the one that is chosen of an index, and the platform that it is for. */
export async function imageManifest(
  registry: Registry,
  document: RegistryDocument,
  question: PlatformQuestion,
  label: string,
  signal?: AbortSignal,
): Promise<RegistryDocument & Pick<Descriptor, "platform">> {
  const kind = documentKind(document.mediaType);
  if (kind === undefined) throw unsupportedDocument(document.mediaType, label);
  if (kind === "manifest") return { ...document, platform: undefined };
  const index = parseDocument(document.bytes, document.mediaType, label) as ImageIndex;
  const documents = documentsOf(registry, label, signal);
  const chosen = await selectManifest(index, { choice: ONLY, ...question }, documents);
  return { ...(await registry.document(chosen, signal)), platform: chosen.platform };
}

function documentsOf(
  registry: Registry,
  label: string,
  signal: AbortSignal | undefined,
): Documents {
  const read = async (descriptor: Descriptor) =>
    (await registry.document(descriptor, signal)).bytes;
  return {
    label,
    source: `docker://${registry.label}`,
    mostDocuments: limits.candidates,
    read,
    facts: async (descriptor) => {
      try {
        const bytes = await read(descriptor);
        const { config } = parseDocument(bytes, descriptor.mediaType, label) as Manifest;
        const configBytes = await registry.blob(config, limits.manifestBytes, signal);
        const image = imageOf(label, descriptor, bytes, configBytes, undefined);
        return { configDigest: config.digest, platform: image.config!.platform };
      } catch (error) {
        if (isAboutContent(error)) return undefined;
        throw error;
      }
    },
  };
}

/** Tries without a byte before a download is given up, and the first pause between them. */
const TRIES = 4;
const PAUSE_MS = 250;

const FINAL: ReadonlySet<NetworkError["code"]> = new Set(["UNAUTHORIZED", "NOT_FOUND", "BUSY"]);

/** Blobs of a registry in files without names, until they are closed. */
class SpooledBlobs {
  readonly #registry: Registry;
  readonly #files = new Map<OciDigest, Promise<BlobRange>>();
  readonly #ready = new Map<OciDigest, BlobRange>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Downloads a blob, once, and checks it. */
  async fetch(descriptor: Pick<Descriptor, "digest" | "size">): Promise<void> {
    const { digest } = descriptor;
    let file = this.#files.get(digest);
    if (file === undefined) {
      file = this.#download(descriptor);
      this.#files.set(digest, file);
    }
    this.#ready.set(digest, await file);
  }

  /** A blob that has been fetched. */
  open(digest: OciDigest, size: number): BlobRange {
    const file = this.#ready.get(digest);
    if (file !== undefined) return partOf(file, 0, size);
    throw new NotFoundError("NO_FILE", `${this.#registry.label}: ${digest} was not fetched`);
  }

  /** A blob that is at hand. */
  keep(digest: OciDigest, bytes: Uint8Array): BlobRange {
    let file = this.#ready.get(digest);
    if (file === undefined) {
      file = openUnnamed();
      writeAll(file.fd, bytes);
      this.#ready.set(digest, file);
    }
    return partOf(file, 0, bytes.length);
  }

  close(): void {
    for (const file of this.#ready.values()) file.close();
    this.#ready.clear();
  }

  async #download({ digest, size }: Pick<Descriptor, "digest" | "size">): Promise<BlobRange> {
    const what = `${this.#registry.label}: ${digest}`;
    const ranges = this.#registry.ranges({ digest, size });
    const hasher = new DigestHasher(algorithmOf(digest));
    const file = openUnnamed();
    let at = 0;
    try {
      for (let tries = 1; at < size; tries++) {
        const begun = at;
        try {
          for await (const chunk of ranges.read(at, size, {})) {
            writeAll(file.fd, chunk);
            hasher.update(chunk);
            at += chunk.length;
          }
        } catch (error) {
          if (at > begun) tries = 0;
          // What broke off goes on where it was; what is wrong does not become right.
          if (!(error instanceof NetworkError) || error.mirrorAtFault || tries >= TRIES)
            throw error;
          // One that is busy has been waited for.
          if (FINAL.has(error.code)) throw error;
          if (tries > 0) await sleep(PAUSE_MS * 2 ** (tries - 1));
        }
      }
      verifyDigest(digest, hasher.digest(), what);
      return { ...file, size };
    } catch (error) {
      file.close();
      throw error;
    }
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  try {
    writeFully(fd, bytes);
  } catch (error) {
    throw failure("temporary file", error);
  }
}
