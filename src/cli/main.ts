/**
 * The command line: runs one command.
 *
 * @module
 */
import { isCommanderEnd, reportError } from "./error-report.ts";
import { exitStatus, exitStatuses } from "./exit-status.ts";
import { refuseDebugger } from "../sys/no-debugger.ts";
import { type Io, processIo } from "./terminal/io.ts";

/** Runs one command line (without `node` and the script) and returns its exit status. */
export async function main(argv: string[], io: Io = processIo()): Promise<number> {
  refuseDebugger();
  let pointer = "";
  try {
    // It has its own argument grammar and must start fast: it goes around commander.
    if (argv[0] === "mkcomposefs") {
      const { run } = await import("./commands/mkcomposefs.ts");
      return await run(argv.slice(1), io);
    }
    const { declareProgram, helpPointer, withoutHelpCommand } = await import("./program.ts");
    const program = await declareProgram(argv, io);
    pointer = helpPointer(program, argv);
    if (argv.length === 0) program.outputHelp({ error: true });
    if (argv.length === 0) return exitStatuses.usage.status;
    await program.parseAsync(withoutHelpCommand(program, argv), { from: "user" });
    return Number(process.exitCode ?? exitStatuses.done.status);
  } catch (error) {
    if (isCommanderEnd(error)) {
      return error.exitCode === 0 ? exitStatuses.done.status : exitStatuses.usage.status;
    }
    await reportError(error, pointer, io);
    return exitStatus(error);
  }
}
