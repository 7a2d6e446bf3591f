/**
 * The commands as commander knows them: how their help looks, and what it says of a mistake.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { Command, Help } from "commander";
import { commandGroups, commands } from "./command-table.ts";
import { refuseEmptyValues } from "./options/empty-values.ts";
import { addNote } from "./options/help-note.ts";
import { declareOutput, isOutputOption } from "./options/output-options.ts";
import { refuseRepeats } from "./options/repeated.ts";
import type { Output } from "./terminal/output.ts";

/** Declares all commands by name, and fully the one that `words` call. */
export async function declareProgram(words: readonly string[], io: Output): Promise<Command> {
  const program = new Command("sealfs")
    .description("signed, verified file system images, compatible with composefs")
    .version(packageVersion(), "-V, --version", "print the version")
    .enablePositionalOptions() // a command may have a --version of its own
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .helpCommand(false) // here withoutHelpCommand() reads it, because commands are loaded late
    .configureHelp({
      minWidthToWrap: 20,
      subcommandTerm: (command) => command.name(),
      optionDescription(option) {
        const text = Help.prototype.optionDescription.call(this, option);
        return option.mandatory ? `${text} (required)` : text;
      },
      showGlobalOptions: true,
      visibleGlobalOptions(command) {
        const own = Help.prototype.visibleOptions.call(this, command).map(({ long }) => long);
        return Help.prototype.visibleGlobalOptions
          .call(this, command)
          .filter((option) => isOutputOption(option) && !own.includes(option.long));
      },
      styleTitle: (title) => (title === "Global Options:" ? "Output:" : title),
    })
    .configureOutput({
      writeOut: (text) => io.print(text.trimEnd()),
      writeErr: (text) => io.complain(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, "sealfs: ")),
      getOutHelpWidth: () => widthOf(process.stdout),
      getErrHelpWidth: () => widthOf(process.stderr),
    })
    .exitOverride();
  const wanted = words[0] === "help" ? words[1] : words[0];
  for (const [heading, group] of Object.entries(commandGroups)) {
    program.commandsGroup(`${heading}:`);
    for (const [name, { summary }] of Object.entries(group)) {
      const command = program.command(name).summary(summary).description(summary);
      if (name !== wanted) continue;
      (await commands.get(name)!.load()).declare(command, io);
      refuseRepeats(command);
    }
  }
  declareOutput(program, io);
  refuseEmptyValues(program);
  addNote(program, "sealfs COMMAND --help shows the options of a command.");
  pointToHelp(program);
  return program;
}

/**
 * `help NAME` as `NAME --help`. A name that is unknown stands alone, so that commander says so and
 * suggests another, in place of help that nobody asked for.
 */
export function withoutHelpCommand(program: Command, words: readonly string[]): readonly string[] {
  const asksForHelp = words[0] === "help";
  const names = asksForHelp ? words.slice(1) : words;
  const command = commandOf(program, names);
  const depth = namesOf(command).length - 1;
  const next = names[depth];
  const isUnknown = command.commands.length > 0 && next !== undefined && !/^-|^help$/.test(next);
  if (isUnknown) return names.slice(0, depth + 1);
  return asksForHelp ? [...names.slice(0, depth), "--help"] : words;
}

/** Which help shows more about the command that `words` call: text for the end of a message. */
export function helpPointer(program: Command, words: readonly string[]): string {
  return pointer(commandOf(program, words));
}

function pointToHelp(command: Command): void {
  command.showHelpAfterError(pointer(command));
  for (const each of command.commands) pointToHelp(each);
}

function pointer(command: Command): string {
  const isGroup = command.commands.length > 0;
  return `(${namesOf(command).join(" ")} --help shows its ${isGroup ? "commands" : "options"})`;
}

/** The command that the words name, subcommands included. */
function commandOf(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

function namesOf(command: Command): string[] {
  return [...(command.parent === null ? [] : namesOf(command.parent)), command.name()];
}

/** `$COLUMNS`, else a terminal's width, else 80. */
function widthOf(stream: NodeJS.WriteStream): number {
  const wished = Number(process.env["COLUMNS"]);
  if (Number.isInteger(wished) && wished > 0) return wished;
  return stream.isTTY ? stream.columns : 80;
}

export function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
