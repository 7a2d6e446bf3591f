/**
 * The transport through libfuse 2, by the package fuse-native: for ordinary users, whom fusermount3
 * lets mount, and for systems where /dev/fuse cannot be opened directly.
 *
 * Its limits are those of fuse-native 2.2.6: times in whole milliseconds and none before 1970, names,
 * symlink targets and xattr names that are UTF-8 (others show up mangled and cannot be opened), user
 * and device numbers of 31 bits, ACLs that are shown but not enforced, names of trusted xattrs that are
 * shown to everybody, and one thread for everything.
 *
 * @module
 */
import { createRequire } from "node:module";
import { type ByteString, fromText, toBytes } from "../../bytes/bytestring.ts";
import { SystemError } from "../../errors.ts";
import { BLOCK_SIZE } from "../../erofs/format.ts";
import { Image } from "../../erofs/image.ts";
import { limits } from "../../limits.ts";
import { S_IFDIR, S_IFMT } from "../../tree/inode.ts";
import type { Attributes } from "../attributes.ts";
import { Counters, counterMemory } from "../counters.ts";
import { EIO, EISDIR, ENAMETOOLONG, ENODATA, ENOENT, ERANGE } from "../errno.ts";
import { ImageFileSystem } from "../filesystem.ts";
import type { FuseNative, FuseOperations, FuseStat, XattrValue } from "./fuse-native.ts";
import { DEFERRED_TRIES } from "../deferred-replies.ts";
import { ObjectReader, ObjectUnavailable } from "../object-reader.ts";
import { SharedLeaves } from "../shared-leaves.ts";
import { openPlaces } from "../store-place.ts";
import { whenDisconnected } from "./libfuse-end.ts";
import type { ServeInput, Served } from "../transport.ts";
import { Opcode } from "../wire.ts";

/** Files whose leaves are kept. */
const MOST_FILES = 4096;
const LEAVES_BYTES = 64 * 1024 * 1024;
const FOREVER_SECONDS = 365 * 86_400;

/**
 * Mounts the image and starts to serve it.
 *
 * @throws {@link SystemError} `NO_LIBFUSE` when the package or the library is missing; `NO_FUSE` when
 *   libfuse cannot mount
 */
