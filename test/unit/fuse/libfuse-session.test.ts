/** The handlers that libfuse calls, without libfuse: whatever the request, there is one answer. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { Counters, counterMemory, readCounters } from "../../../src/fuse/counters.ts";
import { ImageFileSystem } from "../../../src/fuse/image-file-system.ts";
import type { FuseOperations } from "../../../src/fuse/libfuse/fuse-native.ts";
import { libfuseHandlers } from "../../../src/fuse/libfuse/libfuse-session.ts";
import { ObjectReader } from "../../../src/fuse/object-reader.ts";
import type { Problem } from "../../../src/fuse/session.ts";
import { SharedLeaves } from "../../../src/fuse/shared-leaves.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import { openPlaces } from "../../../src/fuse/store-place.ts";
import { SUPPLY_TRIES, type Supply } from "../../../src/fuse/supply.ts";
import { Store } from "../../../src/store/store.ts";
import { verityDigestOf } from "../../../src/verity/index.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { imageOf } from "../../support/small-image.ts";
import { contentOf, imageWith } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

const [EIO, ENOENT, EISDIR, ENAMETOOLONG, ENODATA, ERANGE] = [-5, -2, -21, -36, -61, -34];
const content = contentOf("object", 20_000);
const image = imageWith({ object: content });

let scratch: string;
let store: Store;
let problems: Problem[];
let memory: SharedArrayBuffer;
beforeEach(() => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
  problems = [];
  memory = counterMemory(1);
});

const arrive = (bytes = content) =>
  writeFileSync(store.objects.path(verityDigestOf(content)), bytes);

function handlers(bytes: Uint8Array, provide?: Supply["provide"]): FuseOperations {
  const counters = new Counters(memory);
  const reader = new ObjectReader(openPlaces([store.path]), SharedLeaves.create(8, 1 << 16));
  const fs = new ImageFileSystem(Image.open(bytes), reader);
  const supply = provide && { directory: HeldDirectory.open(scratch).share(), provide };
  return libfuseHandlers({ fs, counters, supply, onProblem: (each) => problems.push(each) });
}

/** Calls a handler; gives the only answer, as libfuse would get it. */
async function ask(
  fuse: FuseOperations,
  name: keyof FuseOperations,
  ...request: unknown[]
): Promise<any[]> {
  const answers: unknown[][] = [];
  await new Promise<void>((resolve) => {
    const answer = (...values: unknown[]) => {
      answers.push(values);
      resolve();
    };
    (fuse[name] as (...call: unknown[]) => void)(...request, answer);
  });
  await new Promise(setImmediate);
  expect(answers.length).toBe(1);
  return answers[0]!;
}
const read = (fuse: FuseOperations, out: Uint8Array, offset = 0) =>
  ask(fuse, "read", "/object", 0, out, out.length, offset);

