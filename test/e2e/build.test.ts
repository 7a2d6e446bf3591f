/**
 * Building, end to end: the store serves composefs's own tools, memory does not grow with layers,
 * and the command says what it has done.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { type Pack, pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { bin, sealfs, sealfsOk } from "../support/run.ts";
import { TestLayout, tar } from "../support/oci.ts";
import { oracle } from "../support/oracle.ts";
import { scratchFolder } from "../support/scratch.ts";

const mountComposefs = oracle("mount.composefs");
const composefsInfo = oracle("composefs-info");
const mkcomposefs = oracle("mkcomposefs");
const isRoot = process.getuid?.() === 0;

/** Whether this machine can mount an image at all, by an image of mkcomposefs. */
function canMount(): boolean {
  if (!isRoot || mountComposefs === undefined || mkcomposefs === undefined) return false;
  const folder = scratchFolder();
  for (const name of ["root", "mnt", "objects"]) mkdirSync(join(folder, name));
  execFileSync(mkcomposefs, [join(folder, "root"), join(folder, "image")]);
  const options = `basedir=${join(folder, "objects")}`;
  const mnt = join(folder, "mnt");
  const mounted = spawnSync(mountComposefs, ["-o", options, join(folder, "image"), mnt]);
  if (mounted.status !== 0) return false;
  execFileSync("umount", [mnt]);
  return true;
}

const medium = Buffer.from("medium content ".repeat(1000));
const large = Buffer.alloc(3_000_000, "large content, cut by chunks");

const layers = async () => [
  await tar([
    { name: "etc/", type: "directory", mode: 0o755 },
    { name: "etc/small", content: "small" },
    { name: "etc/medium", content: medium, mode: 0o640, uid: 12, gid: 34 },
    { name: "etc/gone", content: medium },
  ]),
  await tar([
    { name: "etc/.wh.gone", content: "" },
    { name: "etc/large", content: large },
    { name: "etc/link", type: "symlink", linkname: "large" },
  ]),
];
const layoutOf = async () => {
  const layout = new TestLayout();
  return layout.index([layout.image(await layers())]);
};

describe("the store of a build", () => {
  test("is mounted by mount.composefs with its objects as basedir", async (context) => {
    if (!canMount())
      context.skip(
        "needs root, mkcomposefs, mount.composefs, and EROFS and overlayfs in the kernel",
      );
    const folder = scratchFolder();
    const store = join(folder, "store");
    const image = join(folder, "image");
    const mnt = join(folder, "mnt");
    mkdirSync(mnt);
    sealfsOk([
      "build",
      (await layoutOf()).directory(),
      "--store",
      store,
      "--name",
      "app",
      "-o",
      image,
    ]);
    const options = `basedir=${join(store, "objects")}`;
    execFileSync(mountComposefs!, ["-o", options, image, mnt]);
    try {
      expect(readdirSync(join(mnt, "etc")).sort()).toEqual(["large", "link", "medium", "small"]);
      expect(readFileSync(join(mnt, "etc/link")).equals(large)).toBe(true);
      expect(readFileSync(join(mnt, "etc/medium")).equals(medium)).toBe(true);
      expect(readFileSync(join(mnt, "etc/small"), "utf8")).toBe("small");
    } finally {
      execFileSync("umount", [mnt]);
    }
    // The name is a path to the image, too.
    execFileSync(mountComposefs!, ["-o", options, join(store, "images/refs/app"), mnt]);
    execFileSync("umount", [mnt]);
  });

  test("has every object that composefs-info finds in the image", async (context) => {
    if (composefsInfo === undefined) context.skip("needs composefs-info");
    const folder = scratchFolder();
    const [store, image] = [join(folder, "store"), join(folder, "image")];
    sealfsOk(["build", (await layoutOf()).directory(), "--store", store, "-o", image]);
    const run = (command: string) =>
      execFileSync(composefsInfo!, [command, `--basedir=${join(store, "objects")}`, image], {
        encoding: "utf8",
      });
    expect(run("missing-objects")).toBe("");
    expect(run("objects").trim().split("\n")).toHaveLength(2);
  });
});

