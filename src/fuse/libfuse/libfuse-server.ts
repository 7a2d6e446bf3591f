/**
 * The server of an image over libfuse 2, by the package fuse-native: for ordinary users, who may
 * mount by fusermount3, and for systems where /dev/fuse cannot be opened directly.
 *
 * Its limits are those of fuse-native 2.2.6: times in whole milliseconds and none before 1970, names,
 * symlink targets and xattr names that are UTF-8 (others show up mangled and cannot be opened), user
 * and device numbers of 31 bits, ACLs that are shown but not enforced, names of trusted xattrs that are
 * shown to everybody, and one thread for everything.
 *
 * @module
 */
import { createRequire } from "node:module";
import { SystemError } from "../../errors.ts";
import { Image } from "../../erofs/image.ts";
import { ATTRIBUTE_TIMEOUT_SECONDS, ENTRY_TIMEOUT_SECONDS } from "../cache-lifetimes.ts";
import { Counters, counterMemory } from "../counters.ts";
import { ImageFileSystem } from "../image-file-system.ts";
import { ObjectReader } from "../object-reader.ts";
import { SharedLeaves } from "../shared-leaves.ts";
import { openPlaces } from "../store-place.ts";
import type { ServeInput, Served } from "../transport.ts";
import type { FuseNative } from "./fuse-native.ts";
import { whenDisconnected } from "./libfuse-end.ts";
import { rightsOptions } from "../../sys/mount-rights.ts";
import { libfuseHandlers } from "./libfuse-session.ts";

/** Leaves that are kept in memory: for the one thread that serves, and for prefetch. */
const LEAVES_FILES = 4096;
const LEAVES_BYTES = 64 * 1024 * 1024;

/**
 * Mounts the image and starts to serve it.
 *
 * @throws {@link SystemError} `NO_LIBFUSE` when the package or the library is missing; `NO_FUSE` when
 *   libfuse cannot mount
 */
export async function serveByLibfuse(input: ServeInput): Promise<Served> {
  const Fuse = loadFuseNative();
  // libfuse takes options after a comma of this one; fuse-native has none for them.
  const fsname = `${input.source.replace(/[^\w.:@/-]/g, "_")},ro,use_ino,${rightsOptions(input).join(",")}`;
  const counters = counterMemory(1);
  const leaves = SharedLeaves.create(LEAVES_FILES, LEAVES_BYTES);
  const fuse = new Fuse(input.target, handlersFor(input, leaves, new Counters(counters)), {
    fsname,
    subtype: "sealfs",
    allowOther: input.allowOther,
    defaultPermissions: true,
    kernelCache: true,
    entryTimeout: ENTRY_TIMEOUT_SECONDS,
    attrTimeout: ATTRIBUTE_TIMEOUT_SECONDS,
    timeout: false,
  });
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => (error ? reject(mountFailed(error, input)) : resolve()));
  });
  return {
    transport: "libfuse",
    ended: whenDisconnected(),
    counters,
    leaves: { leaves: leaves.memory },
  };
}

function handlersFor(input: ServeInput, leaves: SharedLeaves, counters: Counters) {
  const { supply, onProblem } = input;
  const places = openPlaces(input.stores, supply?.directory);
  const image = Image.open(new Uint8Array(input.image));
  const fs = new ImageFileSystem(image, new ObjectReader(places, leaves, counters), input.rootNid);
  return libfuseHandlers({ fs, counters, supply, onProblem });
}

function mountFailed(cause: Error, { allowOther }: ServeInput): SystemError {
  const needs =
    "libfuse needs /dev/fuse readable and writable for this user, and the package fuse3";
  const other = "; --allow-other also needs user_allow_other in /etc/fuse.conf";
  const hint = allowOther && process.geteuid?.() !== 0 ? needs + other : needs;
  return new SystemError("NO_FUSE", `libfuse: ${cause.message}`, { cause, hint });
}

function loadFuseNative(): FuseNative {
  try {
    return createRequire(import.meta.url)("fuse-native") as FuseNative;
  } catch (cause) {
    throw new SystemError("NO_LIBFUSE", `fuse-native: ${(cause as Error).message.split("\n")[0]}`, {
      cause,
      hint: "install the Debian packages libfuse2 and fuse3, and the npm package fuse-native",
    });
  }
}
