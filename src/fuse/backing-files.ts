/**
 * Objects that the kernel reads by itself once they are open (FUSE passthrough): promise `open`. The
 * whole object is compared with its digest when it is opened. It need not be hashed again at the next
 * open as long as the mount has held a read lease on it ever since, so that nobody can have written to
 * it, and its status is the same.
 *
 * The kernel wants one backing file for all who have an inode open, and an inode not to be both backed
 * and cached. So the threads of a mount share one table; an object that cannot be a backing file is
 * served block by block from then on, for as long as the mount lives.
 *
 * @module
 */
import { closeSync, fstatSync } from "node:fs";
import { IntegrityError, SystemError } from "../errors.ts";
import { closeBacking, openBacking } from "../sys/fuse-backing.ts";
import { dropLease, holdsLease, takeLease } from "../sys/file-lease.ts";
import {
  type ObjectFile,
  type ObjectPlace,
  ObjectUnavailable,
  type PlaceProblem,
} from "./object-reader.ts";
import { hashWhole, keyOf } from "./whole-object.ts";

/** The memory of a {@link BackingFiles}, to be handed to other threads. */
export interface BackingMemory {
  readonly words: SharedArrayBuffer;
  /** What `fstat` said of each file when it was verified. */
  readonly keys: SharedArrayBuffer;
  /** Descriptors that may be held. */
  readonly most: number;
}

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
/** Some thread is at it. */
const BUSY = 1;
/** Served block by block, for ever. */
const CACHED = 2;

/** How far is looked for a descriptor to be given up. */
const SWEEP = 4096;
const SPREAD = 0x9e3779b1;

/** What kernel and file system do for us; tests have others. */
export interface BackingCalls {
  readonly open: (device: number, file: number) => number;
  readonly close: (device: number, id: number) => void;
}

/** The backing files of one mount, as one thread sees them. */
export class BackingFiles {
  readonly #device: number;
  readonly #places: readonly ObjectPlace[];
  readonly #words: Int32Array;
  readonly #keys: BigInt64Array;
  readonly #capacity: number;
  readonly #most: number;
  readonly #onFallback: (file: ObjectFile, reason: string) => void;
  readonly #calls: BackingCalls;

  constructor(
    device: number,
    places: readonly ObjectPlace[],
    { words, keys, most }: BackingMemory,
    onFallback: (file: ObjectFile, reason: string) => void,
    calls: BackingCalls = { open: openBacking, close: closeBacking },
  ) {
    this.#device = device;
    this.#places = places;
    this.#words = new Int32Array(words);
    this.#keys = new BigInt64Array(keys);
    this.#capacity = (this.#words.length - HEAD_WORDS) / SLOT_WORDS;
    this.#most = most;
    this.#onFallback = onFallback;
    this.#calls = calls;
  }

  /** Memory for `files` files, `most` of which may be held open. */
  static memory(files: number, most: number): BackingMemory {
    const slots = Math.max(16, Math.ceil(files * 1.5));
    return {
      words: new SharedArrayBuffer(4 * (HEAD_WORDS + slots * SLOT_WORDS)),
      keys: new SharedArrayBuffer(8 * slots * KEY_WORDS),
      most,
    };
  }

