/**
 * Values that are empty strings: what an unset variable in a script leaves. As a path it would stand for the
 * working directory.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";

/** Refuses empty arguments and values of options, of a command and of those below it. */
export function refuseEmptyValues(command: Command): void {
  command.hook("preAction", (_, called) => {
    const at = called.args.indexOf("");
    if (at >= 0) {
      const argument = called.registeredArguments[at] ?? called.registeredArguments.at(-1);
      throw empty(`argument ${argument?.name() ?? at + 1}`);
    }
    for (const option of called.options) {
      const value: unknown = called.getOptionValue(option.attributeName());
      const isEmpty = Array.isArray(value) ? value.includes("") : value === "";
      if (isEmpty) throw empty(option.long ?? option.flags);
    }
  });
}

function empty(what: string): UsageError {
  return new UsageError("USAGE", `${what}: expected a value, got an empty string`);
}
