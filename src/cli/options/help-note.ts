/**
 * Text at the end of a command's help.
 *
 * @module
 */
import type { Command } from "commander";

/** Adds a paragraph, which is wrapped as the rest of the help is. Lines that begin with spaces stay lines. */
export function addNote(command: Command, text: string): Command {
  return command.addHelpText("after", ({ command: shown }) => {
    const width = shown.configureOutput().getOutHelpWidth?.() ?? 80;
    return `\n${shown.createHelp().boxWrap(text, width)}`;
  });
}
