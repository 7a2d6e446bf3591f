/**
 * Leaf hashes for clients that want single blocks of large objects: from the store's cache, or by
 * hashing the object once. One object at a time: a client that asks for many waits, and the others
 * are served.
 *
 * @module
 */
import {
  closeSync,
  mkdtempSync,
  openSync,
  read as readCallback,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { OpenFile } from "../../fs/regular-file.ts";
import { LEAVES_ABOVE } from "../../store/leaves.ts";
import { limits } from "../../limits.ts";
import type { Store } from "../../store/store.ts";
import { type VerityDigest, VerityHasher, algorithmOf, leavesSize } from "../../verity/index.ts";

const read = promisify(readCallback);
const CHUNK_BYTES = 1024 * 1024;

/** The leaf hashes of one store's objects. */
export class LeafService {
  readonly #store: Store;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Opens the leaf hashes of an object; undefined when it is small, or not what its name says.
   *
   * @throws {@link NotFoundError} when the object is not here; {@link SystemError}
   */
  async open(digest: VerityDigest): Promise<OpenFile | undefined> {
    const { fd, size } = this.#store.objects.openFile(digest);
    try {
      // A larger one is no object: to hash it would keep others waiting.
      const isLeafless = size <= LEAVES_ABOVE;
      if (isLeafless || leavesSize(size, algorithmOf(digest)) > limits.leafBytes) return undefined;
      return this.#kept(digest, size) ?? (await this.#inTurn(() => this.#make(digest, fd, size)));
    } finally {
      closeSync(fd);
    }
  }

  #kept(digest: VerityDigest, size: number): OpenFile | undefined {
    let file: OpenFile;
    try {
      file = this.#store.openLeaves(digest);
    } catch {
      return undefined; // a cache miss, whatever it was
    }
    if (file.size === leavesSize(size, algorithmOf(digest))) return file;
    closeSync(file.fd);
    return undefined;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #make(digest: VerityDigest, fd: number, size: number): Promise<OpenFile | undefined> {
    const made = this.#kept(digest, size); // by the request before this one
    if (made !== undefined) return made;
    const hasher = new VerityHasher(algorithmOf(digest), { keepLeaves: true });
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let at = 0; at < size;) {
      const { bytesRead } = await read(fd, chunk, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) return undefined;
      hasher.update(chunk.subarray(0, bytesRead));
      at += bytesRead;
    }
    if (hasher.digest() !== digest) return undefined;
    const leaves = hasher.leaves();
    if (this.#store.writeLeaves(digest, leaves)) return this.#kept(digest, size);
    return unnamedFile(leaves); // a store that is only read
  }
}

/** A file that nobody else sees. */
function unnamedFile(bytes: Uint8Array): OpenFile {
  const directory = mkdtempSync(join(tmpdir(), "sealfs-leaves-"));
  try {
    const path = join(directory, "leaves");
    writeFileSync(path, bytes, { flag: "wx" });
    return { fd: openSync(path, "r"), size: bytes.length };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
