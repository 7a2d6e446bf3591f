/**
 * The table by which the threads of a mount share backing files (see `backing-files.ts`): a slot for
 * each file, locked by the thread that works on it, and a count of the descriptors that are held.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** The memory of a {@link BackingTable}, to be handed to other threads. */
export interface BackingMemory {
  readonly words: SharedArrayBuffer;
  /** What `fstat` said of each file when it was verified. */
  readonly keys: SharedArrayBuffer;
  /** Descriptors that may be held. */
  readonly most: number;
}

/** What tells a file from others, and changes when it does: device, inode, mtime, ctime. */
export type FileKey = readonly [bigint, bigint, bigint, bigint];

// Words of the head, and of each slot behind it.
const HELD = 0;
const HAND = 1;
const HEAD_WORDS = 2;
const NID = 0; // never 0: the superblock is there
const STATE = 1;
const BACKING = 2; // 0: none
const OPENS = 3;
const DESCRIPTOR = 4; // one more than it; 0: none
const SLOT_WORDS = 5;
const KEY_WORDS = 4;

const IDLE = 0;
/** A thread works on it. */
const BUSY = 1;
/** Served block by block, for ever. */
const CACHED = 2;

/** Files that have a slot at most; others are served block by block. */
const MOST_FILES = 1_000_000;
const LEAST_SLOTS = 16;
/** Slots for each file: a search ends soon where some are free. */
const SLOTS_PER_FILE = 1.5;
/** Spreads nids, which lie close together, over the slots. */
const SPREAD = 0x9e3779b1;

/** Slots that are looked at for a descriptor to be given up. */
const SWEEP_SLOTS = 4096;
/** Descriptors that are kept free for everything else. */
const OTHER_DESCRIPTORS = 256;
const LEAST_DESCRIPTORS = 16;
/** The soft limit of open files where Linux does not tell it. */
const USUAL_OPEN_FILES = 1024;

/** The backing files of one mount, as its threads share them. */
export class BackingTable {
  readonly #words: Int32Array;
  readonly #keys: BigInt64Array;
  readonly #slots: number;
  readonly #most: number;

  constructor({ words, keys, most }: BackingMemory) {
    this.#words = new Int32Array(words);
    this.#keys = new BigInt64Array(keys);
    this.#slots = (this.#words.length - HEAD_WORDS) / SLOT_WORDS;
    this.#most = most;
  }

