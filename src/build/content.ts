/**
 * Takes the content of regular files from a stream of layer entries: up to 64 bytes stay with the
 * entry and go into the image, everything else becomes a staged object, named by its verity digest.
 *
 * Spec: docs/image-format.md, "Content in the image".
 *
 * @module
 */
import type { StagedObject } from "../store/staged-objects.ts";
import type { Transaction } from "../store/transaction.ts";
import type { ContentSink } from "../tar/entry.ts";
import { INLINE_BYTES } from "../tree/inline-content.ts";
import type { VerityAlgorithm, VerityDigest } from "../verity/verity-digest.ts";
import { VerityHasher, verityDigestOf } from "../verity/hasher.ts";

/** Content of a file: in the image, or in an object. */
export interface FileContent {
  content?: Uint8Array;
  digest?: VerityDigest;
}

/** Files up to this size are hashed in one piece, and not written when the store has them. */
const WHOLE_BYTES = 256 * 1024;

/** Takes the files of one stream, one after the other. */
export class ContentIntake {
  readonly #transaction: Transaction;
  readonly #algorithm: VerityAlgorithm;
  /** Collects a file that is cut by the end of a chunk. */
  readonly #scratch = Buffer.allocUnsafeSlow(WHOLE_BYTES);
  #streamed: StagedObject | undefined;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
    this.#algorithm = transaction.store.algorithm;
  }

  /** A sink for the next file, of `size` bytes; what it makes is set in `file` at its end. */
  sink(size: number, file: FileContent): ContentSink {
    if (size > WHOLE_BYTES) return this.#stream(file);
    let at = 0;
    const finish = (bytes: Uint8Array) => {
      if (size <= INLINE_BYTES) file.content = Uint8Array.from(bytes);
      else file.digest = this.#put(bytes);
    };
    return {
      write: (chunk) => {
        if (chunk.length === size) {
          at = size;
          finish(chunk); // the usual case: no copy
          return;
        }
        this.#scratch.set(chunk, at);
        at += chunk.length;
        if (at === size) finish(this.#scratch.subarray(0, size));
      },
      end: () => {},
    };
  }

  /** Discards a file whose content is incomplete. */
  abandon(): void {
    this.#streamed?.abandon();
    this.#streamed = undefined;
  }

  #put(bytes: Uint8Array): VerityDigest {
    const digest = verityDigestOf(bytes, this.#algorithm);
    this.#transaction.put(digest, bytes);
    return digest;
  }

  #stream(file: FileContent): ContentSink {
    const staged = this.#transaction.stage();
    const hasher = new VerityHasher(this.#algorithm, { keepLeaves: true });
    this.#streamed = staged;
    return {
      write: (chunk) => {
        hasher.update(chunk);
        staged.write(chunk);
      },
      end: () => {
        file.digest = hasher.digest();
        staged.finish(file.digest, hasher.leaves());
        this.#streamed = undefined;
      },
    };
  }
}
