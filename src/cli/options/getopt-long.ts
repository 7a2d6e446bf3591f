/**
 * Long options as getopt_long reads them: `--name=value` or `--name value`, names cut short as long
 * as they are unambiguous, options and operands in any order, `--` before operands only.
 *
 * @module
 */

/** A command line that makes no sense; the usage is to be shown. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** What a command line says. */
export interface ParsedOptions<Name extends string> {
  /** Flags have the value "". */
  readonly values: ReadonlyMap<Name, string>;
  readonly operands: readonly string[];
}

/** @throws {@link OptionError} for an unknown or ambiguous option, or a value too many or too few */
export function parseLongOptions<Name extends string>(
  args: readonly string[],
  options: Readonly<Record<Name, "flag" | "value">>,
): ParsedOptions<Name> {
  const values = new Map<Name, string>();
  const operands: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      operands.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      operands.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    const given = equals === -1 ? arg : arg.slice(0, equals);
    const name = find(given, Object.keys(options) as Name[]);
    let value = equals === -1 ? undefined : arg.slice(equals + 1);
    if (options[name] === "flag") {
      if (value !== undefined)
        throw new OptionError(`option '--${name}' doesn't allow an argument`);
      value = "";
    } else if (value === undefined) {
      i += 1;
      value = args[i];
      if (value === undefined) throw new OptionError(`option '--${name}' requires an argument`);
    }
    values.set(name, value);
  }
  return { values, operands };
}

function find<Name extends string>(given: string, names: readonly Name[]): Name {
  const text = given.startsWith("--") ? given.slice(2) : undefined;
  const exact = names.find((name) => name === text);
  if (exact !== undefined) return exact;
  const found = names.filter((name) => text !== undefined && name.startsWith(text));
  if (found.length === 1) return found[0]!;
  const kind = found.length === 0 ? "unrecognized option" : "ambiguous option";
  throw new OptionError(`${kind} '${given}'`);
}
