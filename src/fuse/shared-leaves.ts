/**
 * Verified leaf hashes, shared by the threads of one mount: what one thread has hashed, none needs
 * to hash again. Memory that only grows, up to a bound fixed at the start, and then each thread
 * keeps what further leaves it needs to itself.
 *
 * Only verified leaves get in, and nothing is ever overwritten: a reader sees a whole entry or none.
 *
 * @module
 */

/** The memory of a {@link SharedLeaves}, to be handed to other threads. */
export interface SharedLeavesMemory {
  /** Lock, next free byte, slots in use; then slots of three words: key, offset, length. */
  readonly index: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
}

const SLOT_WORDS = 3;
const LOCK = 0;
const FREE = 1;
const USED = 2;
const HEAD_WORDS = 3;
const LEAST_SLOTS = 64;
const MOST_SLOTS = 1 << 20;
/** Spreads keys, which lie close together, over the slots: by the upper bits of the product. */
const SPREAD = 0x9e3779b1;
const SPREAD_SHIFT = 7;
/** After this long a thread looks for itself whether the lock is free. */
const LOCK_WAIT_MS = 10;
/** For a whole mount: one byte of leaves stands for 128 bytes of content that has been opened. */
const MOUNT_BYTES = 128 * 1024 * 1024;

/** Leaves by key: any positive 31-bit number that names a file, such as its nid. */
export class SharedLeaves {
  readonly memory: SharedLeavesMemory;
  readonly #index: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  constructor(memory: SharedLeavesMemory) {
    this.memory = memory;
    this.#index = new Int32Array(memory.index);
    this.#bytes = new Uint8Array(memory.bytes);
    this.#mask = (this.#index.length - HEAD_WORDS) / SLOT_WORDS - 1;
  }

  /** Memory for at most `files` files and `maxBytes` of leaves; untouched memory costs nothing. */
  static create(files: number, maxBytes = MOUNT_BYTES): SharedLeaves {
    let slots = LEAST_SLOTS;
    while (slots < files * 2 && slots < MOST_SLOTS) slots *= 2;
    return new SharedLeaves({
      index: new SharedArrayBuffer(
        (HEAD_WORDS + slots * SLOT_WORDS) * Int32Array.BYTES_PER_ELEMENT,
      ),
      bytes: new SharedArrayBuffer(maxBytes),
    });
  }

  get(key: number): Uint8Array | undefined {
    const slot = this.#find(key);
    if (Atomics.load(this.#index, slot) !== key) return undefined;
    const at = this.#index[slot + 1]!;
    return this.#bytes.subarray(at, at + this.#index[slot + 2]!);
  }

  /** Adds verified leaves; returns false when there is no room for them. */
  add(key: number, leaves: Uint8Array): boolean {
    const index = this.#index;
    while (Atomics.compareExchange(index, LOCK, 0, 1) !== 0)
      Atomics.wait(index, LOCK, 1, LOCK_WAIT_MS);
    try {
      const slot = this.#find(key);
      if (index[slot] === key) return true;
      const at = index[FREE]!;
      const isCrowded = index[USED]! * 4 > this.#mask * 3; // searches stay short, and end
      if (isCrowded || at + leaves.length > this.#bytes.length) return false;
      this.#bytes.set(leaves, at);
      index[FREE] = at + leaves.length;
      index[USED] = index[USED]! + 1;
      index[slot + 1] = at;
      index[slot + 2] = leaves.length;
      Atomics.store(index, slot, key); // last: from here on others see it
      return true;
    } finally {
      Atomics.store(index, LOCK, 0);
      Atomics.notify(index, LOCK);
    }
  }

  /** The slot of `key`, or the empty one where it would go. */
  #find(key: number): number {
    for (let probe = Math.imul(key, SPREAD) >>> SPREAD_SHIFT; ; probe++) {
      const slot = HEAD_WORDS + (probe & this.#mask) * SLOT_WORDS;
      const held = Atomics.load(this.#index, slot);
      if (held === key || held === 0) return slot;
    }
  }
}
