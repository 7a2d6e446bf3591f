/**
 * `sealfs mount`: verify an image, then serve it.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import type { TransportName } from "../../fuse/transport.ts";
import type { MountPromise, Mode } from "../../mount/table/modes.ts";
import { holdMount } from "../../mount/foreground.ts";
import { parseIdmap } from "../../mount/idmap-text.ts";
import type { VerifiedImage } from "../../verify/verified-image.ts";
import { MountServer } from "../../mount/launch.ts";
import { type Mount, type MountOptions, mountImage } from "../../mount/mount-image.ts";
import { type PrefetchOption, parsePrefetch } from "../../mount/server/prefetch-option.ts";
import { openNamed } from "../../mount/named.ts";
import { checkTarget } from "../../mount/table/target.ts";
import { foreignNames } from "../../store/foreign.ts";
import { Stores } from "../../store/stores.ts";
import { hashInLanes } from "../../sys/sha256-lanes.ts";
import type { Io } from "../terminal/io.ts";
import { type MirrorOptions, declareMirrors } from "../options/mirror-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends TrustOptions, MirrorOptions {
  readonly store: string[];
  readonly bundle?: string[];
  readonly name?: string;
  readonly mode: Mode | "auto";
  readonly require: MountPromise;
  readonly transport: TransportName | "auto";
  readonly passthrough?: true;
  readonly noexec?: true;
  readonly dryRun?: true;
  readonly idmap?: string[];
  readonly subdir?: string;
  readonly upper?: string;
  readonly work?: string;
  readonly foreground?: true;
  readonly allowOther?: boolean;
  readonly deadline?: number;
  readonly background?: true;
  readonly nonempty?: true;
  readonly log?: string;
  readonly prefetch?: PrefetchOption;
  readonly metrics?: string;
  readonly threads?: number;
}

const gather = (value: string, all: string[] = []) => [...all, value];

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  declareMirrors(declareTrust(command))
    .argument("<image>", "name or id in a store, or a file")
    .argument("<directory>", "existing, empty directory")
    .requiredOption("--store <dir>", "store with the objects; repeat for more, in order", gather)
    .option("--bundle <file>", "bundle (default: those in the store, IMAGE.bundle.json)", gather)
    .option("--name <name>", "name that must have been signed (needed for a file)")
    .addOption(
      new Option("--mode <mode>", "way to mount: the strongest and fastest here, or this one")
        .choices(["auto", "kernel", "hybrid", "fuse"])
        .default("auto"),
    )
    .addOption(
      new Option("--require <promise>", "least promise about file content; fail below it")
        .choices(["block", "open", "metadata"])
        .default("block"),
    )
    .addOption(
      new Option("--transport <how>", "how mode fuse reaches the kernel")
        .choices(["auto", "dev", "fusermount", "libfuse"])
        .default("auto"),
    )
    .option("--passthrough", "let the kernel read objects once they were checked (promise open)")
    .option(
      "--idmap <map>",
      "show owners as others: [u:|g:]ID:SHOWN:COUNT; may be repeated",
      gather,
    )
    .option("--subdir <dir>", "mount this directory of the image only")
    .option("-f, --foreground", "stay, and end the mount when this process or its parent ends")
    .option("--allow-other", "other users may look in (the default as root)")
    .option("--no-allow-other", "only this user may look in")
    .option("--upper <dir>", "take changes, kept in this directory (with --work; not mode fuse)")
    .option("--work <dir>", "empty directory beside --upper, for the kernel")
    .option("--deadline <seconds>", "the longest that a reader waits for what is fetched", deadline)
    .option(
      "--background",
      "fetch everything, beside what is read; then no mirror is needed any more",
    )
    .option("--noexec", "no programs are run from the mount")
    .option("--dry-run", "verify the image, but do not mount it")
    .option("--nonempty", "mount over a directory that is not empty")
    .option("--log <file>", "append what readers were refused, and why, to this file")
    .option(
      "--prefetch <what>",
      "read ahead in the background: all, or list:FILE (paths)",
      parsePrefetch,
    )
    .option("--metrics <place>", "metrics for Prometheus: a FILE, or unix:PATH for a socket")
    .option("--threads <n>", "threads that serve /dev/fuse", threads)
    .addHelpText(
      "after",
      "\nblock: every 4 KiB you read matches the digest in the signed image, or you get an error, even\n" +
        "if the store changes while mounted. open (--passthrough): each file matched its digest when it\n" +
        "was opened; the store must not be writable by anyone you distrust. metadata: names, modes and the like are as signed; file\n" +
        "content is as good as your protection of the store directory. sealfs preflight shows which\n" +
        "modes this machine has, with which promise. Transport libfuse: times in ms, no names outside UTF-8, no ACLs.\n" +
        "df shows files and their content as used in mode fuse; in the modes kernel and hybrid the size of\n" +
        "the image alone, because overlayfs passes on what its top layer says, and with --upper that of the\n" +
        "file system of that directory. sealfs status DIRECTORY tells in every mode.",
    )
    .action(async (image: string, directory: string, options: Options) => {
      if (options.dryRun === true) {
        const verified = await verify(image, options, io);
        io.log(`verified ${verified.statement.name}: not mounted`);
        return;
      }
      const foreground = options.foreground === true;
      const wishes: Omit<MountOptions, "server"> = {
        ...options,
        stores: options.store,
        idmap: options.idmap === undefined ? undefined : parseIdmap(options.idmap),
        foreground,
        ...writable(options),
        ...lazy(options),
      };
      hashInLanes();
      // It loads its code while the image is verified here.
      const server = new MountServer(checkTarget(directory, options), foreground);
      let mount: Mount;
      let verified: VerifiedImage;
      try {
        verified = await verify(image, options, io);
        mount = await mountImage(verified, directory, { ...wishes, server });
      } finally {
        server.abandon();
      }
      // Whoever hears that it is mounted may send a signal at once.
      const held = foreground ? holdMount(mount) : undefined;
      const { mode, transport, promise } = mount;
      const way = mode === "fuse" ? `${mode} over ${transport}` : mode;
      io.log(`mounted ${verified.statement.name} on ${mount.target} (${way}, ${promise})`);
      if (promise === "metadata") io.log(METADATA_ONLY);
      if (held !== undefined) {
        if (!(await held)) process.exitCode = 1;
      } else if (mount.log !== undefined) {
        io.log(`log: ${mount.log}`);
      }
    });
}

function verify(image: string, options: Options, io: Io): Promise<VerifiedImage> {
  const now = new Date();
  const { bundle: bundles, name, store } = options;
  const { trust, state } = readTrust(options, io, now);
  const places = { stores: Stores.open(store), bundles };
  for (const { path, foreign } of places.stores.all) {
    if (foreign !== undefined) io.log(`store ${path}: ${foreignNames[foreign]}, only read`);
  }
  return openNamed(image, places, { trust, state, name, now });
}

const METADATA_ONLY =
  "warning: file content is not checked: it is as good as your protection of the store directory";

function writable({ upper, work }: Options): Pick<MountOptions, "writable"> {
  if (upper === undefined && work === undefined) return {};
  if (upper !== undefined && work !== undefined) return { writable: { upper, work } };
  throw new UsageError("USAGE", "--upper and --work: expected both or neither");
}

/** Without any of its options nothing is fetched. */
function lazy({ mirror, mirrors, deadline, background }: Options): Pick<MountOptions, "lazy"> {
  if (mirror.length === 0 && mirrors === undefined && background === undefined) return {};
  return { lazy: { mirrors: mirror, mirrorsFile: mirrors, deadline, background } };
}

function deadline(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds;
  throw new UsageError("USAGE", `--deadline: expected up to 3600 seconds, got ${text}`);
}

function threads(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count;
  throw new UsageError("USAGE", `--threads: expected 1 to 64, got ${text}`);
}
