/**
 * A ring of slabs in shared memory: one thread fills them in order, another empties them in order,
 * and each waits for the other without copying what is in them. Ends with a message, as text.
 *
 * @module
 */

const SLABS = 12;
const SLAB_BYTES = 1024 * 1024;
const MESSAGE_BYTES = 64 * 1024;

// Words of the control block.
const FILLED = 0; // slabs filled since the start
const EMPTIED = 1; // slabs given back since the start
const STATE = 2;
const MESSAGE_LENGTH = 3;
const SIGNAL = 4; // changes with FILLED and STATE
const LENGTHS = 5; // bytes in each slab
const WORDS = LENGTHS + SLABS;
const PROGRESS_AT = Math.ceil((WORDS * 4) / 8) * 8;
const MESSAGE_AT = PROGRESS_AT + 8;

const RUNNING = 0;
const ENDED = 1;
const CANCELLED = 2;

/** The memory of a ring, to be sent to the other thread. */
export interface RingMemory {
  readonly control: SharedArrayBuffer;
  readonly slabs: SharedArrayBuffer;
}

export function createRing(): RingMemory {
  return {
    control: new SharedArrayBuffer(MESSAGE_AT + MESSAGE_BYTES),
    slabs: new SharedArrayBuffer(SLABS * SLAB_BYTES),
  };
}

/** Makes a ring that neither end uses any more as good as new. */
export function resetRing(memory: RingMemory): void {
  new Uint8Array(memory.control).fill(0);
}

/** Thrown in the filling thread when nobody wants the rest. */
export class RingCancelled extends Error {}

abstract class RingEnd {
  protected readonly words: Int32Array;
  readonly #memory: RingMemory;
  protected readonly progressWord: BigInt64Array;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.words = new Int32Array(memory.control, 0, WORDS);
    this.progressWord = new BigInt64Array(memory.control, PROGRESS_AT, 1);
  }

  protected slab(count: number): Uint8Array {
    return new Uint8Array(this.#memory.slabs, (count % SLABS) * SLAB_BYTES, SLAB_BYTES);
  }

  protected get message(): Uint8Array {
    return new Uint8Array(this.#memory.control, MESSAGE_AT, MESSAGE_BYTES);
  }
}

/** The end that fills. Blocks its thread while the ring is full. */
export class RingWriter extends RingEnd {
  #count = 0; // of slabs filled
  #slab: Uint8Array | undefined;
  #used = 0; // bytes in #slab

  /**
   * Room in a free slab.
   *
   * @throws {@link RingCancelled}
   */
  readonly next = (): Uint8Array => {
    this.#slab ??= this.#free();
    return this.#slab.subarray(this.#used);
  };

  /** Adds `chunk`; one that fills what `next` gave is already in place. */
  write(chunk: Uint8Array): void {
    const room = this.next();
    if (chunk.buffer === room.buffer && chunk.byteOffset === room.byteOffset) {
      this.#use(chunk.length);
      return;
    }
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + this.next().length);
      this.next().set(part);
      this.#use(part.length);
      at += part.length;
    }
  }

  /** Tells how far the source has been read. */
  set progress(bytes: number) {
    Atomics.store(this.progressWord, 0, BigInt(bytes));
  }

  /** Hands over what has been written, and the message. */
  end(message: string): void {
    if (this.#used > 0) this.#hand();
    const bytes = new TextEncoder().encode(message).subarray(0, MESSAGE_BYTES);
    this.message.set(bytes);
    Atomics.store(this.words, MESSAGE_LENGTH, bytes.length);
    Atomics.compareExchange(this.words, STATE, RUNNING, ENDED);
    this.#signal();
  }

  #use(bytes: number): void {
    this.#used += bytes;
    if (this.#used === SLAB_BYTES) this.#hand();
  }

  #hand(): void {
    Atomics.store(this.words, LENGTHS + (this.#count % SLABS), this.#used);
    Atomics.store(this.words, FILLED, ++this.#count);
    this.#slab = undefined;
    this.#used = 0;
    this.#signal();
  }

  #signal(): void {
    Atomics.add(this.words, SIGNAL, 1);
    Atomics.notify(this.words, SIGNAL);
  }

  #free(): Uint8Array {
    for (;;) {
      const emptied = Atomics.load(this.words, EMPTIED);
      // After `emptied`: cancelling changes both, so that the wait below cannot miss it.
      if (Atomics.load(this.words, STATE) === CANCELLED) throw new RingCancelled();
      if (this.#count - emptied < SLABS) return this.slab(this.#count);
      Atomics.wait(this.words, EMPTIED, emptied);
    }
  }
}

/** The end that empties. Never blocks its thread. */
export class RingReader extends RingEnd {
  #count = 0; // of slabs taken
  #holding = false;

  /** Bytes of the source read by the other end. */
  get progress(): number {
    return Number(Atomics.load(this.progressWord, 0));
  }

  /** The next slab's content, valid until the next call; undefined when the writer has ended. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#holding) {
      this.#holding = false;
      Atomics.store(this.words, EMPTIED, this.#count);
      Atomics.notify(this.words, EMPTIED);
    }
    for (;;) {
      const signal = Atomics.load(this.words, SIGNAL);
      // Before the count: the writer hands over its last slab, then ends.
      const state = Atomics.load(this.words, STATE);
      if (Atomics.load(this.words, FILLED) !== this.#count) return this.#take();
      if (state !== RUNNING) return undefined;
      const { async, value } = waitAsync(this.words, SIGNAL, signal);
      if (async) await value;
    }
  }

  /** The message that the writer ended with; empty when it has not. */
  get ending(): string {
    const length = Atomics.load(this.words, MESSAGE_LENGTH);
    return new TextDecoder().decode(this.message.slice(0, length));
  }

  /** Makes the writer stop at its next slab, and `next` give no more than is there. */
  cancel(): void {
    Atomics.compareExchange(this.words, STATE, RUNNING, CANCELLED);
    // A count that cannot come from emptying: the writer looks up from its wait.
    Atomics.store(this.words, EMPTIED, this.#count + SLABS);
    Atomics.notify(this.words, EMPTIED);
    Atomics.add(this.words, SIGNAL, 1);
    Atomics.notify(this.words, SIGNAL);
  }

  #take(): Uint8Array {
    const at = this.#count++;
    this.#holding = true;
    return this.slab(at).subarray(0, Atomics.load(this.words, LENGTHS + (at % SLABS)));
  }
}

/** ES2024, in Node since 16; our library types are older. */
const { waitAsync } = Atomics as unknown as {
  waitAsync(
    this: void,
    words: Int32Array,
    at: number,
    expected: number,
  ): { readonly async: boolean; readonly value: Promise<string> };
};
