/**
 * What a program is told about an error that ended a command (`--json`).
 *
 * Spec: docs/command-line.md, "Errors".
 *
 * @module
 */
import { errorClasses } from "../error-transfer.ts";
import {
  FetchError,
  NetworkError,
  SealfsError,
  type SourceFailure,
  messagesOf,
} from "../errors.ts";
import { exitStatus } from "./exit-status.ts";

/** The member `error` of the document. */
export interface ErrorDocument {
  readonly error: {
    /** As the classes of `errors.ts` have them; `INTERNAL` for a defect of sealfs. */
    readonly code: string;
    /** Of `errors.ts`, or `InternalError`. */
    readonly class: string;
    readonly message: string;
    readonly hint: string | null;
    readonly exitStatus: number;
    /** The status of HTTP, where it was the reason. */
    readonly httpStatus?: number;
    /** Why each source did not give something. */
    readonly failures?: readonly SourceFailure[];
  };
}

/** Of an error that was thrown on purpose. */
export function errorDocument(error: SealfsError, hint = error.hint): ErrorDocument {
  const httpStatus = error instanceof NetworkError ? error.status : undefined;
  const failures = error instanceof FetchError ? error.failures : [];
  return {
    error: {
      code: error.code,
      class: classOf(error),
      message: messagesOf(error).join(": "),
      hint: hint ?? null,
      exitStatus: exitStatus(error),
      ...(httpStatus === undefined ? {} : { httpStatus }),
      ...(failures.length === 0 ? {} : { failures }),
    },
  };
}

/** Of a defect of sealfs. */
export function defectDocument(error: unknown, hint: string): ErrorDocument {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    error: {
      code: "INTERNAL",
      class: "InternalError",
      message,
      hint,
      exitStatus: exitStatus(error),
    },
  };
}

/** One that is derived from a class of `errors.ts` counts as that. */
function classOf(error: SealfsError): string {
  const classes = Object.entries(errorClasses);
  return classes.find(([, Class]) => error instanceof Class)?.[0] ?? error.name;
}
