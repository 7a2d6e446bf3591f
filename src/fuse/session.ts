/**
 * A thread's end of a FUSE connection: finds a request's row in the table and makes sure that there
 * is an answer, whatever happens.
 *
 * @module
 */
import { BODY, Call } from "./call.ts";
import { Counters } from "./counters.ts";
import { EINVAL, EIO, ENOSYS } from "./errno.ts";
import { ObjectUnavailable } from "./object-reader.ts";
import { NO_REPLY, type Operations } from "./operation.ts";
import { Opcode } from "./wire.ts";

/** A request that failed, for the log. */
export interface Problem {
  readonly operation: string;
  /** The node, as the kernel numbers it. */
  readonly nodeid: number;
  readonly message: string;
}

/**
 * Takes over a request that cannot be answered at once: its content has to be fetched, or it
 * interrupts one of these. The bytes are valid during the call only.
 */
export type HandOver = (request: Uint8Array, reason: ObjectUnavailable | undefined) => void;

/** Answers requests by a table of operations on an `S`, one at a time. */
export class Session<S> {
  readonly call = new Call();
  readonly counters: Counters;
  readonly #operations: Operations<S>;
  readonly #context: S;
  readonly #onProblem: (problem: Problem) => void;
  readonly #handOver: HandOver | undefined;

  constructor(
    operations: Operations<S>,
    context: S,
    onProblem: (problem: Problem) => void,
    handOver?: HandOver,
    counters = new Counters(),
  ) {
    this.#operations = operations;
    this.#context = context;
    this.#onProblem = onProblem;
    this.#handOver = handOver;
    this.counters = counters;
  }

  /**
   * Answers the request of `length` bytes in `call.request`; returns how many bytes of `call.reply`
   * are the answer, 0 for none, or none yet.
   */
  answer(length: number): number {
    const { call } = this;
    call.length = length;
    const { opcode } = call;
    if (opcode === Opcode.INTERRUPT && this.#handOver !== undefined) {
      this.#handOver(call.request.subarray(0, length), undefined);
      return 0;
    }
    const operation = this.#operations.get(opcode);
    if (operation === undefined) return call.finish(-ENOSYS, 0);
    if (length < BODY + operation.requestBytes) return call.finish(-EINVAL, 0);
    try {
      const result = operation.handle(this.#context, call);
      this.counters.answered(opcode, result);
      if (result === NO_REPLY) return 0;
      return result < 0 ? call.finish(result, 0) : call.finish(0, result);
    } catch (error) {
      if (error instanceof ObjectUnavailable && this.#handOver !== undefined) {
        this.#handOver(call.request.subarray(0, length), error);
        return 0;
      }
      this.counters.answered(opcode, -EIO);
      this.counters.failed(error instanceof ObjectUnavailable ? error.reason : "other");
      // A request without an answer would hang its caller for ever.
      this.#onProblem({
        operation: operation.name,
        nodeid: call.nodeid,
        message: error instanceof Error ? error.message : String(error),
      });
      return call.finish(-EIO, 0);
    }
  }
}