export async function serveLibfuse(input: ServeInput): Promise<Served> {
  const Fuse = loadFuseNative();
  // libfuse takes options after a comma of this one; fuse-native has none for them.
  const fsname = `${input.source.replace(/[^\w.:@/-]/g, "_")},ro,use_ino,nosuid,nodev${input.noexec === true ? ",noexec" : ""}`;
  const counters = counterMemory(1);
  const leaves = SharedLeaves.create(MOST_FILES, LEAVES_BYTES);
  const fuse = new Fuse(input.target, operationsOf(input, leaves, new Counters(counters)), {
    fsname,
    subtype: "sealfs",
    allowOther: input.allowOther,
    defaultPermissions: true,
    kernelCache: true,
    entryTimeout: FOREVER_SECONDS,
    attrTimeout: FOREVER_SECONDS,
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

function mountFailed(cause: Error, { allowOther }: ServeInput): SystemError {
  const needs = "it needs /dev/fuse readable and writable for this user, and the package fuse3";
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

function operationsOf(input: ServeInput, leaves: SharedLeaves, counters: Counters): FuseOperations {
  const image = Image.open(new Uint8Array(input.image));
  const { supply } = input;
  const places = openPlaces(input.stores);
  if (supply !== undefined) places.push(supply.place);
  const fs = new ImageFileSystem(image, new ObjectReader(places, leaves, counters), input.rootNid);

  const find = (path: string): number => {
    let nid = fs.rootNid;
    for (const name of path.split("/")) {
      if (name === "") continue;
      if (!fs.isDirectory(nid)) return 0;
      const bytes = Buffer.from(name);
      nid = fs.lookup(nid, bytes, 0, bytes.length);
      if (nid === 0) return 0;
    }
    return nid;
  };
  /**
   * Calls `work` with the node of `path`, again when it had to wait for content; whatever happens,
   * there is an answer.
   */
  const on = (
    operation: keyof typeof Opcode,
    path: string,
    answer: (error: number) => void,
    work: (nid: number) => void,
    tries = DEFERRED_TRIES,
    start = performance.now(),
  ) => {
    let nid = 0;
    const opcode = Opcode[operation];
    const answered = () => {
      counters.answered(opcode, 0);
      counters.took(opcode, performance.now() - start);
    };
    const refuse = (error: unknown) => {
      const isKnown = error instanceof ObjectUnavailable;
      counters.failed(isKnown ? error.reason : supply === undefined ? "other" : "fetch");
      answered();
      input.onProblem({ operation, nodeid: nid, message: (error as Error).message });
      answer(-EIO);
    };
    try {
      nid = find(path);
      if (nid === 0) answer(-absent(path));
      else work(nid);
      answered();
    } catch (error) {
      if (supply === undefined || !(error instanceof ObjectUnavailable) || tries === 0) {
        refuse(error);
        return;
      }
      supply
        .provide(error.file, error.range, new AbortController().signal)
        .then(() => on(operation, path, answer, work, tries - 1, start), refuse);
    }
  };

  return {
    getattr: (path, answer) =>
      on("GETATTR", path, answer, (nid) => answer(0, statOf(fs.attributes(nid)))),
    readdir: (path, answer) =>
      on("READDIR", path, answer, (nid) => {
        const names: string[] = [];
        const nids: number[] = [];
        for (const cursor = fs.entries(nid, 0); cursor.next();) {
          const { nameAt, nameLength } = cursor;
          const name = Buffer.from(image.bytes.subarray(nameAt, nameAt + nameLength)).toString();
          names.push(name);
          nids.push(cursor.nid);
        }
        answer(0, names, nids.map((child) => statOf(fs.attributes(child)))); // prettier-ignore
      }),
    readlink: (path, answer) =>
      on("READLINK", path, answer, (nid) => answer(0, Buffer.from(fs.target(nid)).toString())),
    open: (path, _flags, answer) =>
      on("OPEN", path, answer, (nid) => {
        if ((fs.attributes(nid).mode & S_IFMT) === S_IFDIR) answer(-EISDIR);
        else {
          fs.prepare(nid);
          answer(0, 0);
        }
      }),
    read: (path, _handle, out, length, offset, answer) =>
      on("READ", path, answer, (nid) => {
        const bytes = fs.read(nid, offset, length, out, 0);
        counters.gave(bytes);
        answer(bytes);
      }),
    release: (_path, _handle, answer) => answer(0),
    statfs: (_path, answer) => {
      const { blocks, files } = fs.size();
      answer(0, {
        bsize: BLOCK_SIZE,
        frsize: BLOCK_SIZE,
        blocks,
        files,
        namemax: limits.nameBytes,
      });
    },
    getxattr: (path, name, _position, answer) =>
      on("GETXATTR", path, answer, (nid) => {
        const value = fs.xattrs(nid).get(fromText(name));
        if (value === undefined) answer(-ENODATA);
        else answer(0, new Value(toBytes(value)));
      }),
    listxattr: (path, answer) =>
      on("LISTXATTR", path, answer, (nid) => {
        const names = [...fs.xattrs(nid).keys()];
        answer(
          0,
          names.map((name) => Buffer.from(toBytes(name satisfies ByteString)).toString()),
        );
      }),
  };
}

/** An xattr's value; where there is too little room for it, its length is an error number. */
class Value implements XattrValue {
  readonly #bytes: Uint8Array;
  length: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  /** Only here fuse-native tells how much room there is; none means that the size is asked for. */
  copy(room: Uint8Array): void {
    if (room.length === 0) return;
    if (room.length < this.#bytes.length) this.length = -ERANGE;
    else room.set(this.#bytes);
  }
}

/** Why there is nothing at a path: a name may be longer than any can be. */
function absent(path: string): number {
  const isTooLong = path.split("/").some((name) => Buffer.byteLength(name) > limits.nameBytes);
  return isTooLong ? ENAMETOOLONG : ENOENT;
}

function statOf(inode: Attributes): FuseStat {
  const seconds = (inode.mtimeHigh | 0) * 0x1_0000_0000 + inode.mtimeLow;
  // fuse-native counts unsigned milliseconds.
  const time = Math.max(0, seconds * 1000 + Math.floor(inode.mtimeNanoseconds / 1_000_000));
  return {
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    size: inode.size,
    ino: inode.nid,
    blksize: BLOCK_SIZE,
    blocks: Math.ceil(inode.size / 512),
    atime: time,
    mtime: time,
    ctime: time,
  };
}
