/**
 * Where the bytes of one object arrive: small ones in memory, large ones in a file that outlives an
 * interruption. Never more bytes than the object has.
 *
 * @module
 */
import { IntegrityError } from "../errors.ts";
import { PartialFile } from "../store/partial-file.ts";
import type { Store } from "../store/store.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { VerityHasher, verityDigestOf } from "../verity/hasher.ts";
import type { Publisher } from "./publisher.ts";
import type { WantedObject } from "./source.ts";

/** Objects up to this size arrive in memory. */
const MEMORY_BYTES = 1024 * 1024;

/** An object on its way in. */
export interface Intake {
  /** Bytes that have arrived, from the object's start on. */
  readonly size: number;
  /**
   * @throws {@link IntegrityError} `SIZE_MISMATCH` when they are more than the object has;
   *   {@link SystemError} when they cannot be kept
   */
  append(chunk: Uint8Array): void;
  /** Forgets what has arrived. */
  reset(): void;
  /** Of all that has arrived. */
  digest(): VerityDigest;
  /** Hands it over to be published; its digest was right. */
  publish(publisher: Publisher): Promise<void>;
  /** It is not wanted any more; `keep` leaves what has arrived to the next fetch. */
  abandon(options: { readonly keep: boolean }): void;
}

/** @throws {@link SystemError} when the store cannot be written to */
export async function openIntake(store: Store, object: WantedObject): Promise<Intake> {
  if (object.size <= MEMORY_BYTES) return new MemoryIntake(object);
  const file = PartialFile.open(store, object.digest, object.size);
  const hasher = hasherFor(object);
  for await (const chunk of file.content()) hasher.update(chunk);
  return new FileIntake(store, object, file, hasher);
}

class MemoryIntake implements Intake {
  readonly #object: WantedObject;
  readonly #bytes: Uint8Array;
  size = 0;

  constructor(object: WantedObject) {
    this.#object = object;
    this.#bytes = new Uint8Array(object.size);
  }

  append(chunk: Uint8Array): void {
    requireRoom(this.#object, this.size, chunk);
    this.#bytes.set(chunk, this.size);
    this.size += chunk.length;
  }

  reset(): void {
    this.size = 0;
  }

  digest(): VerityDigest {
    const bytes = this.#bytes.subarray(0, this.size);
    return verityDigestOf(bytes, algorithmOf(this.#object.digest));
  }

  publish(publisher: Publisher): Promise<void> {
    return publisher.put(this.#object.digest, this.#bytes);
  }

  abandon(): void {}
}

class FileIntake implements Intake {
  readonly #store: Store;
  readonly #object: WantedObject;
  readonly #file: PartialFile;
  #hasher: VerityHasher;

  constructor(store: Store, object: WantedObject, file: PartialFile, hasher: VerityHasher) {
    this.#store = store;
    this.#object = object;
    this.#file = file;
    this.#hasher = hasher;
  }

  get size(): number {
    return this.#file.size;
  }

  append(chunk: Uint8Array): void {
    requireRoom(this.#object, this.size, chunk);
    this.#file.append(chunk);
    this.#hasher.update(chunk);
  }

  reset(): void {
    this.#file.reset();
    this.#hasher = hasherFor(this.#object);
  }

  digest(): VerityDigest {
    return this.#hasher.digest();
  }

  async publish(publisher: Publisher): Promise<void> {
    this.#file.complete();
    const published = publisher.adopt(this.#file.name, this.#object.digest, this.size);
    this.#file.close({ keep: false });
    await published;
    // Readers of parts need not hash all of it again.
    this.#store.writeLeaves(this.#object.digest, this.#hasher.leaves());
  }

  abandon({ keep }: { readonly keep: boolean }): void {
    this.#file.close({ keep });
  }
}

function hasherFor({ digest }: WantedObject): VerityHasher {
  return new VerityHasher(algorithmOf(digest), { keepLeaves: true });
}

function requireRoom({ digest, size }: WantedObject, at: number, chunk: Uint8Array): void {
  if (at + chunk.length <= size) return;
  throw new IntegrityError(
    "SIZE_MISMATCH",
    `object ${digest}: expected ${size} bytes, got more than that`,
  );
}
