/**
 * Options that may be given several times, and those that may not.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";

/**
 * An option whose value is the list of all that were given, in order; undefined when there are none,
 * because help would show an empty list as a default.
 */
export function repeated(flags: string, description: string, choices?: readonly string[]): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  const parse = option.parseArg;
  return option.argParser((text: string, all: readonly string[] | undefined) => {
    return [...(all ?? []), parse === undefined ? text : parse(text, text)];
  });
}

/** Options that say what is signed, or whom to trust: that one of two is ignored would go unnoticed. */
const ONCE: ReadonlySet<string> = new Set([
  "--attach",
  "--bundle",
  "--cert",
  "--created",
  "--expires",
  "--key",
  "--name",
  "--pae",
  "--policy",
  "--sign-cmd",
  "--state",
  "--tuf",
  "--tuf-root",
  "--version",
  "--with-key",
]);

/** Refuses a second value of these options, where a command takes one. */
export function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    const { long } = option;
    if (long === null || long === undefined || !ONCE.has(long)) continue;
    if (option.parseArg !== undefined || !(option.required || option.optional)) continue;
    option.argParser((text: string, before: string | undefined) => {
      if (before === undefined) return text;
      throw new UsageError("USAGE", `${long}: given twice, expected one`);
    });
  }
  for (const each of command.commands) refuseRepeats(each);
}
