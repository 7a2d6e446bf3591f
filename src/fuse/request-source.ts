/**
 * Where a thread gets its requests from. It sleeps until there is one; but while they come in quick
 * succession it looks for the next one again and again for a moment, because to wake a processor takes
 * longer than most requests do. It does so ever more rarely where that was in vain: where requests come
 * slowly, or others need the processor.
 *
 * @module
 */
import { readSync } from "node:fs";
import { availableParallelism } from "node:os";
import { EAGAIN, readNow, setNonBlocking, waitReadable } from "../sys/reading.ts";

/** Milliseconds that are waited awake: about what it takes to sleep and to be woken. */
const AWAKE_MS = 0.04;
/** Waits that are slept through after one that was awake in vain; four times as many after the next. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 1024;
/** Requests after which it pays to load what waiting awake takes. */
const FIRST_REQUESTS = 64;

/** Requests from one descriptor of /dev/fuse, which other threads read from too. */
export class RequestSource {
  readonly #fd: number;
  readonly #isAlone: () => boolean;
  #requests = 0;
  #isNonBlocking = false;
  #pause = FIRST_PAUSE;
  /** Waits that are still to be slept through. */
  #toSleep = 0;

  /** `isAlone` tells whether no other thread works. */
  constructor(fd: number, isAlone: () => boolean) {
    this.#fd = fd;
    this.#isAlone = isAlone;
  }

  /** Waits for a request; returns how many bytes of it are in `to`, or a negated error number. */
  next(to: Uint8Array): number {
    if (this.#requests++ === FIRST_REQUESTS && availableParallelism() > 1) this.#stayAwake();
    if (!this.#isNonBlocking) return this.#sleep(to);
    let length = readNow(this.#fd, to);
    if (length === -EAGAIN && this.#mayStayAwake()) length = this.#watch(to);
    while (length === -EAGAIN) {
      waitReadable(this.#fd);
      length = readNow(this.#fd, to);
    }
    return length;
  }

  #mayStayAwake(): boolean {
    if (this.#toSleep === 0) return this.#isAlone();
    this.#toSleep -= 1;
    return false;
  }

  /** Looks for a request for a moment. */
  #watch(to: Uint8Array): number {
    const end = performance.now() + AWAKE_MS;
    let length: number;
    do {
      length = readNow(this.#fd, to);
    } while (length === -EAGAIN && performance.now() < end && this.#isAlone());
    if (length === -EAGAIN) {
      this.#toSleep = this.#pause;
      this.#pause = Math.min(this.#pause * 4, LONGEST_PAUSE);
    } else {
      this.#pause = Math.max(this.#pause / 2, FIRST_PAUSE);
    }
    return length;
  }

  #sleep(to: Uint8Array): number {
    try {
      return readSync(this.#fd, to, 0, to.length, null);
    } catch (error) {
      const { errno = 0 } = error as NodeJS.ErrnoException;
      if (errno === 0) throw error;
      // Another thread has the descriptor not wait any more.
      if (errno === -EAGAIN) this.#stayAwake();
      return errno;
    }
  }

  #stayAwake(): void {
    try {
      setNonBlocking(this.#fd);
      this.#isNonBlocking = true;
    } catch {
      // no koffi: then it sleeps
    }
  }
}
