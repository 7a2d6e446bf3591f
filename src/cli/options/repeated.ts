/**
 * Options that may be given several times.
 *
 * @module
 */
import { Option } from "commander";

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