  /**
   * Verifies an object and opens it once more; returns its backing file for the answer to OPEN, to be
   * followed by {@link release}; 0 when it is to be served block by block.
   *
   * @throws {@link ObjectUnavailable} when no place has it as signed
   */
  open(file: ObjectFile): number {
    const slot = this.#slotOf(file.nid, true);
    if (slot === undefined || !this.#enter(slot)) return 0;
    let state = IDLE;
    try {
      return this.#openIn(slot, file);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "NO_PASSTHROUGH") throw error;
      // Not while it is open: the kernel would refuse to mix.
      if (this.#words[slot + OPENS]! > 0) throw error;
      state = CACHED;
      this.#onFallback(file, error.message);
      return 0;
    } finally {
      this.#leave(slot, state);
    }
  }

  /** One who had it open has closed it. */
  release(nid: number): void {
    const slot = this.#slotOf(nid, false);
    if (slot === undefined || !this.#enter(slot)) return;
    const words = this.#words;
    if (words[slot + OPENS]! > 0) words[slot + OPENS]! -= 1;
    // Without its descriptor nothing is known about it any more.
    if (words[slot + OPENS] === 0 && words[slot + DESCRIPTOR] === 0) this.#forget(slot);
    this.#leave(slot, IDLE);
  }

  /** Gives up leases that somebody waits for; the objects will be hashed again. */
  yieldFileLeases(): void {
    for (let at = HEAD_WORDS; at < this.#words.length; at += SLOT_WORDS) {
      const fd = Atomics.load(this.#words, at + DESCRIPTOR) - 1;
      if (fd >= 0 && !holdsLease(fd)) dropLease(fd);
    }
  }

  #openIn(slot: number, file: ObjectFile): number {
    const words = this.#words;
    const fd = words[slot + DESCRIPTOR]! - 1;
    const isOpen = words[slot + OPENS]! > 0;
    if (words[slot + BACKING] !== 0) {
      if (fd >= 0 && holdsLease(fd) && this.#hasKey(slot, fd)) return this.#opened(slot);
      if (isOpen) {
        this.#verifyOpen(slot, file, fd);
        return this.#opened(slot);
      }
      this.#forget(slot);
    }
    const problems: PlaceProblem[] = [];
    for (const place of this.#places) {
      let opened: number;
      try {
        opened = this.#verified(slot, file, place);
      } catch (error) {
        problems.push({ where: place.path, error: error as Error });
        continue;
      }
      this.#back(slot, opened);
      return this.#opened(slot);
    }
    throw new ObjectUnavailable(file, { start: 0, end: file.size }, problems);
  }

  #opened(slot: number): number {
    this.#words[slot + OPENS]! += 1;
    return this.#words[slot + BACKING]!;
  }

  /** What others have open is what this one will read: it must be as signed, too. */
  #verifyOpen(slot: number, file: ObjectFile, held: number): void {
    const problems: PlaceProblem[] = [];
    if (held >= 0) {
      try {
        this.#verify(slot, file, held);
        return;
      } catch (error) {
        problems.push({ where: "the open file", error: error as Error });
      }
    } else {
      for (const place of this.#places) {
        try {
          const fd = this.#verified(slot, file, place, true);
          this.#keep(slot, fd);
          return;
        } catch (error) {
          problems.push({ where: place.path, error: error as Error });
        }
      }
    }
    throw new ObjectUnavailable(file, { start: 0, end: file.size }, problems);
  }

  /** Opens an object of a place and verifies it; with `isOpen` it has to be the file that is open. */
  #verified(slot: number, file: ObjectFile, place: ObjectPlace, isOpen = false): number {
    const { fd, size } = place.openFile(file.digest);
    try {
      if (size !== file.size) {
        throw new IntegrityError("SIZE_MISMATCH", `expected ${file.size} bytes, got ${size}`);
      }
      if (isOpen && !this.#isInode(slot, fd)) {
        throw new IntegrityError("DIGEST_MISMATCH", "another file is open in its place");
      }
      this.#verify(slot, file, fd);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Hashes a file, under a lease where there is one, and remembers its status. */
  #verify(slot: number, file: ObjectFile, fd: number): void {
    const hasLease = takeLease(fd);
    let isGood = false;
    try {
      const before = keyOf(fd);
      const got = hashWhole(fd, file);
      if (got !== file.digest) throw new IntegrityError("DIGEST_MISMATCH", `content has ${got}`);
      const after = keyOf(fd);
      if (fstatSync(fd).size !== file.size || before.some((word, i) => word !== after[i])) {
        throw new IntegrityError("DIGEST_MISMATCH", "changed while it was read");
      }
      this.#keys.set(after, this.#keyAt(slot));
      isGood = true;
    } finally {
      // Who wants to write should not wait for a file that is bad, or was written to already.
      if (hasLease && !(isGood && holdsLease(fd))) dropLease(fd);
    }
  }

  /** Makes a verified file the backing file of a slot. */
  #back(slot: number, fd: number): void {
    try {
      this.#words[slot + BACKING] = this.#calls.open(this.#device, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#keep(slot, fd);
  }

  /** Holds a descriptor, or closes it when there are too many: then the next open hashes again. */
  #keep(slot: number, fd: number): void {
    const words = this.#words;
    if (Atomics.add(words, HELD, 1) < this.#most || this.#giveUpOne()) {
      Atomics.store(words, slot + DESCRIPTOR, fd + 1);
      return;
    }
    Atomics.sub(words, HELD, 1);
    closeSync(fd);
  }

  /** Gives up a file that nobody has open; false when none was found soon. */
  #giveUpOne(): boolean {
    const words = this.#words;
    for (let i = 0; i < Math.min(SWEEP, this.#capacity); i++) {
      const hand = (Atomics.add(words, HAND, 1) >>> 0) % this.#capacity;
      const slot = HEAD_WORDS + hand * SLOT_WORDS;
      if (words[slot + DESCRIPTOR] === 0 || words[slot + OPENS]! > 0) continue;
      if (Atomics.compareExchange(words, slot + STATE, IDLE, BUSY) !== IDLE) continue;
      const isFree = words[slot + DESCRIPTOR] !== 0 && words[slot + OPENS] === 0;
      if (isFree) this.#forget(slot);
      this.#leave(slot, IDLE);
      if (isFree) return true;
    }
    return false;
  }

  /** Ends the backing file of a slot. */
  #forget(slot: number): void {
    const words = this.#words;
    const fd = words[slot + DESCRIPTOR]! - 1;
    if (words[slot + BACKING] !== 0) this.#calls.close(this.#device, words[slot + BACKING]!);
    words[slot + BACKING] = 0;
    Atomics.store(words, slot + DESCRIPTOR, 0);
    if (fd < 0) return;
    closeSync(fd);
    Atomics.sub(words, HELD, 1);
  }

