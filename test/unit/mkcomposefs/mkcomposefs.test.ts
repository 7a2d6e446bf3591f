import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Io } from "../../../src/cli/terminal/io.ts";
import { run } from "../../../src/cli/commands/mkcomposefs.ts";
import { ascii, fromText } from "../../../src/bytes/bytestring.ts";
import { FormatError, IntegrityError } from "../../../src/errors.ts";
import { scanDirectory } from "../../../src/fs/scan.ts";
import { makeComposefs, writeImageFile } from "../../../src/mkcomposefs/mkcomposefs.ts";
import { HardLink, type Inode, inodeOf } from "../../../src/tree/inode.ts";
import { objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { composefsVectors } from "../../support/composefs-vectors.ts";
import { goldenTreeObstacle, makeGoldenTree } from "../../support/golden-tree.ts";
import { oracle } from "../../support/oracle.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);

beforeAll(() => {
  folder = scratchFolder();
});

/** Runs the command and keeps what it says. */
async function mkcomposefs(...args: string[]) {
  let out = "";
  let err = "";
  const io: Io = {
    print: (line) => void (out += `${line}\n`),
    write: (bytes) => void (out += Buffer.from(bytes).toString("latin1")),
    log: (line) => void (err += `${line}\n`),
    writeUntil: () => Promise.resolve(),
    document: () => undefined,
    detail: () => undefined,
    progress: () => ({ update() {}, end() {} }),
  };
  const status = await run(args, io);
  return { status, out, err };
}

describe("the golden tree (needs root and trusted attributes)", () => {
  const { runs, objects } = composefsVectors().tree;
  let obstacle: string | undefined;

  beforeAll(async () => {
    obstacle = goldenTreeObstacle(fromText(folder));
    if (obstacle === undefined) await makeGoldenTree(at("tree1"));
  });
  beforeEach((context) => {
    if (obstacle !== undefined) context.skip(obstacle);
  });

  test.each(runs)("$args gives mkcomposefs's image", async ({ args, sha256, fsverity }) => {
    const { status, out } = await mkcomposefs(...args, "--print-digest", at("tree1"), at("image"));
    expect({ status, out }).toEqual({ status: 0, out: `${fsverity}\n` });
    expect(hash("sha256", readFileSync(at("image")))).toBe(sha256);
  });

  test("the digest store has the objects that mkcomposefs leaves", async () => {
    const store = at("golden-store");
    const { status, err } = await mkcomposefs(`--digest-store=${store}`, at("tree1"), at("image"));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const found: string[] = [];
    for (const fan of readdirSync(store)) {
      for (const name of readdirSync(join(store, fan))) {
        const { size, mode } = lstatSync(join(store, fan, name));
        found.push(`${fan}/${name} ${size} ${(mode & 0o7777).toString(8)}`);
        expect(verityDigestOf(readFileSync(join(store, fan, name)))).toBe(fan + name);
      }
    }
    expect(found.toSorted()).toEqual([...objects]);
  });
});

describe("a digest store", () => {
  const content = Buffer.alloc(5000, "content");
  const large = Buffer.alloc((1 << 20) + 1, "large");
  // Syncing a busy disk takes seconds; what is tested here does not depend on it.
  const fast = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  let store: string;
  const place = (bytes: Uint8Array) => join(store, objectPath(verityDigestOf(bytes)));

  const isRight = (bytes: Buffer) => readFileSync(place(bytes)).equals(bytes);

  beforeAll(() => {
    store = scratchFolder(fast);
    mkdirSync(at("source", "d"), { recursive: true });
    writeFileSync(at("source", "a"), content);
    writeFileSync(at("source", "d", "b"), content);
    writeFileSync(at("source", "large"), large);
    writeFileSync(at("source", "small"), Buffer.alloc(64));
  });
  beforeEach(() => rmSync(store, { recursive: true, force: true }));
  const make = () => makeComposefs(at("source"), { digestStore: store, skipXattrs: true });

  test("gets every file over 64 bytes once, and nothing else", async () => {
    await make();
    const fans = readdirSync(store);
    expect(fans.toSorted()).toEqual(
      [content, large].map((bytes) => verityDigestOf(bytes).slice(0, 2)).toSorted(),
    );
    for (const bytes of [content, large]) expect(isRight(bytes)).toBe(true);
    expect(lstatSync(place(content)).mode & 0o777).toBe(0o644);
  });

  test("keeps a right object, and replaces what is wrong in its place", async () => {
    await make();
    const { ino } = lstatSync(place(content));
    await make();
    expect(lstatSync(place(content)).ino).toBe(ino);
    const damages: ((path: string, bytes: Buffer) => void)[] = [
      (path) => writeFileSync(path, ""),
      (path, bytes) => writeFileSync(path, Buffer.concat([bytes, Buffer.of(0)])),
      (path, bytes) =>
        writeFileSync(
          path,
          bytes.map((byte, i) => (i === 4500 ? byte ^ 1 : byte)),
        ),
      (path) => {
        rmSync(path);
        symlinkSync(at("source", "a"), path);
      },
      (path) => {
        rmSync(path);
        execFileSync("mkfifo", [path]);
      },
    ];
    for (const damage of damages) {
      for (const bytes of [content, large]) damage(place(bytes), bytes);
      await make();
      for (const bytes of [content, large]) {
        expect(lstatSync(place(bytes)).isFile()).toBe(true);
        expect(isRight(bytes)).toBe(true);
      }
    }
    expect(readdirSync(store).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("the command", () => {
  const dump = "/ 4096 40755 1 0 0 0 0.0 - - -\n";
  const digest = "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682";
  beforeAll(() => {
    writeFileSync(at("dump"), dump);
    mkdirSync(at("dir"));
  });

  // Arguments with the status and output of mkcomposefs 1.0.8; {} stands for the folder.
  test.each<[args: string, status: number, out: string, err: RegExp]>([
    ["", 1, "", /^No source path specified\nUsage:/],
    ["{}/dir", 1, "", /^No destination path specified\nUsage:/],
    ["--from-file {}/dump {}/o", 0, "", /^$/],
    ["{}/dump --from-file {}/o", 0, "", /^$/],
    ["--from-f {}/dump {}/o", 0, "", /^$/],
    ["--from-file --print-digest {}/dump {}/o", 0, `${digest}\n`, /^$/],
    ["--from-file --print-digest-only {}/dump", 0, `${digest}\n`, /^$/],
    ["--from-file --print-digest-only {}/dump {}/o", 1, "", /^Cannot specify destination path/],
    ["--from-file {}/dump {}/o extra", 1, "", /^Too many arguments\nUsage:/],
    ["--from-file {}/missing {}/o", 1, "", /^mkcomposefs: .*missing/],
    ["--from-file {}/dump {}/no/o", 1, "", /^mkcomposefs: /],
    ["{}/dump {}/o", 1, "", /^mkcomposefs: .*directory/],
    ["{}/missing {}/o", 1, "", /^mkcomposefs: .*missing/],
    ["--skip-xattrs --user-xattrs {}/dir {}/o", 1, "", /^mkcomposefs: /],
    ["--skip-xattrs --user-xattrs --from-file {}/dump {}/o", 0, "", /^$/],
    ["--min-version 1 --from-file {}/dump {}/o", 0, "", /^$/],
    ["--min-version=1x --from-file {}/dump {}/o", 1, "", /^Invalid min version 1x\n$/],
    ["--max-version= --from-file {}/dump {}/o", 1, "", /^Invalid max version \n$/],
    ["--max-version=2 --from-file {}/dump {}/o", 1, "", /^mkcomposefs: /],
    ["--min-version=-1 --from-file {}/dump {}/o", 1, "", /^mkcomposefs: /],
    ["--min-version", 1, "", /requires an argument\nUsage:/],
    ["--threads=0 {}/dir {}/o", 1, "", /^Invalid threads count 0\n$/],
    ["--threads=x {}/dir {}/o", 1, "", /^Invalid threads count x\n$/],
    ["--threads=3 --from-file {}/dump {}/o", 0, "", /^$/],
    ["--use-epoch=1 {}/dir {}/o", 1, "", /doesn't allow an argument\nUsage:/],
    ["--p {}/dir", 1, "", /^ambiguous option '--p'\nUsage:/],
    ["--bad {}/dump {}/o", 1, "", /Usage:/],
    ["-h", 1, "", /Usage:/],
    ["--help", 1, "", /^Usage:/],
    ["-- --from-file {}/o", 1, "", /^mkcomposefs: .*--from-file/],
  ])("%s: status %i", async (args, status, out, err) => {
    rmSync(at("o"), { force: true });
    const words = args === "" ? [] : args.replaceAll("{}", folder).split(" ");
    const result = await mkcomposefs(...words);
    expect(result).toMatchObject({ status, out });
    expect(result.err).toMatch(err);
    expect(existsSync(at("o"))).toBe(status === 0 && words.includes(at("o")));
    const reference = oracle("mkcomposefs");
    if (reference === undefined) return;
    let theirs = { status: 0, stdout: "" };
    try {
      theirs.stdout = execFileSync(reference, words, { encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      theirs = error as typeof theirs;
    }
    expect({ status: theirs.status, out: theirs.stdout }).toEqual({ status, out });
  });

  test("an image goes to standard output for -, before its digest", async () => {
    const image = Buffer.from(await makeComposefs(at("dump"), { fromFile: true }));
    const { status, out } = await mkcomposefs("--from-file", "--print-digest", at("dump"), "-");
    expect(status).toBe(0);
    expect(out).toBe(`${image.toString("latin1")}${digest}\n`);
  });

  test("a failure leaves the previous image, and no other file", async () => {
    const path = at("kept");
    expect((await mkcomposefs("--from-file", at("dump"), path)).status).toBe(0);
    const before = readFileSync(path);
    writeFileSync(at("bad"), `${dump}/x\n`);
    expect((await mkcomposefs("--from-file", at("bad"), path)).status).toBe(1);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  test("an image is written through a symlink and to a device", () => {
    writeFileSync(at("target"), "old");
    symlinkSync(at("target"), at("pointer"));
    writeImageFile(at("pointer"), Buffer.from("new"));
    expect(readFileSync(at("target"), "utf8")).toBe("new");
    expect(lstatSync(at("pointer")).isSymbolicLink()).toBe(true);
    writeImageFile("/dev/null", Buffer.from("gone"));
  });
});

describe("a directory scan", () => {
  const names = (path: string, options = {}) => [
    ...scanDirectory(fromText(path), { xattrs: "none", ...options }, () => {}).entries.keys(),
  ];

  beforeAll(() => {
    mkdirSync(at("scan", "sub"), { recursive: true });
    writeFileSync(at("scan", "b"), "bb");
    linkSync(at("scan", "b"), at("scan", "sub", "c"));
    linkSync(at("scan", "b"), at("outside"));
    writeFileSync(Buffer.from(`${at("scan")}/\xff\xe9`, "latin1"), "odd");
    symlinkSync(Buffer.from("to\xff", "latin1"), at("scan", "link"));
    chmodSync(at("scan", "b"), 0o4711);
  });

  test("keeps names, targets and modes as they are, in byte order", () => {
    expect(names(at("scan"))).toEqual(["b", "link", "sub", "\xff\xe9"]);
    const root = scanDirectory(fromText(at("scan")), { xattrs: "none" }, () => {});
    expect((root.entries.get(ascii("link")) as Inode).target).toBe("to\xff");
    expect((root.entries.get(ascii("b")) as Inode).mode).toBe(0o104711);
  });

  test("finds hard links inside the tree and counts only those", () => {
    const root = scanDirectory(fromText(at("scan")), { xattrs: "none" }, () => {});
    const b = root.entries.get(ascii("b")) as Inode;
    const c = inodeOf(root.entries.get(ascii("sub"))!).entries!.get(ascii("c"));
    expect(c).toBeInstanceOf(HardLink);
    expect((c as HardLink).target).toBe(b);
    expect(b.nlink).toBe(2);
    const flat = scanDirectory(
      fromText(at("scan")),
      { xattrs: "none", hardLinks: false },
      () => {},
    );
    expect((flat.entries.get(ascii("b")) as Inode).nlink).toBe(1);
  });

  test("hands out content once for each inode", () => {
    const contents: string[] = [];
    scanDirectory(fromText(at("scan")), { xattrs: "none" }, (file) => {
      let text = "";
      file.read((chunk) => void (text += Buffer.from(chunk).toString()));
      contents.push(text);
    });
    expect(contents.toSorted()).toEqual(["bb", "odd"]);
  });

  test("times before 1970 have positive nanoseconds", () => {
    writeFileSync(at("scan", "old"), "");
    execFileSync("touch", ["-d", "1969-12-31T23:59:58.25Z", at("scan", "old")]);
    const root = scanDirectory(fromText(at("scan")), { xattrs: "none" }, () => {});
    expect(root.entries.get(ascii("old"))).toMatchObject({
      mtimeSeconds: -2n,
      mtimeNanoseconds: 250_000_000,
    });
    const epoch = scanDirectory(fromText(at("scan")), { xattrs: "none", epoch: true }, () => {});
    expect(epoch.entries.get(ascii("old"))).toMatchObject({
      mtimeSeconds: 0n,
      mtimeNanoseconds: 0,
    });
    rmSync(at("scan", "old"));
  });

  test.each<[string, (path: string) => void]>([
    ["grows", (path) => writeFileSync(path, "bbb")],
    ["shrinks", (path) => writeFileSync(path, "b")],
    [
      "is replaced",
      (path) => {
        rmSync(path);
        writeFileSync(path, "xx");
      },
    ],
  ])("a file that %s while it is read is refused", (_, change) => {
    const path = at("scan", "changing");
    writeFileSync(path, "bb");
    expect(() =>
      scanDirectory(fromText(at("scan")), { xattrs: "none" }, (file) => {
        if (!file.path.endsWith("changing")) return;
        change(path);
        file.read(() => {});
      }),
    ).toThrow(IntegrityError);
    rmSync(path);
  });

  test("a root that is a file or a symlink is refused", () => {
    expect(() => names(at("scan", "b"))).toThrow(FormatError);
    symlinkSync(at("scan"), at("scan-link"));
    expect(() => names(at("scan-link"))).toThrow(FormatError);
  });
});
