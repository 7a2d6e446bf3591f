/** Lazy mounts over a network that fails and lies: right bytes, or an error in time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { type Server, createServer } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { Store } from "../../src/store/store.ts";
import { type Inode, newDirectory } from "../../src/tree/inode.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, isMounted, noise, noMount } from "../support/mount-bed.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { bin } from "../support/run.ts";
import { leavesOf } from "../support/leaves.ts";

const MIB = 1024 * 1024;
const BLOCK = 4096;
/** No reader's wait ends by itself within a test. */
const PATIENT_S = 600;
/** What is right may take longer than this on a busy machine, and is an error then. */
const IMPATIENT_S = 2;

/** A web server over a store that can be taken away, and made to lie. */
class Mirror {
  spoil: ((bytes: Buffer) => Buffer) | undefined;
  hang = false;
  bytes = 0;
  /** Requests that were taken. */
  asked = 0;
  #server: Server | undefined;
  readonly #root: string;
  readonly #port: number;

  constructor(root: string, port: number) {
    this.#root = root;
    this.#port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.asked += 1;
      if (this.hang) return;
      let bytes: Buffer;
      try {
        bytes = readFileSync(join(this.#root, request.url!));
      } catch {
        response.writeHead(404).end();
        return;
      }
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
      const part = range === null ? bytes : bytes.subarray(Number(range[1]), Number(range[2]) + 1);
      const sent = this.spoil?.(Buffer.from(part)) ?? part;
      this.bytes += sent.length;
      if (range === null) response.writeHead(200, { "Content-Length": sent.length });
      else {
        const where = `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${bytes.length}`;
        response.writeHead(206, { "Content-Length": sent.length, "Content-Range": where });
      }
      response.end(sent);
    });
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

/** Reads in another process: what the mount's server waits for, this process has to answer. */
async function read(path: string, offset = 0, length = -1): Promise<Buffer | "error"> {
  const script =
    "import sys; f = open(sys.argv[1], 'rb'); f.seek(int(sys.argv[2])); sys.stdout.buffer.write(f.read(int(sys.argv[3])))";
  const child = spawn("python3", ["-c", script, path, String(offset), String(length)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const parts: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => parts.push(chunk));
  const [status] = (await once(child, "close")) as [number | null];
  return status === 0 ? Buffer.concat(parts) : "error";
}

describe.each([
  { mode: "fuse", options: ["--mode=fuse"], reason: noMount() },
  { mode: "hybrid", options: ["--mode=hybrid"], reason: noKernelStack() },
])("$mode", ({ options, reason }) => {
  const skip = reason !== undefined;
  const files = new Map<string, { bytes: Buffer; inode: Inode }>();
  let bed: MountBed;
  let mirror: Mirror;
  let mnt: string;

  beforeAll(async () => {
    if (skip) return;
    bed = new MountBed();
    const root = newDirectory(0o755);
    const add = (name: string, size: number) => {
      const bytes = noise(size, files.size + 1);
      const inode = bed.file(bytes);
      files.set(name, { bytes, inode });
      root.entries.set(ascii(name), inode);
    };
    for (let i = 0; i < 12; i++) add(`small${i}`, 200 + i * 9000);
    for (const name of ["large", "other"]) add(name, 6 * MIB + 777);
    bed.addTree("app", root);
    const place = join(bed.path, "mirror");
    cpSync(bed.store.path, place, { recursive: true, verbatimSymlinks: true });
    for (const name of ["large", "other"]) {
      const { digest, leaves } = leavesOf(files.get(name)!.bytes);
      Store.open(place).writeLeaves(digest, leaves);
    }
    mirror = new Mirror(place, await freePort());
  });
  afterAll(() => bed?.close());

  beforeEach(async () => {
    if (skip) return;
    for (const { inode } of files.values()) rmSync(bed.objectOf(inode), { force: true });
    for (const each of ["verity", "tmp"]) {
      rmSync(join(bed.store.path, each), { recursive: true, force: true });
      mkdirSync(join(bed.store.path, each));
    }
    Object.assign(mirror, { spoil: undefined, hang: false, bytes: 0, asked: 0 });
    bed.clearLog();
    await mirror.start();
  });
  afterEach(async () => {
    if (skip) return;
    if (isMounted(mnt)) bed.unmount(mnt);
    await mirror.stop();
  });

  /** Mounts; a reader waits for a number of seconds at most. */
  const mount = (seconds: number) => {
    mnt = bed.mount("app", [...options, "--mirror", mirror.url, "--deadline", String(seconds)]);
  };
  const of = (name: string) => files.get(name)!.bytes;
  const isRight = async (name: string) => {
    const got = await read(join(mnt, name));
    return got !== "error" && got.equals(of(name));
  };

  test.skipIf(skip)(
    `one block of a large file costs little${skip ? `: ${reason}` : ""}`,
    async () => {
      mount(PATIENT_S);
      const got = await read(join(mnt, "large"), 3 * MIB, BLOCK);
      expect(got !== "error" && got.equals(of("large").subarray(3 * MIB, 3 * MIB + BLOCK))).toBe(
        true,
      );
      expect(mirror.bytes).toBeLessThan(MIB);
    },
  );

  test.skipIf(skip)(
    "while its mirror is away, what has been read can be read, and the rest waits until it is back",
    async () => {
      mount(PATIENT_S);
      expect(await isRight("small1")).toBe(true);
      expect(await read(join(mnt, "large"), 0, MIB)).toEqual(of("large").subarray(0, MIB));
      await mirror.stop();
      expect(await isRight("small1")).toBe(true);
      expect(await read(join(mnt, "large"), 0, MIB)).toEqual(of("large").subarray(0, MIB));
      const waiting = ["small2", "small3", "other", "large"].map((name) => isRight(name));
      expect(await isRight("small1")).toBe(true);
      await mirror.start();
      expect(await Promise.all(waiting)).toEqual([true, true, true, true]);
    },
  );

  test.skipIf(skip)(
    "without its mirror, the rest is an error in time, with the reason",
    async () => {
      await mirror.stop();
      mount(IMPATIENT_S);
      for (const name of ["small2", "other"]) expect(await read(join(mnt, name))).toBe("error");
      await until(() => expect(bed.readLog().join("\n")).toMatch(/small2.*nothing answers there/));
      await mirror.start();
      await until(() => isRight("small2"));
    },
  );

  test.skipIf(skip)(
    "a mount is made before its network is there, and fetches everything then",
    async () => {
      await mirror.stop();
      mnt = bed.mount("app", [
        ...options,
        "--mirror",
        mirror.url,
        "--deadline",
        "600",
        "--background",
      ]);
      const waiting = isRight("small4");
      await mirror.start();
      expect(await waiting).toBe(true);
      await until(() => [...files.values()].every(({ inode }) => existsSync(bed.objectOf(inode))));
    },
  );

  test.skipIf(skip)(
    "a mirror that takes requests and never answers costs a reader no more than the deadline, and others nothing",
    async () => {
      mount(IMPATIENT_S);
      await until(() => isRight("small1"));
      mirror.hang = true;
      const waiting = read(join(mnt, "small4"));
      expect(await isRight("small1")).toBe(true);
      expect(await waiting).toBe("error");
      await until(() =>
        expect(bed.readLog().join("\n")).toMatch(/small4.* not (there|done) after/),
      );
      mirror.hang = false;
      await until(() => isRight("small4"));
    },
  );

  test.skipIf(skip)("a reader that is killed while it waits is gone at once", async () => {
    mount(PATIENT_S);
    mirror.hang = true;
    const child = spawn("cat", [join(mnt, "small5")], { stdio: "ignore" });
    const closed = once(child, "close");
    await until(() => mirror.asked > 0);
    child.kill("SIGKILL");
    expect(await closed).toEqual([null, "SIGKILL"]);
    // Nobody had given the mirror up yet, and asked again.
    expect(mirror.asked).toBe(1);
  });

  test.skipIf(skip)(
    "garbage while it is read gives errors or right bytes, nothing else",
    async () => {
      const spoils: ((bytes: Buffer) => Buffer)[] = [
        (bytes) => Buffer.alloc(bytes.length, 0xaa),
        (bytes) => bytes.fill(bytes[0]! ^ 1, 0, 1),
        (bytes) => bytes.subarray(0, bytes.length >> 1),
        (bytes) => Buffer.concat([bytes, bytes]),
        () => Buffer.alloc(0),
      ];
      mount(PATIENT_S);
      let right = 0;
      for (const [i, spoil] of [...spoils, undefined].entries()) {
        mirror.spoil = spoil;
        for (const name of [`small${i}`, `small${i + 6}`]) {
          const got = await read(join(mnt, name));
          if (got !== "error") expect(got.equals(of(name))).toBe(true);
        }
        const at = i * MIB;
        const got = await read(join(mnt, "other"), at, 64 * 1024);
        if (got === "error") continue;
        expect(got.equals(of("other").subarray(at, at + 64 * 1024))).toBe(true);
        right += 1;
      }
      expect(right).toBeLessThan(spoils.length);
      mirror.spoil = undefined;
      await until(async () => (await isRight("other")) && (await isRight("small0")));
    },
  );

  test.skipIf(skip)("unmounting does not wait for a mirror that hangs", async () => {
    mount(PATIENT_S);
    mirror.hang = true;
    const waiting = read(join(mnt, "small6"));
    await until(() => mirror.asked > 0);
    const first = Promise.race([waiting, unmounted(mnt)]);
    expect(await first).toBe("unmounted");
    // The reader that was there gets what it waits for.
    await mirror.stop();
    mirror.hang = false;
    await mirror.start();
    expect(await waiting).toEqual(of("small6"));
  });
});

/** Unmounts lazily, while this process goes on serving. */
async function unmounted(target: string): Promise<"unmounted"> {
  const umount = spawn(process.execPath, [bin, "umount", "--lazy", target], { stdio: "inherit" });
  expect(await once(umount, "exit")).toEqual([0, null]);
  return "unmounted";
}
