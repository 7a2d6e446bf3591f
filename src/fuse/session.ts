/**
 * A thread's end of a FUSE connection: finds a request's row in the table and makes sure that there
 * is an answer, whatever happens.
 *
 * @module
 */
import { BODY, Call } from "./call.ts";
import { EINVAL, EIO, ENOSYS } from "./errno.ts";
import { NO_REPLY, type Server, operations } from "./operations.ts";

/** A request that failed: what the log should say. */
export interface Problem {
  readonly operation: string;
  /** The node, as the kernel numbers it. */
  readonly nodeid: number;
  readonly message: string;
}

/** Answers requests, one at a time. */
export class Session {
  readonly call = new Call();
  readonly #server: Server;
  readonly #onProblem: (problem: Problem) => void;

  constructor(server: Server, onProblem: (problem: Problem) => void) {
    this.#server = server;
    this.#onProblem = onProblem;
  }

  /**
   * Answers the request of `length` bytes in `call.request`; returns how many bytes of `call.reply`
   * are the answer, 0 for none.
   */
  answer(length: number): number {
    const { call } = this;
    call.length = length;
    const operation = operations.get(call.opcode);
    if (operation === undefined) return call.finish(-ENOSYS, 0);
    if (length < BODY + operation.requestBytes) return call.finish(-EINVAL, 0);
    try {
      const result = operation.handle(this.#server, call);
      if (result === NO_REPLY) return 0;
      return result < 0 ? call.finish(result, 0) : call.finish(0, result);
    } catch (error) {
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
