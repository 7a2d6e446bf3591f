/**
 * The command line: runs one command.
 *
 * @module
 */
import { reportError } from "./error-report.ts";
import { exitStatuses } from "./exit-status.ts";
import { refuseDebugger } from "../sys/no-debugger.ts";
import { afterOutputOptions } from "./options/output-options.ts";
import { type Channels, processChannels } from "./terminal/io.ts";
import { Output } from "./terminal/output.ts";

/** Runs one command line (without `node` and the script) and returns its exit status. */
export async function main(
  argv: readonly string[],
  channels: Channels = processChannels(),
): Promise<number> {
  refuseDebugger();
  const output = new Output(channels);
  const json = asksForJson(argv);
  let pointer = "";
  try {
    const words = argv.slice(afterOutputOptions(argv));
    // It has its own argument grammar and must start fast: it goes around commander.
    if (words[0] === "mkcomposefs") {
      const { run } = await import("./commands/mkcomposefs.ts");
      return await run(words.slice(1), output);
    }
    const { declareProgram, helpPointer, withoutHelpCommand } = await import("./program.ts");
    const program = await declareProgram(words, output);
    pointer = helpPointer(program, words);
    if (words.length === 0) program.outputHelp({ error: true });
    if (words.length === 0) return exitStatuses.usage.status;
    const before = argv.slice(0, argv.length - words.length);
    await program.parseAsync([...before, ...withoutHelpCommand(program, words)], { from: "user" });
    output.end();
    return Number(process.exitCode ?? exitStatuses.done.status);
  } catch (error) {
    return await reportError(error, { output, json, pointer });
  }
}

/** Whether a program reads what the command prints, mistakes in its command line included. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? undefined : end).includes("--json");
}
