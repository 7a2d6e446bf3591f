/**
 * `sealfs mount`: verifies an image and mounts it.
 *
 * @module
 */
import type { Command } from "commander";
import { holdMount } from "../../mount/foreground.ts";
import { MountServer } from "../../mount/launch.ts";
import { type Mount, mountImage } from "../../mount/mount-image.ts";
import { openNamedImage } from "../../mount/named-image.ts";
import { checkTarget } from "../../mount/table/target.ts";
import { foreignNames } from "../../store/foreign.ts";
import { Stores } from "../../store/stores.ts";
import { hashInLanes } from "../../sys/sha256-lanes.ts";
import type { VerifiedImage } from "../../verify/verified-image.ts";
import { mountedLine } from "../print/mount.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";
import { declareMirrors } from "../options/mirror-options.ts";
import {
  type MountFlags,
  declareLazy,
  declareServer,
  declareView,
  declareWay,
  mountOptionsOf,
} from "../options/mount-options.ts";
import { type StoredImageOptions, declareSignedImage } from "../options/signed-image-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends MountFlags, StoredImageOptions, TrustOptions {
  readonly store: string[];
  readonly dryRun?: true;
}

const NOTE = `\
Promises about file content:
  block     every 4 KiB that is read matches the signed image, or the read fails
  open      each file matched the signed image when it was opened (--passthrough)
  metadata  names, modes and the like are as signed, content is not checked
sealfs preflight shows which ways to mount work here, and what each promises.

Transport libfuse has times in milliseconds, no names outside UTF-8 and no ACLs. df shows the image \
and its files as used space in mode fuse, in the modes kernel and hybrid only the size of the image, \
and with --upper the file system of that directory; sealfs status DIRECTORY always shows all.`;

/** Adds arguments, options and action. */
export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "a name or id in a store, or a file")
    .argument("<directory>", "where to mount it: an existing, empty directory")
    .option("--dry-run", "verify the image, but do not mount it")
    .action((image: string, directory: string, options: Options) =>
      options.dryRun ? verifyOnly(image, options, io) : mount(image, directory, options, io),
    );
  declareSignedImage(command, "a store with the objects; may be repeated, in order", true);
  declareTrust(command);
  declareLazy(declareMirrors(command));
  declareWay(command);
  declareView(command);
  declareServer(command);
  addNote(command, NOTE);
}

async function verifyOnly(image: string, options: Options, io: Io): Promise<void> {
  const { statement } = await verify(image, options, io);
  io.log(`verified ${statement.name}: not mounted`);
}

async function mount(image: string, directory: string, options: Options, io: Io): Promise<void> {
  const foreground = options.foreground === true;
  const wishes = mountOptionsOf(options);
  hashInLanes();
  // It loads its code while the image is verified here.
  const server = new MountServer(checkTarget(directory, options), foreground);
  let mounted: Mount;
  let verified: VerifiedImage;
  try {
    verified = await verify(image, options, io);
    mounted = await mountImage(verified, directory, { ...wishes, server });
  } finally {
    server.abandon();
  }
  // Once it is said to be mounted, a signal may come at any time.
  const held = foreground ? holdMount(mounted) : undefined;
  const { promise, log } = mounted;
  io.log(mountedLine(verified.statement.name, mounted));
  if (promise === "metadata") {
    io.log("warning: file content is not checked: it is only as safe as the store directory");
  }
  if (held === undefined) {
    if (log !== undefined) io.log(`log: ${log}`);
  } else if (!(await held)) {
    process.exitCode = 1;
  }
}

function verify(image: string, options: Options, io: Io): Promise<VerifiedImage> {
  const { bundle: bundles, name, platform, store } = options;
  const { trust, state, now } = readTrust(options, io);
  const places = { stores: Stores.open(store), bundles };
  for (const { path, foreign } of places.stores.all) {
    if (foreign !== undefined) io.log(`store ${path}: ${foreignNames[foreign]}, only read`);
  }
  return openNamedImage(image, places, { trust, state, name, platform, now });
}