  #keyAt(slot: number): number {
    return ((slot - HEAD_WORDS) / SLOT_WORDS) * KEY_WORDS;
  }

  #hasKey(slot: number, fd: number): boolean {
    const at = this.#keyAt(slot);
    return keyOf(fd).every((word, i) => word === this.#keys[at + i]);
  }

  #isInode(slot: number, fd: number): boolean {
    const at = this.#keyAt(slot);
    const [device, inode] = keyOf(fd);
    return device === this.#keys[at] && inode === this.#keys[at + 1];
  }

  /** The slot of a file; undefined when there is none, or with `make` no room for one. */
  #slotOf(nid: number, make: boolean): number | undefined {
    const words = this.#words;
    let index = (Math.imul(nid, SPREAD) >>> 0) % this.#capacity;
    for (let tries = 0; tries < this.#capacity; tries++) {
      const slot = HEAD_WORDS + index * SLOT_WORDS;
      const found = make
        ? Atomics.compareExchange(words, slot + NID, 0, nid)
        : Atomics.load(words, slot + NID);
      if (found === nid || (make && found === 0)) return slot;
      if (found === 0) return undefined;
      index = (index + 1) % this.#capacity;
    }
    return undefined;
  }

  /** Has the slot to itself; false when it is served block by block. */
  #enter(slot: number): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.compareExchange(words, slot + STATE, IDLE, BUSY);
      if (state === IDLE) return true;
      if (state === CACHED) return false;
      Atomics.wait(words, slot + STATE, BUSY);
    }
  }

  #leave(slot: number, state: number): void {
    Atomics.store(this.#words, slot + STATE, state);
    Atomics.notify(this.#words, slot + STATE);
  }
}