  /** Memory for `files` files; `most` of them may be held open. */
  static memory(files: number, most = mostDescriptors()): BackingMemory {
    const wanted = Math.ceil(Math.min(files, MOST_FILES) * SLOTS_PER_FILE);
    const slots = Math.max(LEAST_SLOTS, wanted);
    const words = HEAD_WORDS + slots * SLOT_WORDS;
    return {
      words: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT),
      keys: new SharedArrayBuffer(slots * KEY_WORDS * BigInt64Array.BYTES_PER_ELEMENT),
      most,
    };
  }

  /** The slot of a file; undefined when it has none. */
  find(nid: number): BackingSlot | undefined {
    return this.#search(nid, (at) => Atomics.load(this.#words, at));
  }

  /** The slot of a file, which now has one; undefined when there is no room. */
  claim(nid: number): BackingSlot | undefined {
    return this.#search(nid, (at) => Atomics.compareExchange(this.#words, at, 0, nid) || nid);
  }

  /** Descriptors held in any slot; others may close them at any time. */
  *descriptors(): Generator<number, void> {
    const words = this.#words;
    for (let at = HEAD_WORDS + DESCRIPTOR; at < words.length; at += SLOT_WORDS) {
      const held = Atomics.load(words, at);
      if (held !== 0) yield held - 1;
    }
  }

  /** Counts one more descriptor as held; false when there are as many as may be. */
  hold(): boolean {
    if (Atomics.add(this.#words, HELD, 1) < this.#most) return true;
    Atomics.sub(this.#words, HELD, 1);
    return false;
  }

  /** Counts one less. */
  letGo(): void {
    Atomics.sub(this.#words, HELD, 1);
  }

  /** A slot that holds a file which nobody has open, entered; undefined when none is found soon. */
  enterUnused(): BackingSlot | undefined {
    for (let left = Math.min(SWEEP_SLOTS, this.#slots); left > 0; left--) {
      const slot = this.#slot((Atomics.add(this.#words, HAND, 1) >>> 0) % this.#slots);
      if (!slot.isUnused || !slot.tryEnter()) continue;
      if (slot.isUnused) return slot;
      slot.leave();
    }
    return undefined;
  }

  /** `look` gives the nid of a slot, 0 for a free one. */
  #search(nid: number, look: (at: number) => number): BackingSlot | undefined {
    const first = Math.imul(nid, SPREAD) >>> 0;
    for (let probe = 0; probe < this.#slots; probe++) {
      const index = (first + probe) % this.#slots;
      const found = look(HEAD_WORDS + index * SLOT_WORDS + NID);
      if (found === nid) return this.#slot(index);
      if (found === 0) return undefined;
    }
    return undefined;
  }

  #slot(index: number): BackingSlot {
    const at = HEAD_WORDS + index * SLOT_WORDS;
    return new BackingSlot(this.#words, at, this.#keys, index * KEY_WORDS);
  }
}

/** One file's slot. Only the thread that has entered it changes it. */
export class BackingSlot {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #keys: BigInt64Array;
  readonly #keyAt: number;

  constructor(words: Int32Array, at: number, keys: BigInt64Array, keyAt: number) {
    this.#words = words;
    this.#at = at;
    this.#keys = keys;
    this.#keyAt = keyAt;
  }

  /** The kernel's number of the backing file; 0 without one. */
  get backing(): number {
    return this.#words[this.#at + BACKING]!;
  }
  set backing(id: number) {
    this.#words[this.#at + BACKING] = id;
  }

  /** How often the file is open. */
  get opens(): number {
    return this.#words[this.#at + OPENS]!;
  }
  set opens(count: number) {
    this.#words[this.#at + OPENS] = count;
  }

  /** The descriptor that is held; undefined without one. */
  get fd(): number | undefined {
    const held = Atomics.load(this.#words, this.#at + DESCRIPTOR);
    return held === 0 ? undefined : held - 1;
  }
  set fd(fd: number | undefined) {
    Atomics.store(this.#words, this.#at + DESCRIPTOR, fd === undefined ? 0 : fd + 1);
  }

  /** Whether its file is held, but nobody has it open. */
  get isUnused(): boolean {
    return this.fd !== undefined && this.opens === 0;
  }

  /** Remembers what the file was when it was verified. */
  setKey(key: FileKey): void {
    this.#keys.set(key, this.#keyAt);
  }

  /** Whether a file is the one that was verified, and still the same. */
  hasKey(key: FileKey): boolean {
    return key.every((word, i) => word === this.#keys[this.#keyAt + i]);
  }

  /** Whether a file is the one that was verified, whatever has become of it. */
  isInode([device, inode]: FileKey): boolean {
    return device === this.#keys[this.#keyAt] && inode === this.#keys[this.#keyAt + 1];
  }

  /** Has the slot to itself; false when its file is served block by block. */
  enter(): boolean {
    const [words, at] = [this.#words, this.#at + STATE];
    for (;;) {
      const state = Atomics.compareExchange(words, at, IDLE, BUSY);
      if (state === IDLE) return true;
      if (state === CACHED) return false;
      Atomics.wait(words, at, BUSY);
    }
  }

  /** As {@link enter}, but does not wait for another thread. */
  tryEnter(): boolean {
    return Atomics.compareExchange(this.#words, this.#at + STATE, IDLE, BUSY) === IDLE;
  }

  /** Lets others in. */
  leave(): void {
    this.#setState(IDLE);
  }

  /** Leaves it for ever: its file is served block by block from now on. */
  leaveCached(): void {
    this.#setState(CACHED);
  }

  #setState(state: number): void {
    Atomics.store(this.#words, this.#at + STATE, state);
    Atomics.notify(this.#words, this.#at + STATE);
  }
}

/** How many descriptors may be held: by the soft limit of open files, as Linux tells it. */
function mostDescriptors(): number {
  let limit = USUAL_OPEN_FILES;
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? limit);
  } catch {
    // no /proc
  }
  return Math.max(LEAST_DESCRIPTORS, limit - OTHER_DESCRIPTORS);
}
