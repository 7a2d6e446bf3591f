/**
 * How an image is mounted: which way, as what, and by a server that does what else.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import type { TransportName } from "../../fuse/transport.ts";
import { parseIdmap } from "../../mount/idmap-text.ts";
import type { MountOptions } from "../../mount/mount-options.ts";
import { type PrefetchOption, parsePrefetch } from "../../mount/server/prefetch-option.ts";
import type { Mode, MountPromise } from "../../mount/table/modes.ts";
import { foreignStore } from "./foreign-store.ts";
import type { MirrorOptions } from "./mirror-options.ts";
import { wholeNumber } from "./numbers.ts";
import { repeated } from "./repeated.ts";
import { defined } from "../../optional.ts";

/** The values of {@link declareWay}'s options. */
interface WayOptions {
  readonly mode: Mode | "auto";
  readonly require: MountPromise;
  readonly transport: TransportName | "auto";
  readonly passthrough?: true;
  readonly threads?: number;
}

/** Adds the options that choose one of the ways to mount. */
export function declareWay(command: Command): Command {
  return command
    .optionsGroup("Way to mount:")
    .addOption(
      new Option("--mode <mode>", "the way to mount; auto: the strongest and fastest that works")
        .choices(["auto", "kernel", "hybrid", "fuse"])
        .default("auto"),
    )
    .addOption(
      new Option("--require <promise>", "the weakest promise about file content to accept")
        .choices(["block", "open", "metadata"])
        .default("block"),
    )
    .addOption(
      new Option("--transport <how>", "how mode fuse talks to the kernel")
        .choices(["auto", "dev", "fusermount", "libfuse"])
        .default("auto"),
    )
    .option("--passthrough", "let the kernel read objects itself once checked (promise open)")
    .option(
      "--threads <n>",
      "threads that serve /dev/fuse (default: one per processor, from 2 to 4)",
      wholeNumber("--threads", 1, 64),
    );
}

/** The values of {@link declareView}'s options. */
interface ViewOptions {
  readonly subdir?: string;
  readonly idmap?: string[];
  readonly upper?: string;
  readonly work?: string;
  readonly rebaseUpper?: true;
  readonly noexec?: true;
  readonly allowSuid?: true;
  readonly allowDev?: true;
  readonly allowOther?: boolean;
  readonly nonempty?: true;
}

/** Adds the options that say what is seen at the mount point, and by whom. */
export function declareView(command: Command): Command {
  return command
    .optionsGroup("Mount point:")
    .option("--subdir <dir>", "mount only this directory of the image")
    .addOption(
      repeated("--idmap <map>", "show owners as others: [u:|g:]ID:SHOWN:COUNT; may be repeated"),
    )
    .option("--upper <dir>", "allow changes, kept in this directory (with --work; not mode fuse)")
    .option("--work <dir>", "an empty directory on the same file system as --upper")
    .option("--rebase-upper", "take the changes in --upper over from another image to this one")
    .option("--noexec", "do not run programs from the mount")
    .option(
      "--allow-suid",
      "let set-user-ID bits and file capabilities of the image count (root only)",
    )
    .option("--allow-dev", "let the devices of the image work (root only)")
    .option("--allow-other", "let other users access the mount (default for root)")
    .option("--no-allow-other", "let only this user access the mount")
    .option("--nonempty", "mount over a directory that is not empty");
}

/** The values of {@link declareServer}'s options. */
interface ServerOptions {
  readonly foreground?: true;
  readonly prefetch?: PrefetchOption;
  readonly log?: string;
  readonly metrics?: string;
}

/** Adds the options of the process that serves the mount. */
export function declareServer(command: Command): Command {
  return command
    .optionsGroup("Server:")
    .option("-f, --foreground", "stay, and end the mount when this process or its parent ends")
    .option(
      "--prefetch <what>",
      "read and check ahead in the background: all, or list:FILE (one path per line)",
      parsePrefetch,
    )
    .option("--log <file>", "append each refused read, with its reason, to this file")
    .option("--metrics <place>", "metrics for Prometheus: a FILE, or unix:PATH for a socket");
}

/** The values of {@link declareLazy}'s options. */
interface LazyOptions {
  readonly deadline?: number;
  readonly background?: true;
}

/** Adds, beside the mirrors, the options of a lazy mount. */
export function declareLazy(command: Command): Command {
  return command
    .optionsGroup("Mirrors:")
    .addOption(foreignStore())
    .option("--deadline <seconds>", "how long a read waits for a mirror (default: 30)", deadline)
    .option(
      "--background",
      "fetch everything in the background; then no mirror is needed any more",
    );
}

function deadline(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds;
  throw new UsageError("USAGE", `--deadline: expected up to 3600 seconds, got ${text}`);
}

/** All that {@link mountOptionsOf} reads. */
export interface MountFlags
  extends MirrorOptions, WayOptions, ViewOptions, ServerOptions, LazyOptions {
  readonly store: string[];
  readonly foreignStore?: true;
}

/**
 * @throws {@link UsageError} for options that need one another, or a map of owners that is
 * malformed
 */
export function mountOptionsOf(flags: MountFlags): Omit<MountOptions, "server"> {
  const {
    store,
    foreignStore,
    idmap,
    upper,
    work,
    rebaseUpper,
    allowSuid,
    allowDev,
    mirror = [],
    mirrors,
    deadline,
    background,
    ...options
  } = flags;
  const isLazy = mirror.length > 0 || mirrors !== undefined || background !== undefined;
  return {
    ...options,
    suid: allowSuid,
    dev: allowDev,
    stores: store,
    foreignStore,
    idmap: idmap === undefined ? undefined : parseIdmap(idmap),
    ...writable(upper, work, rebaseUpper),
    ...defined({
      lazy: isLazy ? { mirrors: mirror, mirrorsFile: mirrors, deadline, background } : undefined,
    }),
  };
}

function writable(upper?: string, work?: string, rebase?: boolean): Pick<MountOptions, "writable"> {
  if (upper === undefined && work === undefined) {
    if (rebase === undefined) return {};
    throw new UsageError("USAGE", "--rebase-upper: expected --upper and --work as well");
  }
  if (upper !== undefined && work !== undefined) {
    return { writable: { upper, work, ...defined({ rebase }) } };
  }
  throw new UsageError("USAGE", "--upper and --work: expected both or neither");
}
