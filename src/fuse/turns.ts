/**
 * Which thread reads the next request: one at a time. Names and attributes are answered by the thread
 * that has the turn, again and again: its code is compiled, its caches are warm, and no other processor
 * has to be woken for each request. Before work that may take long it passes the turn on.
 *
 * The thread with the lowest number that waits gets it, so that no more threads are busy than needed.
 *
 * @module
 */

/** Whether a thread has the turn. */
const TURN = 0;
const FREE = 0;
const TAKEN = 1;
/** Then one word for each thread: it does not wait, it waits for the turn, it has been given it. */
const FIRST = 1;
const BUSY = 0;
const WAITING = 1;
const GIVEN = 2;

/** One thread's view of the turns. */
export class Turns {
  readonly #words: Int32Array;
  readonly #own: number;
  #has = false;

  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#words = new Int32Array(memory);
    this.#own = FIRST + thread;
  }

  /** The memory that `threads` threads share. */
  static memory(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer((FIRST + threads) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Waits for the turn, unless this thread still has it. */
  take(): void {
    const words = this.#words;
    if (this.#has) return;
    this.#has = true;
    if (this.#tryTake()) return;
    Atomics.store(words, this.#own, WAITING);
    // It may have become free before other threads could see that this one waits.
    if (this.#tryTake()) {
      Atomics.store(words, this.#own, BUSY);
      return;
    }
    while (Atomics.load(words, this.#own) === WAITING) Atomics.wait(words, this.#own, WAITING);
    Atomics.store(words, this.#own, BUSY);
  }

  /** Gives the turn to a thread that waits, or to the next that wants it. */
  pass(): void {
    if (!this.#has) return;
    this.#has = false;
    do {
      if (this.#give()) return;
      Atomics.store(this.#words, TURN, FREE);
      // A thread may have begun to wait after it was looked at.
    } while (this.#someWait() && this.#tryTake());
  }

  /** Whether all other threads wait for the turn. */
  othersWait(): boolean {
    const words = this.#words;
    for (let i = FIRST; i < words.length; i++) {
      if (i !== this.#own && Atomics.load(words, i) !== WAITING) return false;
    }
    return true;
  }

  #tryTake(): boolean {
    return Atomics.compareExchange(this.#words, TURN, FREE, TAKEN) === FREE;
  }

  #someWait(): boolean {
    const words = this.#words;
    for (let i = FIRST; i < words.length; i++) if (Atomics.load(words, i) === WAITING) return true;
    return false;
  }

  #give(): boolean {
    const words = this.#words;
    for (let i = FIRST; i < words.length; i++) {
      if (Atomics.compareExchange(words, i, WAITING, GIVEN) !== WAITING) continue;
      Atomics.notify(words, i);
      return true;
    }
    return false;
  }
}
