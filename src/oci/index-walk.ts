/**
 * The entries of an index and of the indexes in it, in order. One that is odd, or cannot be read,
 * does not spoil the others: it comes with what is wrong with it.
 *
 * @module
 */
import {
  FormatError,
  IntegrityError,
  NetworkError,
  NotFoundError,
  type SealfsError,
} from "../errors.ts";
import { limits } from "../limits.ts";
import type { Descriptor } from "./descriptor.ts";
import type { OciDigest } from "./digest.ts";
import { type ImageIndex, type IndexEntry, parseDocument } from "./manifest.ts";
import { documentKind } from "./media-types.ts";

/** Reads a document and checks it against its descriptor. */
export type ReadDocument = (descriptor: Descriptor) => Uint8Array | Promise<Uint8Array>;

export interface PlacedEntry {
  readonly entry: IndexEntry;
  /** Indexes around it, not counting the outermost. */
  readonly depth: number;
}

/** Walks indexes; what has been read once is kept. */
export class IndexWalk {
  readonly #label: string;
  readonly #read: ReadDocument;
  readonly #begin: () => void;
  readonly #indexes = new Map<OciDigest, ImageIndex>();

  /** @param begin is told before a document is read; what it throws ends the walk */
  constructor(label: string, read: ReadDocument, begin: () => void) {
    this.#label = label;
    this.#read = read;
    this.#begin = begin;
  }

  /** @throws {@link FormatError} `LIMIT` when there are too many entries */
  async *entries(tops: readonly PlacedEntry[]): AsyncGenerator<PlacedEntry, void> {
    let looked = 0;
    for (const open = tops.toReversed(); open.length > 0;) {
      const placed = open.pop()!;
      if (++looked > limits.indexEntries) {
        const message = `${this.#label}: expected indexes of at most ${limits.indexEntries} entries, got more`;
        throw new FormatError("LIMIT", message);
      }
      yield placed;
      const { entry, depth } = placed;
      if ("error" in entry || documentKind(entry.mediaType) !== "index") continue;
      const nested = await this.#nested(entry, depth);
      for (const inner of nested.toReversed()) open.push({ entry: inner, depth: depth + 1 });
    }
  }

  async #nested(descriptor: Descriptor, depth: number): Promise<readonly IndexEntry[]> {
    const { digest, mediaType, annotations } = descriptor;
    const what = `${this.#label}: ${digest}`;
    const odd = (error: SealfsError) => [{ error, digest, annotations }];
    if (depth >= limits.indexDepth) {
      const message = `${what}: expected at most ${limits.indexDepth} indexes in one another, got more`;
      return odd(new FormatError("LIMIT", message));
    }
    const known = this.#indexes.get(digest);
    if (known !== undefined) return known.entries;
    this.#begin();
    try {
      const bytes = await this.#read(descriptor);
      const index = parseDocument(bytes, mediaType, what) as ImageIndex;
      this.#indexes.set(digest, index);
      return index.entries;
    } catch (error) {
      if (isAboutContent(error)) return odd(error);
      throw error;
    }
  }
}

/** Whether something is wrong with what was read, and not with the reading. */
export function isAboutContent(error: unknown): error is SealfsError {
  if (error instanceof NetworkError) return error.code === "NOT_FOUND";
  return (
    error instanceof FormatError ||
    error instanceof IntegrityError ||
    error instanceof NotFoundError
  );
}
