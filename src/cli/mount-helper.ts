/**
 * `mount.sealfs`: what mount(8) runs for `mount -t sealfs IMAGE DIRECTORY -o …` and for lines of
 * fstab(5). Its options become those of `sealfs mount`, so that there is one list of them.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { Command } from "commander";
import { SealfsError, UsageError } from "../errors.ts";
import { SOURCE_PREFIX } from "../mount/table/mountinfo.ts";
import { failure } from "../fs/failure.ts";
import {
  type FstabOption,
  isForMount,
  isOfMount,
  parseFstabOptions,
} from "../mount/fstab-options.ts";
import { type Channels, processChannels } from "./terminal/io.ts";
import { silentProgress } from "./terminal/progress.ts";
import { exitStatuses } from "./exit-status.ts";
import { main } from "./main.ts";
import { declare } from "./commands/mount.ts";

// mount(8), "EXIT STATUS".
const INCORRECT = 1;
const FAILED = 32;

/** What the helper is called with (mount(8), "EXTERNAL HELPERS"). */
interface HelperCall {
  readonly image: string;
  readonly directory: string;
  readonly options: readonly FstabOption[];
  /** Unknown options are left out. */
  readonly sloppy: boolean;
  /** All but the mount itself. */
  readonly fake: boolean;
  readonly verbose: boolean;
}

/** Runs the helper with its arguments; returns its exit status. */
export async function run(
  argv: readonly string[],
  io: Channels = processChannels(),
): Promise<number> {
  let args: string[];
  try {
    const call = parseCall(argv);
    const mount = mountArguments(call);
    args = mount.args;
    makeDirectory(mount);
    if (call.verbose) io.log(`mount.sealfs: sealfs ${args.join(" ")}`);
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    io.log(`mount.sealfs: ${error.message}`);
    if (error.hint !== undefined) io.log(`  ${error.hint}`);
    return INCORRECT;
  }
  const status = await main(args, io);
  if (status === 0) return 0;
  return status === exitStatuses.usage.status ? INCORRECT : FAILED;
}

function makeDirectory({ directory, directoryMode }: HelperMount): void {
  if (directoryMode === undefined) return;
  try {
    mkdirSync(directory, { recursive: true, mode: Number.parseInt(directoryMode, 8) });
  } catch (error) {
    throw failure(`option X-mount.mkdir: ${directory}`, error);
  }
}

function parseCall(argv: readonly string[]): HelperCall {
  const operands: string[] = [];
  const options: FstabOption[] = [];
  const flags = { s: false, f: false, n: false, v: false };
  const words = argv.values();
  for (const word of words) {
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      if (letter in flags) {
        flags[letter as keyof typeof flags] = true;
        continue;
      }
      if (letter !== "o" && letter !== "t") throw usage(`option -${letter} is not known here`);
      const value = word.slice(at + 1) || words.next().value;
      if (value === undefined) throw usage(`option -${letter}: expected a value`);
      if (letter === "o") options.push(...parseFstabOptions(value));
      break; // the type was what led here
    }
  }
  const [image, directory, ...others] = operands;
  if (image === undefined || directory === undefined || others.length > 0) {
    throw usage("expected an image and a directory");
  }
  return { image, directory, options, sloppy: flags.s, fake: flags.f, verbose: flags.v };
}

function usage(message: string): UsageError {
  return new UsageError("USAGE", message, {
    hint: "usage: mount.sealfs IMAGE DIRECTORY [-sfnv] [-o OPTION,…], as mount(8) calls it",
  });
}

