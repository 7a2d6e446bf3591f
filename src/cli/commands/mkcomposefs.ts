/**
 * `sealfs mkcomposefs`: mkcomposefs's own arguments, output and exit statuses, so that scripts can
 * swap one for the other. It goes around the other commands' option parser, whose grammar is not
 * that of getopt_long.
 *
 * @module
 */
import type { Command } from "commander";
import { SealfsError } from "../../errors.ts";
import { makeComposefs, writeImageFile } from "../../mkcomposefs/mkcomposefs.ts";
import type { Io } from "../terminal/io.ts";
import { OptionError, parseLongOptions } from "../options/getopt-long.ts";

const OPTIONS_HELP = `Options:
  --digest-store=PATH   Store content files in this directory
  --use-epoch           Make all mtimes zero
  --skip-devices        Don't store device nodes
  --skip-xattrs         Don't store file xattrs
  --user-xattrs         Only store user.* xattrs
  --print-digest        Print the digest of the image
  --print-digest-only   Print the digest of the image, don't write image
  --from-file           The source is a dump file, not a directory
  --min-version=N       Use this minimal format version (default=0)
  --max-version=N       Use this maximum format version (default=1)
  --threads=N           Accepted for compatibility; it changes nothing`;
const USAGE = `Usage: mkcomposefs [OPTIONS] SOURCE IMAGE\n${OPTIONS_HELP}`;

const OPTIONS = {
  "digest-store": "value",
  "use-epoch": "flag",
  "skip-devices": "flag",
  "skip-xattrs": "flag",
  "user-xattrs": "flag",
  "print-digest": "flag",
  "print-digest-only": "flag",
  "from-file": "flag",
  "min-version": "value",
  "max-version": "value",
  threads: "value",
} as const;

/** For help alone: {@link run} reads the arguments. */
export function declare(command: Command): void {
  command
    .usage("[OPTIONS] SOURCE IMAGE")
    .configureHelp({
      ...command.configureHelp(),
      visibleOptions: () => [],
      showGlobalOptions: false,
    })
    .addHelpText("after", `\n${OPTIONS_HELP}`);
}

/** Runs the command and returns its exit status: 0, or 1 for every error. */
export async function run(args: string[], io: Io): Promise<number> {
  try {
    if (args[0] === "--help") throw new OptionError("");
    const { values, operands } = parseLongOptions(args, OPTIONS);
    const [source, image] = operands;
    const print = values.has("print-digest") || values.has("print-digest-only");
    const only = values.has("print-digest-only");
    const minVersion = integer(values.get("min-version"), "min version");
    const maxVersion = integer(values.get("max-version"), "max version");
    const threads = integer(values.get("threads"), "threads count");
    if (threads !== undefined && threads < 1) {
      throw new SyntaxError(`Invalid threads count ${values.get("threads")}`);
    }
    if (source === undefined) throw new OptionError("No source path specified");
    if (operands.length > 2) throw new OptionError("Too many arguments");
    if (only && image !== undefined) {
      throw new OptionError("Cannot specify destination path with --print-digest-only");
    }
    if (!only && image === undefined) throw new OptionError("No destination path specified");

    const bytes = await makeComposefs(source, {
      fromFile: values.has("from-file"),
      strict: process.env["CFS_PARSE_STRICT"] !== undefined,
      digestStore: values.get("digest-store"),
      epoch: values.has("use-epoch"),
      devices: !values.has("skip-devices"),
      skipXattrs: values.has("skip-xattrs"),
      userXattrs: values.has("user-xattrs"),
      minVersion,
      maxVersion,
    });
    if (image === "-") io.write(bytes);
    else if (image !== undefined) writeImageFile(image, bytes);
    if (print) {
      const { verityDigestOf } = await import("../../verity/hasher.ts");
      io.print(verityDigestOf(bytes));
    }
    return 0;
  } catch (error) {
    if (error instanceof OptionError) io.log(error.message ? `${error.message}\n${USAGE}` : USAGE);
    else if (error instanceof SyntaxError) io.log(error.message);
    else if (error instanceof SealfsError || isSystemError(error)) {
      io.log(`mkcomposefs: ${error.message}`);
    } else throw error;
    return 1;
  }
}

/** A decimal integer as C reads it; undefined when the option is not given. */
function integer(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\s*[+-]?[0-9]+$/.test(text)) throw new SyntaxError(`Invalid ${what} ${text}`);
  return Number(text);
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && /^E[A-Z0-9]+$/.test((error as NodeJS.ErrnoException).code ?? "");
}
