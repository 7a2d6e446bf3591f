/** Mounts that fetch what no store has, while it is read. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, copyFileSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { probe } from "../../src/mount/probe/probe.ts";
import { Store } from "../../src/store/store.ts";
import { type Inode, newDirectory } from "../../src/tree/inode.ts";
import { ascii } from "../../src/bytes/bytestring.ts";
import { objectPath } from "../../src/verity/index.ts";
import { noKernelStack } from "../support/kernel.ts";
import { leavesOf } from "../support/leaves.ts";
import { MountBed, isMounted, noise, noLibfuse, noMount } from "../support/mount-bed.ts";
import { statusOf } from "../support/status.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;

function noPassthrough(): string | undefined {
  const { passthroughBelow } = probe(tmpdir());
  return passthroughBelow.ok ? undefined : passthroughBelow.reason;
}

describe.each([
  { mode: "fuse over /dev/fuse", options: ["--mode=fuse"], reason: noMount() },
  { mode: "hybrid", options: ["--mode=hybrid"], reason: noKernelStack() },
  { mode: "fuse over libfuse", options: ["--transport=libfuse"], reason: noLibfuse() },
  { mode: "fuse, passthrough", options: ["--mode=fuse", "--passthrough", "--require=open"], reason: noMount() ?? noPassthrough() }, // prettier-ignore
  { mode: "hybrid, passthrough", options: ["--mode=hybrid", "--passthrough", "--require=open"], reason: noKernelStack() ?? noPassthrough() }, // prettier-ignore
])("$mode", ({ options, reason }) => {
  const skip = reason !== undefined;
  const isBacked = options.includes("--passthrough");
  const files = new Map<string, { bytes: Buffer; inode: Inode }>();
  let bed: MountBed;
  let mirror: string;

  beforeAll(() => {
    if (skip) return;
    bed = new MountBed();
    const root = newDirectory(0o755);
    const add = (name: string, size: number) => {
      const bytes = noise(size, files.size + 1);
      const inode = bed.file(bytes);
      files.set(name, { bytes, inode });
      root.entries.set(ascii(name), inode);
    };
    for (let i = 0; i < 40; i++) add(`small${i}`, 100 + i * 5000);
    for (const name of ["large", "larger", "other", "whole", "lied"]) add(name, 3 * MIB + 12_345);
    bed.addTree("app", root);
    // What the bed made becomes the mirror; its store keeps the image alone.
    mirror = join(bed.path, "mirror");
    cpSync(bed.store.path, mirror, { recursive: true, verbatimSymlinks: true });
    for (const { inode } of files.values()) rmSync(bed.objectOf(inode));
    for (const name of ["large", "larger", "other", "lied"])
      keepLeaves(mirror, files.get(name)!.bytes);
  });
  afterAll(() => bed?.close());

  const object = (store: string, name: string) =>
    join(store, "objects", objectPath(files.get(name)!.inode.digest!));

  function keepLeaves(store: string, bytes: Buffer): void {
    const { digest, leaves } = leavesOf(bytes);
    Store.open(store).writeLeaves(digest, leaves);
  }

  function forget(...names: string[]): void {
    for (const name of names) rmSync(bed.objectOf(files.get(name)!.inode), { force: true });
    for (const each of ["verity", "tmp"]) {
      rmSync(join(bed.store.path, each), { recursive: true, force: true });
      mkdirSync(join(bed.store.path, each));
    }
  }

  /** Mounts, and unmounts whatever happens. */
  async function mounted(
    more: string[],
    use: (mnt: string) => Promise<void> | void,
  ): Promise<void> {
    const mnt = bed.mount("app", [...options, "--mirrors", "none", ...more]);
    try {
      await use(mnt);
    } finally {
      bed.unmount(mnt);
    }
  }

  /** What is staged now; parts of objects stay for the next mount. */
  const staged = () =>
    readdirSync(join(bed.store.path, "tmp")).filter((name) => !name.startsWith("partial-"));
  const has = (name: string) => existsSync(bed.objectOf(files.get(name)!.inode));
  const cat = (mnt: string, name: string) =>
    spawnSync("cat", [join(mnt, name)], { maxBuffer: 1 << 26 });

  test.skipIf(skip)(
    `what no store has comes from the mirror, and is kept${skip ? `: ${reason}` : ""}`,
    async () => {
      forget(...files.keys());
      await mounted(["--mirror", mirror], async (mnt) => {
        for (const [name, { bytes }] of files) {
          expect(readFileSync(join(mnt, name)).equals(bytes), name).toBe(true);
        }
      });
      await until(() => staged().length === 0);
      for (const name of files.keys())
        Store.open(bed.store.path).objects.verify(files.get(name)!.inode.digest!);
      // Without a mirror now.
      await mounted([], (mnt) => {
        for (const [name, { bytes }] of files)
          expect(readFileSync(join(mnt, name)).equals(bytes)).toBe(true);
      });
    },
  );

  test.skipIf(skip || !isBacked)(
    "a large file is fetched whole when it is opened, because the kernel reads the rest by itself",
    async () => {
      forget("larger");
      await mounted(["--mirror", mirror], async (mnt) => {
        const fd = openSync(join(mnt, "larger"), "r");
        const bytes = Buffer.alloc(4096);
        readSync(fd, bytes, 0, 4096, 2 * MIB);
        expect(bytes.equals(files.get("larger")!.bytes.subarray(2 * MIB, 2 * MIB + 4096))).toBe(true); // prettier-ignore
        const status = await statusOf(mnt);
        expect(status.promise).toBe("open");
        expect(status.counters?.requests["READ"]).toBeUndefined();
        closeSync(fd);
      });
      Store.open(bed.store.path).objects.verify(files.get("larger")!.inode.digest!);
    },
  );

  test.skipIf(skip || isBacked)("of a large file only what is read is fetched", async () => {
    forget("larger");
    await mounted(["--mirror", mirror], async (mnt) => {
      const fd = openSync(join(mnt, "larger"), "r");
      const bytes = Buffer.alloc(4096);
      readSync(fd, bytes, 0, 4096, 2 * MIB);
      closeSync(fd);
      expect(bytes.equals(files.get("larger")!.bytes.subarray(2 * MIB, 2 * MIB + 4096))).toBe(true);
      const [directory] = staged();
      const part = spawnSync("stat", [
        "-c",
        "%b",
        join(bed.store.path, "tmp", directory!, files.get("larger")!.inode.digest!),
      ]);
      expect(Number(part.stdout) * 512).toBeLessThan(MIB);
    });
    expect(has("larger")).toBe(false);
  });

  test.skipIf(skip)(
    "a file that nobody has is an error for its reader, and can be read once somebody has it",
    async () => {
      forget("small7");
      const path = object(mirror, "small7");
      renameSync(path, `${path}.away`);
      bed.clearLog();
      try {
        await mounted(["--mirror", mirror], async (mnt) => {
          expect(cat(mnt, "small7").status).toBe(1);
          expect(cat(mnt, "small8").stdout.equals(files.get("small8")!.bytes)).toBe(true);
          await until(() => bed.readLog().some((line) => /small7.*in none of/.test(line)));
          renameSync(`${path}.away`, path);
          expect(cat(mnt, "small7").stdout.equals(files.get("small7")!.bytes)).toBe(true);
        });
      } finally {
        if (existsSync(`${path}.away`)) renameSync(`${path}.away`, path);
      }
    },
  );

  test.skipIf(skip)("a mirror that lies is asked, found out and passed over", async () => {
    forget("lied", "small9");
    const liar = join(bed.path, "liar");
    for (const name of ["lied", "small9"]) {
      const path = object(liar, name);
      mkdirSync(join(path, ".."), { recursive: true });
      copyFileSync(object(mirror, name), path);
      chmodSync(path, 0o644);
      const wrong = readFileSync(path);
      wrong[wrong.length - 1]! ^= 1;
      writeFileSync(path, wrong);
    }
    await mounted(["--mirror", liar, "--mirror", mirror], async (mnt) => {
      for (const name of ["lied", "small9"]) {
        expect(cat(mnt, name).stdout.equals(files.get(name)!.bytes), name).toBe(true);
      }
    });
    forget("lied", "small9");
    await mounted(["--mirror", liar], async (mnt) => {
      expect(cat(mnt, "small9").stdout.length).toBe(0);
      expect(cat(mnt, "lied").status).toBe(1);
    });
    rmSync(liar, { recursive: true });
  });

  test.skipIf(skip)(
    "an object that is damaged in the store is replaced by a good one",
    async () => {
      forget("small11");
      const { inode, bytes } = files.get("small11")!;
      writeFileSync(bed.objectOf(inode), Buffer.alloc(bytes.length, 1));
      await mounted(["--mirror", mirror], (mnt) => {
        expect(cat(mnt, "small11").stdout.equals(bytes)).toBe(true);
      });
      expect(readFileSync(bed.objectOf(inode)).equals(bytes)).toBe(true);
    },
  );

  test.skipIf(skip)(
    "many readers at once read right, and do not hinder who needs no mirror",
    async () => {
      const names = [...files.keys()];
      forget(...names);
      await mounted(["--mirror", mirror], async (mnt) => {
        const script = `
import hashlib, sys
for name in sys.argv[2:]:
    print(name, hashlib.sha256(open(sys.argv[1] + "/" + name, "rb").read()).hexdigest())
`;
        const outputs = await Promise.all(
          Array.from({ length: 6 }, async (_, i) => {
            const order = i % 2 === 0 ? names : names.toReversed();
            const child = spawn("python3", ["-c", script, mnt, ...order]);
            let text = "";
            child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
            await once(child, "close");
            return text.trim().split("\n").sort().join("\n");
          }),
        );
        expect(new Set(outputs).size).toBe(1);
        expect(outputs[0]!.split("\n").length).toBe(names.length);
      });
    },
  );

  test.skipIf(skip)(
    "with --background everything comes, and then no mirror is needed",
    async () => {
      forget(...files.keys());
      await mounted(["--mirror", mirror, "--background"], async (mnt) => {
        await until(() => [...files.keys()].every(has));
        renameSync(mirror, `${mirror}.away`);
        try {
          for (const [name, { bytes }] of files)
            expect(readFileSync(join(mnt, name)).equals(bytes)).toBe(true);
        } finally {
          renameSync(`${mirror}.away`, mirror);
        }
      });
    },
  );

  test.skipIf(skip)(
    "a server that is killed leaves nothing that is wrong, and the next mount goes on",
    async () => {
      forget(...files.keys());
      const { child, directory } = await bed.hold("app", bed.directory(), [
        ...options,
        "--mirror",
        mirror,
      ]);
      for (let i = 0; i < 20; i++) readFileSync(join(directory, `small${i}`));
      readFileSync(join(directory, "large"));
      child.kill("SIGKILL");
      await until(() => !isMounted(directory));
      await mounted(["--mirror", mirror], (mnt) => {
        for (const [name, { bytes }] of files)
          expect(readFileSync(join(mnt, name)).equals(bytes)).toBe(true);
      });
      await until(() => staged().length === 0);
    },
  );
});

test.skipIf(noKernelStack() !== undefined)(
  "the kernel's mode is refused while objects are missing",
  () => {
    const bed = new MountBed();
    try {
      const root = newDirectory(0o755);
      const inode = bed.file(noise(5000, 1));
      root.entries.set(ascii("f"), inode);
      bed.addTree("app", root);
      const mirror = join(bed.path, "mirror");
      cpSync(bed.store.path, mirror, { recursive: true, verbatimSymlinks: true });
      rmSync(bed.objectOf(inode));
      const args = ["--mode=kernel", "--require=metadata", "--mirror", mirror];
      expect(() => bed.mount("app", args)).toThrow(/1 object is in no store/);
    } finally {
      bed.close();
    }
  },
);
