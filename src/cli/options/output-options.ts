/**
 * How much a command says: options of every command, before its name or behind it.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { type Output, type OutputWishes, progressStyles } from "../terminal/output.ts";

function outputOptions(): Option[] {
  return [
    new Option(
      "-q, --quiet",
      "print results and errors only: no log lines, no warnings, no progress",
    ),
    new Option("-v, --verbose", "also print how long the command took"),
    new Option(
      "--progress <how>",
      "auto: a bar on a terminal, a line every 10 s elsewhere; plain: always lines; none",
    ).choices(progressStyles),
  ];
}

/** Adds `--quiet`, `--verbose` and `--progress` to a program and its commands, and heeds them. */
export function declareOutput(program: Command, output: Output): void {
  for (const option of outputOptions()) program.addOption(option);
  for (const command of program.commands) acceptOutputOptions(command);
  program.hook("preAction", (_, called) => {
    const wishes: OutputWishes = called.optsWithGlobals();
    if (wishes.quiet === true && wishes.verbose === true) {
      throw new UsageError("USAGE", "--quiet and --verbose: expected only one of them");
    }
    output.wish(wishes);
  });
}

/** Behind a command's name they are not listed: its help has a section for them. */
function acceptOutputOptions(command: Command): void {
  for (const option of outputOptions()) {
    const isOwn = command.options.some(({ long }) => long === option.long);
    if (!isOwn) command.addOption(option.hideHelp());
  }
  for (const each of command.commands) acceptOutputOptions(each);
}

/** Of options of the program, those that this file declares. */
export function isOutputOption({ long }: Option): boolean {
  return outputOptions().some((option) => option.long === long);
}

/** How many words before the name of the command are these options and their values. */
export function afterOutputOptions(words: readonly string[]): number {
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--progress") at++;
    else if (!/^(-[qv]+|--quiet|--verbose|--progress=.*)$/.test(word)) break;
  }
  return Math.min(at, words.length);
}