/** The arguments of `sealfs` that do what was asked for. */
function mountArguments({ image, directory, options, sloppy, fake }: HelperCall): HelperMount {
  const known = knownOptions();
  const args: string[] = [];
  let isWritable = false;
  let hasUpper = false;
  let directoryMode: string | undefined;
  for (const { name, value } of options) {
    if (name === "rw") isWritable = true;
    if (name === "ro") isWritable = false;
    if (isForMount(name)) continue;
    if (name === "suid" || name === "dev") throw notByDefault(name);
    if (isOfMount(name)) {
      const done = mountArgument(name.replace(/^[xX]-mount\./, ""), value);
      if (done.mkdir !== undefined) directoryMode = done.mkdir;
      args.push(...done.args);
      continue;
    }
    const long = longName(name, known);
    if (long === undefined) {
      if (sloppy) continue;
      throw new UsageError("USAGE", `option ${name}: not known`, {
        hint: "options are those of sealfs mount, such as store=DIR,key=FILE (see sealfs mount --help)",
      });
    }
    const takesValue = known.get(long) === true;
    if (takesValue !== (value !== undefined)) {
      throw new UsageError("USAGE", `option ${name}: expected ${takesValue ? "a" : "no"} value`);
    }
    if (long === "upper") hasUpper = true;
    args.push(value === undefined ? `--${long}` : `--${long}=${value}`);
  }
  if (isWritable !== hasUpper) {
    const problem = hasUpper
      ? "options ro and upper: expected only one of them"
      : "an image is read-only";
    throw new UsageError("USAGE", problem, {
      hint: hasUpper
        ? "leave out upper= and work=, or mount rw"
        : "add ro, or upper=DIR,work=DIR to keep changes in",
    });
  }
  const name = image.startsWith(SOURCE_PREFIX) ? image.slice(SOURCE_PREFIX.length) : image;
  return {
    args: ["mount", ...args, ...(fake ? ["--dry-run"] : []), "--", name, directory],
    directoryMode: fake ? undefined : directoryMode,
    directory,
  };
}

/** mount(8) takes these for the default and does not pass them on. */
function notByDefault(name: "suid" | "dev"): UsageError {
  return new UsageError("USAGE", `option ${name}: mounts of sealfs are no${name}`, {
    hint: `allow_${name} makes ${name === "suid" ? "set-user-ID bits count" : "devices work"}`,
  });
}

/** What is to be run, and whether the directory is made before. */
interface HelperMount {
  readonly args: string[];
  readonly directory: string;
  /** Octal. */
  readonly directoryMode: string | undefined;
}

const DIRECTORY_MODE = "755";

/**
 * What an option `X-mount.…` means here (mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS").
 *
 * @throws {@link UsageError} for those that would show something else than what was signed
 */
function mountArgument(
  name: string,
  value: string | undefined,
): { readonly args: string[]; readonly mkdir?: string } {
  switch (name) {
    case "mkdir":
      if (value === undefined || /^[0-7]{1,4}$/.test(value)) {
        return { args: [], mkdir: value ?? DIRECTORY_MODE };
      }
      throw new UsageError("USAGE", `option X-mount.mkdir: expected an octal mode, got ${value}`);
    case "subdir":
    case "idmap":
      if (value !== undefined && value !== "") return { args: [`--${name}=${value}`] };
      throw new UsageError("USAGE", `option X-mount.${name}: expected a value`);
    default:
      throw new UsageError("USAGE", `option X-mount.${name}: cannot be done`, {
        hint: /^(owner|group|mode)$/.test(name)
          ? "an image shows the owners and modes that were signed; idmap= shows owners as others"
          : "X-mount.mkdir, X-mount.subdir and X-mount.idmap can be",
      });
  }
}

/** The long options of `sealfs mount`, and whether each takes a value. */
function knownOptions(): Map<string, boolean> {
  const command = new Command();
  declare(command, {
    print() {},
    write() {},
    writeUntil: () => Promise.resolve(),
    document() {},
    log() {},
    detail() {},
    progress: () => silentProgress,
  });
  const options = command.options.map((option): [string, boolean] => [
    option.long?.replace(/^--/, "") ?? "",
    option.required || option.optional,
  ]);
  return new Map(options.filter(([name]) => name !== "" && !notForFstab.has(name)));
}

const notForFstab: ReadonlySet<string> = new Set(["foreground", "dry-run"]);

/** `allow_other` is `--allow-other`, `noallow_other` its opposite; `sealfs.key` is `key`. */
function longName(name: string, known: ReadonlyMap<string, boolean>): string | undefined {
  const plain = name.replace(/^sealfs\./, "").replaceAll("_", "-");
  const names = [plain, plain.replace(/^no(?=.)/, "no-")];
  return names.find((each) => known.has(each));
}
