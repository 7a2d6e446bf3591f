/**
 * Answers to requests whose content has to be fetched first. The threads that serve a connection
 * never wait for a network: they hand such a request over, go on with the next one, and it is
 * answered from here, by the same operations, once the content has come.
 *
 * @module
 */
import type { Counters } from "./counters.ts";
import { EINTR, EIO } from "./errno.ts";
import type { ObjectUnavailable } from "./object-reader.ts";
import type { Operations } from "./operation.ts";
import { type HandOver, type Problem, Session } from "./session.ts";
import { type Supply, SUPPLY_TRIES } from "./supply.ts";
import { InHeader, InterruptIn, Opcode } from "./wire.ts";

/** Interrupts that may have overtaken the request that they are about. */
const EARLY_INTERRUPTS = 64;

/** What answering takes. */
export interface DeferredRepliesInput<S> {
  readonly operations: Operations<S>;
  /** What the operations work on; it reads from the supply's place too. */
  readonly context: S;
  readonly supply: Supply;
  /** Sends the first `length` bytes of the session's reply to the kernel. */
  readonly send: (session: Session<S>, length: number) => void;
  readonly onProblem: (problem: Problem) => void;
  readonly counters?: Counters;
}

/** The deferred requests of one connection. */
export class DeferredReplies<S> {
  readonly #input: DeferredRepliesInput<S>;
  readonly #session: Session<S>;
  readonly #waiting = new Map<bigint, AbortController>();
  readonly #early = new Set<bigint>();
  #unavailable: ObjectUnavailable | undefined;

  constructor(input: DeferredRepliesInput<S>) {
    this.#input = input;
    const handOver: HandOver = (_, reason) => {
      this.#unavailable = reason;
    };
    const { operations, context, onProblem, counters } = input;
    this.#session = new Session(operations, context, onProblem, handOver, counters);
  }

  /** Requests that wait now. */
  get count(): number {
    return this.#waiting.size;
  }

  /** Takes a request over; resolves when it has been answered. Never rejects. */
  async take(request: Uint8Array): Promise<void> {
    const { opcode, unique } = InHeader.decode(request, 0);
    if (opcode === Opcode.INTERRUPT) return this.#interrupt(request);
    const abort = new AbortController();
    this.#waiting.set(unique, abort);
    if (this.#early.delete(unique)) abort.abort();
    const start = performance.now();
    try {
      await this.#answer(request, abort.signal);
    } finally {
      this.#session.counters.took(opcode, performance.now() - start);
      this.#waiting.delete(unique);
    }
  }

  /** Ends all waiting, at the end of the mount. */
  stop(): void {
    for (const abort of this.#waiting.values()) abort.abort();
  }

  async #answer(request: Uint8Array, signal: AbortSignal): Promise<void> {
    let reason: ObjectUnavailable | undefined;
    for (let attempt = 0; ; attempt++) {
      const length = this.#try(request);
      reason = this.#unavailable;
      if (reason === undefined) return this.#input.send(this.#session, length);
      if (attempt === SUPPLY_TRIES) return this.#refuse(request, EIO, reason.message);
      try {
        signal.throwIfAborted();
        await this.#input.supply.provide(reason.file, reason.range, signal);
      } catch (error) {
        if (signal.aborted) return this.#refuse(request, EINTR);
        return this.#refuse(request, EIO, (error as Error).message);
      }
    }
  }

  /** Answers the request, or sets what is missing for the answer. */
  #try(request: Uint8Array): number {
    this.#unavailable = undefined;
    this.#session.call.request.set(request);
    return this.#session.answer(request.length);
  }

  /** Others were answered in between: the request has to be put back for its number. */
  #refuse(request: Uint8Array, errno: number, message?: string): void {
    const { call } = this.#session;
    call.request.set(request);
    call.length = request.length;
    this.#session.counters.answered(call.opcode, -errno);
    if (message !== undefined) {
      this.#session.counters.failed("fetch");
      const operation = this.#input.operations.get(call.opcode)?.name ?? String(call.opcode);
      this.#input.onProblem({ operation, nodeid: call.nodeid, message });
    }
    this.#input.send(this.#session, call.finish(-errno, 0));
  }

  #interrupt(request: Uint8Array): void {
    const { unique } = InterruptIn.decode(request, InHeader.size);
    const waiting = this.#waiting.get(unique);
    if (waiting !== undefined) return waiting.abort();
    // It has been answered, or is still on its way here from another thread.
    this.#early.add(unique);
    const [oldest] = this.#early;
    if (this.#early.size > EARLY_INTERRUPTS && oldest !== undefined) this.#early.delete(oldest);
  }
}