describe("names and attributes", () => {
  const rootfs = () => handlers(goldenImage("mini-rootfs.v1").bytes);

  test("the root is a directory, whose names lead to what they are listed as", async () => {
    const fuse = rootfs();
    const [error, names, stats] = await ask(fuse, "readdir", "/");
    expect(error).toBe(0);
    expect(names.length).toBeGreaterThan(3);
    for (const [i, name] of (names as string[]).entries()) {
      if (name === "." || name === "..") continue;
      expect(await ask(fuse, "getattr", `/${name}`)).toEqual([0, stats[i]]);
    }
    const [, root] = await ask(fuse, "getattr", "/");
    expect(root.mode & 0o170000).toBe(0o040000);
  });

  test("a path that leads nowhere is ENOENT, and one with too long a name ENAMETOOLONG", async () => {
    const fuse = rootfs();
    expect(await ask(fuse, "getattr", "/none")).toEqual([ENOENT]);
    expect(await ask(fuse, "getattr", `/${"n".repeat(255)}`)).toEqual([ENOENT]);
    expect(await ask(fuse, "getattr", `/${"n".repeat(256)}`)).toEqual([ENAMETOOLONG]);
    expect(problems).toEqual([]);
  });

  test("every request about a path is counted with its name, and no other", async () => {
    const fuse = rootfs();
    await ask(fuse, "getattr", "/");
    await ask(fuse, "readdir", "/");
    await ask(fuse, "readlink", "/none");
    await ask(fuse, "open", "/", 0);
    await ask(fuse, "listxattr", "/");
    await ask(fuse, "getxattr", "/", "user.none", 0);
    await ask(fuse, "statfs", "/");
    await ask(fuse, "release", "/", 0);
    const { requests, latency } = readCounters(memory);
    const once = { GETATTR: 1, READDIR: 1, READLINK: 1, OPEN: 1, LISTXATTR: 1, GETXATTR: 1 };
    expect(requests).toEqual(once);
    expect(latency.metadata.buckets.at(-1)).toBe(6);
  });

  test("a directory cannot be opened as a file, and an xattr that is not set is ENODATA", async () => {
    const fuse = rootfs();
    expect(await ask(fuse, "open", "/", 0)).toEqual([EISDIR]);
    expect(await ask(fuse, "getxattr", "/", "user.none", 0)).toEqual([ENODATA]);
  });

  test("a file's xattrs are listed, and one is copied where there is room for it", async () => {
    const fuse = handlers(
      imageOf("/ 4096 40755 2 0 0 0 0.0 - - -", "/file 0 100644 1 0 0 0 0.0 - - - user.a=value"),
    );
    expect(await ask(fuse, "listxattr", "/file")).toEqual([0, ["user.a"]]);
    const [, value] = await ask(fuse, "getxattr", "/file", "user.a", 0);
    const room = new Uint8Array(5);
    value.copy(new Uint8Array(0)); // the size is asked for
    expect(value.length).toBe(5);
    value.copy(room);
    expect(Buffer.from(room).toString()).toBe("value");
    value.copy(new Uint8Array(4));
    expect(value.length).toBe(ERANGE);
  });
});

describe("content", () => {
  test("is read up to its end, and counted", async () => {
    arrive();
    const fuse = handlers(image);
    expect(await ask(fuse, "open", "/object", 0)).toEqual([0, 0]);
    const out = Buffer.alloc(8192);
    expect(await read(fuse, out, 16_384)).toEqual([20_000 - 16_384]);
    expect(out.subarray(0, 20_000 - 16_384).equals(content.subarray(16_384))).toBe(true);
    expect(await read(fuse, out, 20_000)).toEqual([0]);
    expect(readCounters(memory)).toMatchObject({
      readBytes: 20_000 - 16_384,
      requests: { OPEN: 1, READ: 2 },
    });
  });

  test("that is missing or bad is EIO, with one problem for the log", async () => {
    const fuse = handlers(image);
    expect(await read(fuse, Buffer.alloc(4096))).toEqual([EIO]);
    arrive(Buffer.alloc(20_000, "evil"));
    expect(await read(fuse, Buffer.alloc(4096))).toEqual([EIO]);
    expect(problems.map(({ operation }) => operation)).toEqual(["READ", "READ"]);
    expect(problems.every(({ nodeid }) => nodeid > 0)).toBe(true);
    const { failures, requests } = readCounters(memory);
    expect([failures.missing, failures.content, requests["READ"]]).toEqual([1, 1, 2]);
  });

  test("that has to be fetched is answered when it has come", async () => {
    let asked = 0;
    const fuse = handlers(image, async () => {
      asked += 1;
      arrive();
    });
    const out = Buffer.alloc(4096);
    expect(await read(fuse, out)).toEqual([4096]);
    expect(out.equals(content.subarray(0, 4096))).toBe(true);
    expect([asked, problems.length, readCounters(memory).requests["READ"]]).toEqual([1, 0, 1]);
  });

  test("that does not come, or never readable, is EIO in the end", async () => {
    const refused = handlers(image, () => Promise.reject(new Error("no source has it")));
    expect(await read(refused, Buffer.alloc(4096))).toEqual([EIO]);
    expect(problems).toMatchObject([{ operation: "READ", message: "no source has it" }]);
    expect(readCounters(memory).failures.fetch).toBe(1);
    let asked = 0;
    const inVain = handlers(image, async () => void (asked += 1));
    expect(await read(inVain, Buffer.alloc(4096))).toEqual([EIO]);
    expect(asked).toBe(SUPPLY_TRIES);
    expect(readCounters(memory).failures.missing).toBe(1);
  });
});
