/**
 * Layers in a local OCI layout or archive.
 *
 * @module
 */
import { SystemError, NetworkError } from "../errors.ts";
import { openArchiveInPlace } from "../oci/source/archive-file.ts";
import { type BlobRanges, fileRanges } from "../oci/blob-ranges.ts";
import type { BlobRange, LayoutFiles } from "../oci/blob.ts";
import { blobPath, parseDigest } from "../oci/digest.ts";
import { DirectoryFiles } from "../oci/source/oci-layout.ts";
import type { SeekLayer } from "../seek/layer.ts";
import type { LayerBlobs } from "./layers-source.ts";

/** Blobs among the files of a layout. */
export class LayoutBlobs implements LayerBlobs {
  readonly name: string;
  readonly #files: LayoutFiles;
  readonly #open: BlobRange[] = [];

  private constructor(name: string, files: LayoutFiles) {
    this.name = name;
    this.#files = files;
  }

  static ofDirectory(path: string): LayoutBlobs {
    return new LayoutBlobs(`oci:${path}`, new DirectoryFiles(path));
  }

  /** @throws {@link FormatError} for an archive that is compressed, or none */
  static ofArchive(path: string): LayoutBlobs {
    return new LayoutBlobs(`oci-archive:${path}`, openArchiveInPlace(path));
  }

  open(layer: SeekLayer): BlobRanges {
    const range = this.#files.open(blobPath(parseDigest(layer.digest, this.name)));
    this.#open.push(range);
    const ranges = fileRanges(range, `${this.name}: ${layer.digest}`);
    return {
      size: range.size,
      read: (start, end, options) => ownFaults(ranges.read(start, end, options)),
    };
  }

  close(): Promise<void> {
    for (const range of this.#open.splice(0)) range.close();
    this.#files.close();
    return Promise.resolve();
  }
}

/** A disk that cannot be read is this source's fault, not that of the store that is written to. */
async function* ownFaults(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new NetworkError("UNREACHABLE", error.message, { cause: error });
  }
}
