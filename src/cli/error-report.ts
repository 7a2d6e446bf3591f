/**
 * What is printed about an error that ended a command.
 *
 * @module
 */
import { SealfsError, UsageError, messagesOf } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import type { Io } from "./terminal/io.ts";

/** How a command ended that commander ended, and with which of its codes. */
interface CommanderEnd {
  readonly code: string;
  readonly exitCode: number;
}

/** Whether commander has ended the command, and has printed what there was to print. */
export function isCommanderEnd(error: unknown): error is CommanderEnd {
  const { code } = error as Partial<CommanderEnd>;
  return code?.startsWith("commander.") === true;
}

/** Prints what went wrong. Only a defect of sealfs shows a stack trace. */
export async function reportError(error: unknown, pointer: string, io: Io): Promise<void> {
  if (error instanceof SealfsError) {
    io.log(`sealfs: ${messagesOf(error).join(": ")}`);
    if (error.hint !== undefined) io.log(`  ${error.hint}`);
    else if (error instanceof UsageError && /^(--|argument )/.test(error.message)) io.log(pointer);
    return;
  }
  const errno = errnoOf(error);
  if (errno === "EPIPE") return; // the reader of stdout has gone
  if (errno !== undefined) {
    const { message, hint } = failure("", error) as SealfsError;
    io.log(`sealfs: ${message.replace(/^: /, "")}`);
    if (hint !== undefined) io.log(`  ${hint}`);
    return;
  }
  const { defectLines } = await import("./defect.ts");
  for (const line of defectLines(error)) io.log(line);
}
