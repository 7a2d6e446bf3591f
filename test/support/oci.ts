/**
 * Makes OCI layouts and archives for tests: blobs, manifests, indexes, with any detail replaced.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { formatPlatform } from "../../src/platform/platform.ts";
import { hostPlatform } from "../../src/sys/host-platform.ts";
import { scratchFolder } from "./scratch.ts";

/** What images are for unless a test says otherwise: clients here take no other by themselves. */
const HOST = formatPlatform(hostPlatform());

export interface BlobDescriptor {
  mediaType: string;
  digest: string;
  size: number;
  [field: string]: unknown;
}

export const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  tar: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

export function digestOf(bytes: Uint8Array, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** A tar of ASCII-named entries: name to content, or to a tar-stream header with one. */
export async function tar(
  entries: readonly (Partial<Header> & { readonly name: string } & {
    readonly content?: Uint8Array | string;
  })[],
): Promise<Buffer> {
  const stream = pack();
  for (const { content, ...header } of entries) {
    stream.entry(
      { mtime: new Date(0), ...header },
      content === undefined ? "" : Buffer.from(content),
    );
  }
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A small layer whose one file holds `text`. */
export function layerTar(text: string, name = "file"): Promise<Buffer> {
  return tar([{ name, content: text }]);
}

/** A layout that grows blob by blob in memory and is written as a directory or an archive. */
export class TestLayout {
  /** Path in the layout to content. */
  readonly files = new Map<string, Uint8Array>([
    ["oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
  ]);

  blob(bytes: Uint8Array, mediaType: string, algorithm = "sha256"): BlobDescriptor {
    const digest = digestOf(bytes, algorithm);
    this.files.set(`blobs/${digest.replace(":", "/")}`, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  json(value: unknown, mediaType: string, algorithm = "sha256"): BlobDescriptor {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return this.blob(Buffer.from(text), mediaType, algorithm);
  }

  /** An image of uncompressed layer tars, stored as gzip; `patch` replaces fields of the manifest. */
  image(
    layers: readonly Uint8Array[],
    { platform = HOST, manifest = {}, config = {} } = {},
  ): BlobDescriptor {
    const [os, architecture, variant] = platform.split("/");
    const configuration = this.json(
      {
        architecture,
        os,
        variant,
        rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) },
        ...config,
      },
      types.config,
    );
    return this.json(
      {
        schemaVersion: 2,
        mediaType: types.manifest,
        config: configuration,
        layers: layers.map((layer) => this.blob(gzipSync(layer), types.gzip)),
        ...manifest,
      },
      types.manifest,
    );
  }

  /** Writes `index.json`. */
  index(manifests: readonly unknown[], fields: Record<string, unknown> = {}): this {
    const document = { schemaVersion: 2, mediaType: types.index, manifests, ...fields };
    this.files.set("index.json", Buffer.from(JSON.stringify(document)));
    return this;
  }

  /** Writes the layout as a directory and returns its path. */
  directory(path = join(scratchFolder(), "layout")): string {
    for (const [name, content] of this.files) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    }
    return path;
  }

  /** Writes the layout as an archive and returns its path. */
  async archive(path = join(scratchFolder(), "image.tar")): Promise<string> {
    writeFileSync(path, await this.archiveBytes());
    return path;
  }

  archiveBytes(): Promise<Buffer> {
    return tar([...this.files].map(([name, content]) => ({ name, content })));
  }
}

/** `descriptor` under the name that skopeo and umoci find it by. */
export function named(descriptor: BlobDescriptor, name: string): BlobDescriptor {
  return { ...descriptor, annotations: { "org.opencontainers.image.ref.name": name } };
}
