/**
 * Our end of a libfuse connection: finds the node of a request's path, has the row of the operation
 * answer, and makes sure that there is an answer, whatever happens. A request whose content has to be
 * fetched is answered when that has come.
 *
 * @module
 */
import { limits } from "../../limits.ts";
import { EIO, ENAMETOOLONG, ENOENT } from "../errno.ts";
import type { ImageFileSystem } from "../image-file-system.ts";
import { ObjectUnavailable } from "../object-reader.ts";
import type { Problem } from "../session.ts";
import { type Supply, SUPPLY_TRIES } from "../supply.ts";
import { Opcode } from "../wire.ts";
import type { FuseOperations } from "./fuse-native.ts";
import { type LibfuseContext, libfuseOperations } from "./libfuse-operations.ts";

/** What answering takes. */
export interface LibfuseSessionInput extends LibfuseContext {
  readonly supply?: Supply | undefined;
  readonly onProblem: (problem: Problem) => void;
}

/** A row of the table, without the types that differ between rows. */
interface Row {
  readonly request: keyof typeof Opcode;
  handle(context: LibfuseContext, nid: number, ...request: unknown[]): unknown[];
}
interface ReplyRow {
  reply(context: LibfuseContext): unknown[];
}
type Answer = (...answer: unknown[]) => void;

/** The handlers that fuse-native calls. */
export function libfuseHandlers(input: LibfuseSessionInput): FuseOperations {
  const handlers = Object.entries(libfuseOperations).map(([name, row]) => [
    name,
    handlerOf(row as Row | ReplyRow, input),
  ]);
  return Object.fromEntries(handlers) as FuseOperations;
}

function handlerOf(row: Row | ReplyRow, input: LibfuseSessionInput) {
  if ("reply" in row) {
    return (...call: unknown[]) => (call.at(-1) as Answer)(...row.reply(input));
  }
  return (path: string, ...rest: unknown[]) => {
    const answer = rest.pop() as Answer;
    new PathRequest(row, input, path, rest, answer).run();
  };
}

/** A request about a path. */
class PathRequest {
  readonly #row: Row;
  readonly #input: LibfuseSessionInput;
  readonly #path: string;
  readonly #request: unknown[];
  readonly #answer: Answer;
  readonly #start = performance.now();
  #nid = 0;
  #tries = SUPPLY_TRIES;

  constructor(
    row: Row,
    input: LibfuseSessionInput,
    path: string,
    request: unknown[],
    answer: Answer,
  ) {
    this.#row = row;
    this.#input = input;
    this.#path = path;
    this.#request = request;
    this.#answer = answer;
  }

  /** Answers; again when it had to wait for content. */
  run(): void {
    const { supply } = this.#input;
    try {
      this.#nid = find(this.#input.fs, this.#path);
      this.#answer(...this.#result());
      this.#count();
    } catch (error) {
      if (supply === undefined || !(error instanceof ObjectUnavailable) || this.#tries === 0) {
        this.#refuse(error);
        return;
      }
      this.#tries -= 1;
      supply.provide(error.file, error.range, new AbortController().signal).then(
        () => this.run(),
        (reason) => this.#refuse(reason),
      );
    }
  }

  #result(): unknown[] {
    if (this.#nid === 0) return [-absenceOf(this.#path)];
    return this.#row.handle(this.#input, this.#nid, ...this.#request);
  }

  #count(): void {
    const { counters } = this.#input;
    const opcode = Opcode[this.#row.request];
    counters.answered(opcode, 0);
    counters.took(opcode, performance.now() - this.#start);
  }

  /** A request without an answer would hang its caller for ever. */
  #refuse(error: unknown): void {
    const { counters, supply, onProblem } = this.#input;
    const isKnown = error instanceof ObjectUnavailable;
    counters.failed(isKnown ? error.reason : supply === undefined ? "other" : "fetch");
    this.#count();
    const { message } = error as Error;
    onProblem({ operation: this.#row.request, nodeid: this.#nid, message });
    this.#answer(-EIO);
  }
}

/** The node that a path leads to; 0 when there is none. */
function find(fs: ImageFileSystem, path: string): number {
  let nid = fs.rootNid;
  for (const name of path.split("/")) {
    if (name === "") continue;
    if (!fs.isDirectory(nid)) return 0;
    const bytes = Buffer.from(name);
    nid = fs.lookup(nid, bytes, 0, bytes.length);
    if (nid === 0) return 0;
  }
  return nid;
}

/** Why a path leads to nothing: a name may be longer than any can be. */
function absenceOf(path: string): number {
  const isTooLong = path.split("/").some((name) => Buffer.byteLength(name) > limits.nameBytes);
  return isTooLong ? ENAMETOOLONG : ENOENT;
}
