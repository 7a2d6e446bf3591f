/**
 * Options as mount(8) and fstab(5) have them: separated by commas, with a value after `=`, which may
 * stand in double quotes when there are commas in it.
 *
 * @module
 */
import { UsageError } from "../errors.ts";

/** One option; `value` is undefined without `=`. */
export interface FstabOption {
  readonly name: string;
  readonly value: string | undefined;
}

/**
 * Reads a list of options.
 *
 * @throws {@link UsageError} when a quote is not closed, or an option has no name
 */
export function parseFstabOptions(text: string): FstabOption[] {
  const options: FstabOption[] = [];
  for (const part of splitAtCommas(text)) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    if (name === "") throw new UsageError("USAGE", `option ${part}: expected a name`);
    const value = equals < 0 ? undefined : part.slice(equals + 1).replaceAll('"', "");
    options.push({ name, value });
  }
  return options;
}

function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    if (text[at] !== "," || isQuoted) continue;
    parts.push(text.slice(start, at));
    start = at + 1;
  }
  if (isQuoted) throw new UsageError("USAGE", `options ${text}: expected a closing quote`);
  parts.push(text.slice(start));
  return parts;
}

/** Options that are for mount(8), systemd or readers, or say what is so anyway. */
export function isForMount(name: string): boolean {
  return ignored.has(name) || (/^(x-|X-|comment$)/.test(name) && !isOfMount(name));
}

/** Options that mount(8) does by itself, where it knows them, and that say what the mount is like. */
export function isOfMount(name: string): boolean {
  return /^[xX]-mount\./.test(name) && !MEANINGLESS.test(name);
}

/** Images are never loop devices of mount(8), and their type is no question. */
const MEANINGLESS = /^[xX]-mount\.(noloop|auto-fstypes)$/;

const ignored: ReadonlySet<string> = new Set([
  "ro rw nosuid nodev auto noauto nofail _netdev defaults",
  "user users owner group nouser nousers noowner nogroup uhelper",
  // They mean nothing where nothing is written.
  "exec async sync dirsync atime noatime nodiratime diratime relatime norelatime strictatime",
  "nostrictatime lazytime nolazytime silent loud mand nomand iversion noiversion",
].flatMap((names) => names.split(" "))); // prettier-ignore
