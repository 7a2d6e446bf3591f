/**
 * Which exit status an error gives: one table for every command but `sealfs mkcomposefs`.
 *
 * @module
 */
import {
  type EndingSignal,
  FetchError,
  FormatError,
  IntegrityError,
  NetworkError,
  NotFoundError,
  SystemError,
  TrustError,
  UsageError,
} from "../errors.ts";

interface ExitStatus {
  readonly status: number;
  /** As the README says it. */
  readonly meaning: string;
  /** Whether an error gives this status; absent where none does, or all others do. */
  readonly isGivenBy?: (error: unknown) => boolean;
}

export const exitStatuses = {
  done: { status: 0, meaning: "done" },
  failed: {
    status: 1,
    meaning:
      "the machine cannot do it (a missing library, right or device; a failed system call), " +
      "or sealfs has a defect",
  },
  usage: {
    status: 2,
    meaning: "the command line makes no sense",
    isGivenBy: (error) => error instanceof UsageError,
  },
  format: {
    status: 3,
    meaning: "the bytes break their format",
    isGivenBy: (error) => error instanceof FormatError,
  },
  integrity: {
    status: 4,
    meaning: "the bytes are not the ones that were signed or named",
    isGivenBy: (error) => error instanceof IntegrityError,
  },
  trust: {
    status: 5,
    meaning: "the signature or the statement is refused",
    isGivenBy: (error) => error instanceof TrustError,
  },
  network: {
    status: 6,
    meaning: "a server or the way to it failed",
    isGivenBy: (error) =>
      error instanceof FetchError || (error instanceof NetworkError && error.code !== "NOT_FOUND"),
  },
  notFound: {
    status: 7,
    meaning: "what was named does not exist",
    isGivenBy: (error) =>
      error instanceof NotFoundError ||
      (error instanceof NetworkError && error.code === "NOT_FOUND"),
  },
  hangUp: { status: 129, meaning: "ended by SIGHUP", isGivenBy: isEndedBy("SIGHUP") },
  interrupt: { status: 130, meaning: "ended by SIGINT", isGivenBy: isEndedBy("SIGINT") },
  termination: { status: 143, meaning: "ended by SIGTERM", isGivenBy: isEndedBy("SIGTERM") },
} as const satisfies Record<string, ExitStatus>;

function isEndedBy(signal: EndingSignal): (error: unknown) => boolean {
  return (error) => error instanceof SystemError && error.signal === signal;
}

/** The status for an error that ended a command. */
export function exitStatus(error: unknown): number {
  const rows: readonly ExitStatus[] = Object.values(exitStatuses);
  return (rows.find(({ isGivenBy }) => isGivenBy?.(error)) ?? exitStatuses.failed).status;
}