describe("sealfs build", () => {
  test("prints the id, and as JSON everything about the image", async () => {
    const folder = scratchFolder();
    const source = (await layoutOf()).directory();
    const args = ["build", `oci:${source}`, "--store", join(folder, "store"), "--name", "app"];
    const { stdout, stderr } = sealfsOk(args);
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(stderr).toContain("2 objects");
    const document = JSON.parse(
      sealfsOk([...args, "--json", "--compare-profiles"]).stdout,
    ) as object;
    expect(document).toMatchObject({
      digest: stdout.trim(),
      name: "app",
      objects: { count: 2, new: 0 },
      profile: "oci-v1",
      layers: [expect.stringMatching(/^sha256:/), expect.stringMatching(/^sha256:/)],
      profiles: [{ profile: "oci-v1" }, { refused: expect.any(String) as string }],
    });
    expect(document).not.toHaveProperty("bytes");
  });

  test("reads an archive from standard input", async () => {
    const layout = await layoutOf();
    const store = join(scratchFolder(), "store");
    const fromFolder = sealfsOk(["build", layout.directory(), "--store", store]).stdout;
    const input = await layout.archiveBytes();
    expect(sealfsOk(["build", "-", "--store", store], { input }).stdout).toBe(fromFolder);
  });

  test.each([
    ["0", "1"],
    ["1", "0"],
  ])("writes format version %s when told, unlike %s", async (version, other) => {
    const store = join(scratchFolder(), "store");
    const source = (await layoutOf()).directory();
    const build = (each: string) =>
      sealfsOk(["build", source, "--store", store, "--format-version", each]).stdout;
    expect(build(version)).not.toBe(build(other));
  });

  test.each([
    [["--store"], 2],
    [["--store", "S", "--key", "nobody.key"], 2], // a key without a name
    [["--store", "S", "--profile", "unknown"], 2],
    [["--store", "S", "--algorithm", "md5"], 2],
  ])("answers %j with status %i", async (args, status) => {
    const cwd = scratchFolder();
    expect(sealfs(["build", (await layoutOf()).directory(), ...args], { cwd }).status).toBe(status);
    expect(existsSync(join(cwd, "S/images/refs/app"))).toBe(false);
  });

  test("says that there is no such source, with status 7", () => {
    const store = join(scratchFolder(), "store");
    expect(sealfs(["build", "oci:/nowhere", "--store", store]).status).toBe(7);
  });

  test("answers a damaged layer with status 4 or 3 and publishes nothing", async () => {
    const source = (await layoutOf()).directory();
    const blobs = join(source, "blobs/sha256");
    for (const name of readdirSync(blobs)) {
      const bytes = readFileSync(join(blobs, name));
      if (bytes[0] === 0x1f) writeFileSync(join(blobs, name), bytes.fill(0, 100, 120));
    }
    const store = join(scratchFolder(), "store");
    const { status, stderr } = sealfs(["build", source, "--store", store, "--name", "app"]);
    expect([3, 4]).toContain(status);
    expect(stderr).toContain("layer");
    expect(readdirSync(join(store, "images"))).toEqual(["refs"]);
    expect(readdirSync(join(store, "tmp"))).toEqual([]);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("ends in order on %s", async (signal) => {
    const folder = scratchFolder();
    const layer = join(folder, "layer.tar");
    await writeTar(layer, (archive) => addFiles(archive, 3000, 20_000));
    const store = join(folder, "store");
    const args = [bin, "build", `tar:${layer}`, "--store", store, "--name", "app"];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const exited = once(child, "exit");
    while (child.exitCode === null && stagedFiles(store) < 10) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill(signal);
    const [status] = (await exited) as [number | null];
    // It may have been past the point of no return; then all of it is there.
    if (status === 0) expect(readdirSync(join(store, "images/refs"))).toEqual(["app"]);
    else {
      expect(status).toBe(128 + constants.signals[signal]);
      expect(readdirSync(join(store, "images/refs"))).toEqual([]);
    }
    expect(readdirSync(join(store, "tmp"))).toEqual([]);
  });
});

function stagedFiles(store: string): number {
  try {
    const tmp = join(store, "tmp");
    return readdirSync(tmp).flatMap((name) => readdirSync(join(tmp, name))).length;
  } catch {
    return 0;
  }
}

async function writeTar(path: string, fill: (archive: Pack) => Promise<void>): Promise<void> {
  const archive = pack();
  const file = createWriteStream(path);
  const done = once(file, "close");
  archive.pipe(file);
  await fill(archive);
  archive.finalize();
  await done;
}

async function addFiles(archive: Pack, count: number, bytes: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const content = Buffer.alloc(bytes, `file ${i} `);
    if (!archive.entry({ name: `file-${i}`, mtime: new Date(0) }, content)) {
      await once(archive, "drain");
    }
  }
}

async function addLargeFile(archive: Pack, size: number): Promise<void> {
  const entry = archive.entry({ name: "large", size, mtime: new Date(0) });
  const chunk = Buffer.alloc(1024 * 1024, "a chunk of a large file ");
  for (let left = size; left > chunk.length; left -= chunk.length) {
    if (!entry.write(chunk)) await once(entry, "drain");
  }
  entry.end(chunk);
}

describe("memory", () => {
  const LIMIT_KIB = 300 * 1024;
  const MIB = 1024 * 1024;
  // SLOW=1: a layer and a file of 1 GiB. Otherwise still more than the limit.
  const size = (process.env["SLOW"] ? 1024 : 384) * MIB;

  /** The most that the process of a build had resident, in KiB. */
  async function peakOf(layer: string, store: string): Promise<number> {
    // VmHWM and not getrusage: the latter still counts what the forking test process had resident.
    const script =
      'import fs from "node:fs";process.on("exit",()=>' +
      'console.error("peak", /VmHWM:\\s*(\\d+)/.exec(fs.readFileSync("/proc/self/status"))[1]));';
    const preload = `data:text/javascript,${encodeURIComponent(script)}`;
    const args = [
      "--import",
      preload,
      bin,
      "build",
      `tar:${layer}`,
      "--store",
      store,
      "--durability",
      "none",
    ];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return Number(/^peak (\d+)$/m.exec(stderr)![1]);
  }

  test.each([
    ["one large file", (archive: Pack) => addLargeFile(archive, size)],
    ["many files", (archive: Pack) => addFiles(archive, Math.floor(size / 20_480), 20_000)],
  ])("of a build from a layer of %s stays below 300 MiB", { timeout: 600_000 }, async (_, fill) => {
    const folder = scratchFolder();
    const layer = join(folder, "layer.tar");
    await writeTar(layer, fill);
    expect(await peakOf(layer, join(folder, "plain"))).toBeLessThan(LIMIT_KIB);
    execFileSync("gzip", ["-1", layer]);
    expect(await peakOf(`${layer}.gz`, join(folder, "gzip"))).toBeLessThan(LIMIT_KIB);
  });
});
