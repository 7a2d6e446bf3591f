/**
 * What is printed about an error that ended a command.
 *
 * @module
 */
import { SealfsError, SystemError, UsageError, messagesOf } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { defectDocument, errorDocument } from "./error-document.ts";
import { exitStatus, exitStatuses } from "./exit-status.ts";
import type { Output } from "./terminal/output.ts";

/** How a command ended that commander ended, and with which of its codes. */
interface CommanderEnd {
  readonly code: string;
  readonly exitCode: number;
  readonly message: string;
}

export interface ReportOptions {
  readonly output: Output;
  /** Whether a program reads the results. */
  readonly json: boolean;
  /** Which help shows more: text for the end of a message. */
  readonly pointer: string;
}

/** Prints what went wrong, and returns the exit status. */
export async function reportError(error: unknown, options: ReportOptions): Promise<number> {
  if (isCommanderEnd(error)) return reportCommanderEnd(error, options);
  const { output, json, pointer } = options;
  const known = asSealfsError(error);
  if (known !== undefined) {
    const { hint = pointsToHelp(known) ? pointer : undefined } = known;
    output.complain(`sealfs: ${messagesOf(known).join(": ")}`);
    if (hint !== undefined) output.complain(hint === pointer ? pointer : `  ${hint}`);
    if (json) output.fail(errorDocument(known, hint && unbracketed(hint)));
  } else if (errnoOf(error) !== "EPIPE") {
    // Of an EPIPE nobody hears: the reader of stdout has gone.
    await reportDefect(error, options);
  }
  return exitStatus(error);
}

/** Whether commander has ended the command, and has printed what there was to print. */
function isCommanderEnd(error: unknown): error is CommanderEnd {
  const { code } = error as Partial<CommanderEnd>;
  return code?.startsWith("commander.") === true;
}

/** Commander has printed its message already. */
function reportCommanderEnd(
  { exitCode, code, message }: CommanderEnd,
  { output, json, pointer }: ReportOptions,
): number {
  if (exitCode === 0) return exitStatuses.done.status;
  if (json) {
    const said = code === "commander.help" ? "expected a command, got none" : message;
    const line = said.replace(/^error: /, "").replaceAll("\n", " ");
    output.fail(errorDocument(new UsageError("USAGE", line), unbracketed(pointer)));
  }
  return exitStatuses.usage.status;
}

function unbracketed(text: string): string {
  return text.replace(/^\((.*)\)$/, "$1");
}

/** An error that was thrown on purpose, or by the system. */
function asSealfsError(error: unknown): SealfsError | undefined {
  if (error instanceof SealfsError) return error;
  const errno = errnoOf(error);
  if (errno === undefined || errno === "EPIPE") return undefined;
  const { code, message, hint } = failure("", error) as SystemError;
  return new SystemError(code, message.replace(/^: /, ""), { hint });
}

function pointsToHelp(error: SealfsError): boolean {
  return error instanceof UsageError && /^(--|argument )/.test(error.message);
}

/** For people with a stack trace. */
async function reportDefect(error: unknown, { output, json }: ReportOptions): Promise<void> {
  const { defectHint, defectLines } = await import("./defect.ts");
  if (!json) {
    for (const line of defectLines(error)) output.complain(line);
    return;
  }
  const document = defectDocument(error, defectHint());
  output.complain(`sealfs: internal error: ${document.error.message}`);
  output.complain(`  ${document.error.hint}`);
  output.fail(document);
}
