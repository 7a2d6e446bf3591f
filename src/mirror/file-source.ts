/**
 * Objects in files on this machine, or on a file system that is mounted here: another store, or any
 * directory that is laid out like `objects/`.
 *
 * @module
 */
import { closeSync, read as readCallback } from "node:fs";
import { promisify } from "node:util";
import { IntegrityError, SystemError, NetworkError } from "../errors.ts";
import { failure } from "../fs/failure.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { LeafCache } from "../store/leaves.ts";
import { ObjectStore } from "../store/objects.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { ByteRange, ObjectSource, ReadOptions, WantedObject } from "./source.ts";

const read = promisify(readCallback);
const CHUNK_BYTES = 256 * 1024;

/** A directory with objects, and perhaps their leaf hashes. */
export class FileSource implements ObjectSource {
  readonly name: string;
  readonly kind: "store" | "directory";
  readonly #objects: ObjectStore;
  readonly #leaves: LeafCache | undefined;

  /** `objects` is the name of the directory with objects; a store also has leaf hashes. */
  constructor(kind: "store" | "directory", files: HeldDirectory, objects: string) {
    this.name = files.path;
    this.kind = kind;
    this.#objects = new ObjectStore(files, objects);
    this.#leaves = kind === "store" ? new LeafCache(files) : undefined;
  }

  cost(object: WantedObject, range?: ByteRange): number | undefined {
    // A file of another size is not the object; what it holds need not be read to know.
    if (this.#objects.sizeOf(object.digest) !== object.size) return undefined;
    return range === undefined ? object.size : range.end - range.start;
  }

  async *read(
    { digest, size }: WantedObject,
    { start, end }: ByteRange,
    { signal }: ReadOptions,
  ): AsyncIterable<Uint8Array> {
    const file = this.#open(digest);
    try {
      if (file.size !== size) {
        throw new IntegrityError(
          "SIZE_MISMATCH",
          `object ${digest}: ${this.name}: expected ${size} bytes, got ${file.size}`,
        );
      }
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - start));
      for (let at = start; at < end;) {
        signal?.throwIfAborted();
        const wanted = Math.min(chunk.length, end - at);
        const { bytesRead } = await read(file.fd, chunk, 0, wanted, at);
        if (bytesRead === 0) {
          throw new IntegrityError(
            "SIZE_MISMATCH",
            `object ${digest}: ${this.name}: expected ${size} bytes, its file ends at ${at}`,
          );
        }
        at += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    } catch (error) {
      throw this.#translate(digest, error);
    } finally {
      closeSync(file.fd);
    }
  }

  leaves({ digest }: WantedObject): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#leaves?.read(digest));
  }

  #open(digest: VerityDigest) {
    try {
      return this.#objects.openFile(digest);
    } catch (error) {
      throw this.#translate(digest, error);
    }
  }

  /** What fails here is this source's fault, not that of the store that is written to. */
  #translate(digest: VerityDigest, error: unknown): Error {
    const typed = failure(`object ${digest}`, error);
    if (!(typed instanceof SystemError)) return typed;
    return new NetworkError("UNREACHABLE", `${this.name}: ${typed.message}`, { cause: typed });
  }
}
