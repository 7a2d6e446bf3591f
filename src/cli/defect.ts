/**
 * What is printed about a defect of sealfs: an error that it does not throw on purpose.
 *
 * @module
 */
import { inspect } from "node:util";
import { sourceStack } from "../sys/source-stack.ts";
import { packageVersion } from "./program.ts";

/** Copies of sealfs come from many places, and each has its own for reports. */
const WHERE_TO_REPORT =
  "please report it where you got sealfs, with the command and these lines; " +
  "a weakness in private, as SECURITY.md says";

/** The error with its causes, each with a stack trace in terms of `src/`, and where to report it. */
export function defectLines(error: unknown): string[] {
  return [
    `sealfs: internal error: ${sourceStack(inspect(error))}`,
    `  this is a defect of ${version()}:`,
    `  ${WHERE_TO_REPORT}`,
  ];
}

/** The same for a program, which is shown no stack trace. */
export function defectHint(): string {
  return `this is a defect of ${version()}; without --json the command prints what to report`;
}

function version(): string {
  return `sealfs ${packageVersion()}, Node ${process.version}, ${process.platform} ${process.arch}`;
}
