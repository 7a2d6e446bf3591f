/**
 * A FUSE operation as a server answers it: one row of its table holds name, request and handler.
 *
 * @module
 */
import type { Struct } from "../bytes/struct.ts";
import type { Call } from "./call.ts";
import { Opcode } from "./wire.ts";

/** What a handler returns instead of a payload length, for requests that get no reply. */
export const NO_REPLY = Number.NEGATIVE_INFINITY;

/** Bytes of the payload that it has written behind the reply's header, or a negated errno. */
export type Handler<S> = (context: S, call: Call) => number;

/** One row of a table; handlers work on an `S`. */
export interface Operation<S> {
  readonly name: keyof typeof Opcode;
  /** Bytes that the request's body has at least. */
  readonly requestBytes: number;
  readonly handle: Handler<S>;
}

/** Operations by their opcodes; the kernel gets ENOSYS for all others. */
export type Operations<S> = ReadonlyMap<number, Operation<S>>;

/** A request that is a name, or has nothing that must be there. */
type Body = Struct<unknown> | "name" | "none";

/** One byte, and the NUL behind it. */
const LEAST_NAME_BYTES = 2;

/** A row: what its request holds at least, and what handles it. */
export function operation<S>(
  name: keyof typeof Opcode,
  request: Body,
  handle: Handler<S>,
): Operation<S> {
  if (request === "none") return { name, requestBytes: 0, handle };
  return { name, requestBytes: request === "name" ? LEAST_NAME_BYTES : request.size, handle };
}

/** A table of rows; a later one takes the place of an earlier one of the same name. */
export function operationTable<S>(rows: Iterable<Operation<S>>): Operations<S> {
  return new Map(Array.from(rows, (row) => [Opcode[row.name], row]));
}
