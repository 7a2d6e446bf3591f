/** The FUSE session: whatever the request, there is an answer, and the right one. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { SystemError } from "../../../src/errors.ts";
import { type InitOptions, answerInit, refuseInit } from "../../../src/fuse/init.ts";
import { imageOperations } from "../../../src/fuse/image-operations.ts";
import { pathOf } from "../../../src/fuse/path-finder.ts";
import { warmUp } from "../../../src/fuse/warm-up.ts";
import {
  InHeader,
  InitFlag,
  InitFlag2,
  InitIn,
  InitOut,
  Opcode,
  OutHeader,
} from "../../../src/fuse/wire.ts";
import { Errno, FuseClient, ROOT, readIn } from "../../support/fuse-client.ts";
import { goldenImage } from "../../support/golden-images.ts";

const EIO = 5;
const none = new Uint8Array(0);
const rootfs = () => new FuseClient(goldenImage("mini-rootfs.v1").bytes);

describe("every request gets an answer", () => {
  test("an operation that nobody knows gets ENOSYS", () => {
    for (const opcode of [0, 7, 19, 37, 46, 52, 1000, 0xffffffff]) {
      expect(() => rootfs().send(opcode, ROOT, none)).toThrow(new Errno(38));
    }
  });

  test("a request that is too short gets EINVAL", () => {
    const client = rootfs();
    for (const [opcode, { requestBytes }] of imageOperations) {
      if (requestBytes === 0) continue;
      expect(() => client.send(opcode, ROOT, none)).toThrow(new Errno(22));
    }
  });

  test("only reading is announced to the other threads: names and attributes take no time", () => {
    const client = new FuseClient(goldenImage("inline-100.v1").bytes);
    let announced = 0;
    client.session.call.beforeSlow = () => (announced += 1);
    const file = client.list(ROOT, 4096, true).find(({ type }) => type === 8)!;
    client.lookup(ROOT, file.name);
    client.getattr(file.ino);
    client.xattrs(file.ino);
    client.statfs();
    expect(announced).toBe(0);
    client.send(Opcode.READ, file.ino, readIn(0, 10));
    expect(announced).toBe(1);
  });

  test("a handler that throws gives EIO and one problem for the log", () => {
    const client = rootfs();
    const { session, problems } = client;
    Object.defineProperty(client.fs, "attributes", {
      value: () => {
        throw new Error("a defect");
      },
    });
    expect(() => client.getattr(ROOT)).toThrow(new Errno(EIO));
    expect(problems).toEqual([{ operation: "GETATTR", nodeid: ROOT, message: "a defect" }]);
    expect(session.answer(InHeader.size)).toBeGreaterThan(0);
  });

  test("a node that is not in the image gives EIO, not a crash", () => {
    const client = rootfs();
    for (const nodeid of [2 ** 25, 2 ** 40]) {
      expect(() => client.getattr(nodeid)).toThrow(new Errno(EIO));
      expect(() => client.list(nodeid)).toThrow(new Errno(EIO));
      expect(() => client.lookup(nodeid, ascii("x"))).toThrow(new Errno(EIO));
      expect(() => client.read(nodeid, 0, 4096)).toThrow(new Errno(EIO));
    }
  });

  test("any bytes get an answer with the request's number, or none for the two that want none", () => {
    const client = rootfs();
    const silent: number[] = [Opcode.FORGET, Opcode.BATCH_FORGET];
    fc.assert(
      fc.property(
        // RELEASE closes the descriptor that it names: only the kernel may be trusted with that.
        fc.integer({ min: 0, max: 60 }).filter((opcode) => opcode !== Opcode.RELEASE),
        fc.nat(2000),
        fc.uint8Array({ maxLength: 100 }),
        (opcode, nodeid, body) => {
          try {
            const answer = client.send(opcode, nodeid, body);
            expect(answer === undefined).toBe(silent.includes(opcode));
          } catch (error) {
            expect(error).toBeInstanceOf(Errno);
          }
        },
      ),
      { numRuns: process.env["SLOW"] === "1" ? 100_000 : 2000 },
    );
  });

  test("forgetting is not answered", () => {
    expect(rootfs().send(Opcode.FORGET, ROOT, new Uint8Array(8))).toBeUndefined();
    expect(rootfs().send(Opcode.BATCH_FORGET, 0, new Uint8Array(8))).toBeUndefined();
  });

  test("whatever would change something gets EROFS", () => {
    const client = rootfs();
    const changing = ["SETATTR", "SYMLINK", "MKNOD", "MKDIR", "UNLINK", "RMDIR", "RENAME", "LINK"];
    changing.push("WRITE", "SETXATTR", "REMOVEXATTR", "CREATE", "FALLOCATE", "RENAME2", "TMPFILE");
    for (const [opcode, { name }] of imageOperations) {
      if (!changing.includes(name)) continue;
      changing.splice(changing.indexOf(name), 1);
      expect(() => client.send(opcode, ROOT, new Uint8Array(64))).toThrow(new Errno(30));
    }
    expect(changing).toEqual([]);
  });
});

describe("INIT", () => {
  const request = (major: number, minor: number, flags: number, maxReadahead = 131072) => {
    const bytes = new Uint8Array(InHeader.size + InitIn.size + 48);
    InHeader.encodeInto(bytes, 0, {
      len: bytes.length,
      opcode: Opcode.INIT,
      unique: 2n,
      nodeid: 0n,
      uid: 0,
      gid: 0,
      pid: 0,
      totalExtlen: 0,
      padding: 0,
    });
    InitIn.encodeInto(bytes, InHeader.size, { major, minor, maxReadahead, flags });
    return bytes;
  };
  const everything = 0x7fffffff;

  test("asks for passthrough and mapped owners only when wanted, and only where they are offered", () => {
    const offer = (flags2: number) => {
      const bytes = request(7, 45, everything);
      new DataView(bytes.buffer).setUint32(InHeader.size + InitIn.size, flags2, true);
      return bytes;
    };
    const { PASSTHROUGH, ALLOW_IDMAP } = InitFlag2;
    const answer = (flags2: number, options: Partial<InitOptions>) => {
      const { reply } = answerInit(offer(flags2), { acls: false, ...options });
      const { flags, flags2: got, maxStackDepth } = InitOut.decode(reply, OutHeader.size);
      return [(flags & InitFlag.INIT_EXT) !== 0, got, maxStackDepth];
    };
    const all = PASSTHROUGH | ALLOW_IDMAP;
    expect(answer(all, {})).toEqual([false, 0, 0]);
    expect(answer(all, { passthrough: 2 })).toEqual([true, PASSTHROUGH, 2]);
    expect(answer(all, { idmapped: true })).toEqual([true, ALLOW_IDMAP, 0]);
    expect(answer(all, { passthrough: 1, idmapped: true })).toEqual([true, all, 1]);
    expect(() => answer(ALLOW_IDMAP, { passthrough: 1 })).toThrow(/FUSE passthrough: the kernel/);
    expect(() => answer(PASSTHROUGH, { idmapped: true })).toThrow(/owners shown as other users/);
    // A kernel from before the second word of flags: what stands in its place means nothing.
    const old = offer(all);
    new DataView(old.buffer).setUint32(InHeader.size + InitIn.offsets.flags, 1, true);
    expect(() => answerInit(old, { acls: false, passthrough: 1 })).toThrow(SystemError);
  });

  test("accepts what the kernel offers and the server can do, and nothing else", () => {
    const { reply, again } = answerInit(request(7, 45, everything), { acls: true });
    const header = OutHeader.decode(reply);
    expect(header).toEqual({ len: reply.length, error: 0, unique: 2n });
    const out = InitOut.decode(reply, OutHeader.size);
    expect(again).toBe(false);
    expect(out).toMatchObject({ major: 7, maxReadahead: 131072, timeGran: 1 });
    const { DO_READDIRPLUS, PARALLEL_DIROPS, POSIX_ACL, ASYNC_READ } = InitFlag;
    for (const flag of [DO_READDIRPLUS, PARALLEL_DIROPS, POSIX_ACL, ASYNC_READ]) {
      expect(out.flags & flag).toBe(flag);
    }
    const little = answerInit(request(7, 31, InitFlag.ASYNC_READ, 4096), { acls: true });
    const modest = InitOut.decode(little.reply, OutHeader.size);
    expect(modest).toMatchObject({ flags: InitFlag.ASYNC_READ, maxReadahead: 4096 });
  });

  test("has the kernel enforce ACLs only when the image has some", () => {
    const { reply } = answerInit(request(7, 45, everything), { acls: false });
    expect(InitOut.decode(reply, OutHeader.size).flags & InitFlag.POSIX_ACL).toBe(0);
  });

  test("refuses a kernel that is too old, and waits for one that is newer to ask again", () => {
    expect(() => answerInit(request(7, 30, 0), { acls: false })).toThrow(SystemError);
    expect(OutHeader.decode(refuseInit(request(7, 30, 0)))).toMatchObject({ error: -71 });
    expect(answerInit(request(8, 0, 0), { acls: false }).again).toBe(true);
  });
});

describe("extended attributes", () => {
  const client = new FuseClient(goldenImage("security-caps.v1").bytes);
  const file = client.list(ROOT).find(({ type }) => type === 8)!.ino;

  test("a value is only given to who has room for it", () => {
    const sorted = [...client.xattrs(file)].sort(([, a], [, b]) => b.length - a.length);
    const [name, value] = sorted[0]!;
    expect(value.length).toBeGreaterThan(1);
    expect(client.getxattr(file, name, value.length)).toBe(value);
    expect(() => client.getxattr(file, name, value.length - 1)).toThrow(new Errno(34));
    expect(() => client.getxattr(file, ascii("user.none"), 100)).toThrow(new Errno(61));
  });

  test("trusted attributes are listed for root only, overlayfs's own for nobody", () => {
    const escaped = new FuseClient(goldenImage("escape-overlay-ext.v1").bytes);
    const all = escaped.list(ROOT).filter(({ name }) => name !== "." && name !== "..");
    const seen = (uid: number) => all.flatMap(({ ino }) => [...escaped.xattrs(ino, uid).keys()]);
    expect(seen(0).some((name) => name.startsWith("trusted.overlay."))).toBe(true);
    expect(seen(1000).some((name) => name.startsWith("trusted."))).toBe(false);
    expect(() => escaped.getxattr(ROOT, ascii("trusted.overlay.opaque"))).toThrow(new Errno(61));
  });
});

test("statfs counts what there is, and has no room for more", () => {
  const client = rootfs();
  const { blocks, files, ...rest } = client.statfs();
  expect(rest).toMatchObject({ bfree: 0n, bavail: 0n, ffree: 0n, bsize: 4096, namelen: 255 });
  expect(Number(blocks)).toBeGreaterThanOrEqual(client.fs.image.bytes.length / 4096);
  // The 256 stubs of the root are no files.
  expect(Number(files)).toBeLessThanOrEqual(Number(client.fs.image.superblock.inos) - 256 + 1);
});

test("the kernel is told to open directories by itself; none is opened as a file", () => {
  const client = rootfs();
  expect(() => client.open(ROOT)).toThrow(new Errno(21));
  for (const opcode of [Opcode.OPENDIR, Opcode.FLUSH]) {
    expect(() => client.send(opcode, ROOT, none)).toThrow(new Errno(38));
  }
});

test("`.` and `..` lead where they should", () => {
  const client = rootfs();
  const child = client.list(ROOT).find(({ type, name }) => type === 4 && !name.startsWith("."))!;
  expect(client.lookup(child.ino, ascii("..")).nodeid).toBe(ROOT);
  expect(client.lookup(child.ino, ascii(".")).nodeid).toBe(child.ino);
  expect(pathOf(client.fs.image, child.ino)).toBe(`/${child.name}`);
  expect(pathOf(client.fs.image, ROOT)).toBe("/");
  expect(pathOf(client.fs.image, 3)).toBe("node 3");
});

test.each(["dir-5000.v1", "hardlink-100.v1", "empty-root.v0"])(
  "practice on %s opens nothing, fails nowhere, and ends",
  (name) => {
    const client = new FuseClient(goldenImage(name).bytes);
    warmUp(client.session, 200);
    expect(client.problems).toEqual([]);
    expect(client.getattr(ROOT).nlink).toBeGreaterThan(1);
  },
);

test("a read beyond the end gives nothing", () => {
  const client = new FuseClient(goldenImage("inline-100.v1").bytes);
  const file = client.list(ROOT).find(({ type }) => type === 8)!.ino;
  expect(client.read(file, 90, 4096).length).toBe(10);
  expect(client.read(file, 100, 4096).length).toBe(0);
  expect(client.read(file, 2 ** 40, 4096).length).toBe(0);
  expect(() => client.send(Opcode.READ, ROOT, readIn(0, 10))).toThrow(new Errno(EIO));
});
