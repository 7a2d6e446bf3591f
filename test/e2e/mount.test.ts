/** Mounts from their beginning to their end, with the real command and a real kernel. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ByteString, ascii, toByteString } from "../../src/bytes/bytestring.ts";
import { HardLink, Inode, S_IFLNK, S_IFREG } from "../../src/tree/inode.ts";
import { PrivateKey } from "../../src/trust/private-key.ts";
import { bin, sealfs } from "../support/run.ts";
import {
  type MountBed,
  isMounted,
  newDirectory,
  noLibfuse,
  noMount,
  useMountBed,
} from "../support/mount-bed.ts";
import { runProgram } from "../support/run.ts";
import { until } from "../support/until.ts";

const reason = noMount();
let bed: MountBed;

useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  root.mode = 0o40755;
  const text = bed.file(Buffer.from("hello\n"));
  root.entries.set(ascii("text"), text);
  root.entries.set(ascii("large"), bed.file(Buffer.alloc(300_000, "large ")));
  const script = bed.file(Buffer.from(`#!/bin/sh\n# ${"x".repeat(100)}\necho ran\n`), 0o755);
  root.entries.set(ascii("script"), script);
  const setuid = bed.file(readFileSync("/usr/bin/id"), 0o4755);
  root.entries.set(ascii("setuid"), setuid);
  const secret = bed.file(Buffer.from("secret\n"), 0o600);
  root.entries.set(ascii("secret"), secret);
  const granted = bed.file(Buffer.from("for nobody\n"), 0o640);
  // user::rw- user:65534:r-- group::--- mask::r-- other::---
  const acl = Buffer.from(
    "0200000001000600ffffffff02000400feff000004000000ffffffff10000400ffffffff20000000ffffffff",
    "hex",
  );
  granted.xattrs = new Map([
    [ascii("system.posix_acl_access"), toByteString(acl)],
    [ascii("trusted.seen"), ascii("by root")],
    [ascii("user.seen"), ascii("by all")],
  ]);
  root.entries.set(ascii("granted"), granted);
  const closed = newDirectory(0o700);
  closed.entries.set(ascii("inside"), bed.file(Buffer.from("inside\n")));
  root.entries.set(ascii("closed"), closed);
  const many = newDirectory();
  for (let i = 0; i < 12_000; i++) many.entries.set(ascii(`entry-${i}`), new HardLink(text));
  text.nlink = 12_001;
  root.entries.set(ascii("many"), many);
  const link = new Inode(S_IFLNK | 0o777);
  link.target = ascii("t".repeat(4095));
  root.entries.set(ascii("link"), link);
  root.entries.set("\xff\xfe caf\xe9" as ByteString, new Inode(S_IFREG | 0o644));
  bed.addTree("app:1", root);
});

const servers = () =>
  runProgram("ps", ["-eo", "pid,args"])
    .split("\n")
    .filter((line) => line.includes("/mount/server/server.js") && line.includes(bed.path));
const isGone = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;
const asNobody = (...words: string[]) =>
  spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...words], {
    encoding: "utf8",
  });

describe("what is mounted", () => {
  let mnt: string;
  beforeAll(() => {
    if (reason === undefined) mnt = bed.mount("app:1");
  });

  test("is read-only, without set-user-id programs and devices", () => {
    const line = runProgram("findmnt", ["-n", "-o", "OPTIONS,FSTYPE,SOURCE", mnt]);
    expect(line).toMatch(/^ro,nosuid,nodev,.*default_permissions.*fuse\.sealfs +sealfs:app:1/);
    const errors = ["touch x", "rm text", "mkdir d", "mv text u", "ln text u", "chmod 777 text"];
    errors.push("setfattr -n user.a -v b text", "truncate -s 0 text");
    for (const words of errors) {
      const { status, stderr } = spawnSync("sh", ["-c", `cd ${mnt} && ${words}`]);
      expect(status, words).not.toBe(0);
      expect(stderr.toString(), words).toContain("Read-only file system");
    }
  });

  test("has 12 000 names in one directory, each once, and all one file", () => {
    const names = readdirSync(join(mnt, "many"));
    expect(names.length).toBe(12_000);
    expect(new Set(names).size).toBe(12_000);
    const { ino, nlink } = statSync(join(mnt, "text"));
    expect(nlink).toBe(12_001);
    for (const i of [0, 5, 11_999]) {
      expect(statSync(join(mnt, "many", `entry-${i}`)).ino).toBe(ino);
    }
    expect(runProgram("ls", ["-U", join(mnt, "many")]).split("\n").length).toBe(12_001);
  });

  test("keeps long symlinks and names that are not UTF-8", () => {
    expect(runProgram("readlink", [join(mnt, "link")]).trim()).toBe("t".repeat(4095));
    const names = readdirSync(mnt, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    expect(names).toContain("\xff\xfe caf\xe9");
    expect(runProgram("sh", ["-c", `stat -c %s ${mnt}/$(printf '\\377\\376')*`])).toBe("0\n");
  });

  test("runs programs, but not as their owner", () => {
    expect(runProgram(join(mnt, "script"), [])).toBe("ran\n");
    expect(asNobody(join(mnt, "setuid"), "-u").stdout).toBe("65534\n");
  });

  test("leaves access control to the kernel", () => {
    expect(asNobody("cat", join(mnt, "text")).stdout).toBe("hello\n");
    for (const path of ["secret", "closed/inside"]) {
      const { status, stderr } = asNobody("cat", join(mnt, path));
      expect(status).not.toBe(0);
      expect(stderr).toContain("Permission denied");
    }
    expect(asNobody("ls", join(mnt, "closed")).stderr).toContain("Permission denied");
  });

  test("has ACLs that the kernel enforces", () => {
    expect(asNobody("cat", join(mnt, "granted")).stdout).toBe("for nobody\n");
    const other = spawnSync(
      "setpriv",
      ["--reuid=1234", "--regid=1234", "--clear-groups", "cat", join(mnt, "granted")],
      { encoding: "utf8" },
    );
    expect(other.stderr).toContain("Permission denied");
  });

  test("shows trusted attributes to root alone", () => {
    const list = ["-d", "-m", "-", join(mnt, "granted")];
    expect(runProgram("getfattr", list)).toContain("trusted.seen=");
    const { stdout } = asNobody("getfattr", ...list);
    expect(stdout).toContain("user.seen=");
    expect(stdout).not.toContain("trusted");
  });

  test("tells how much there is", () => {
    const [blocks, free, files] = runProgram("stat", ["-f", "-c", "%b %f %c", mnt])
      .trim()
      .split(" ");
    expect(Number(blocks)).toBeGreaterThan(300_000 / 4096);
    expect(Number(free)).toBe(0);
    expect(Number(files)).toBe(readdirSync(mnt).length + 1 + 1); // the root, and closed/inside
  });

  test("serves many readers at once", async () => {
    const readers = Array.from({ length: 40 }, () =>
      spawn("sh", ["-c", `cd ${mnt} && cat large text script | cksum; ls -lR . | cksum`]),
    );
    const texts = await Promise.all(
      readers.map(async (child) => {
        let text = "";
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
        await new Promise((resolve) => child.once("close", resolve));
        return text;
      }),
    );
    expect(new Set(texts).size).toBe(1);
  });
});

describe("in the background", () => {
  test("the command returns when the mount is live, and umount leaves nothing", async () => {
    const states = (target: string) => {
      const words = `grep -ls '"${target}"' /run/sealfs/*.json`; // others come and go
      return spawnSync("sh", ["-c", words], { encoding: "utf8" }).stdout.split("\n").slice(0, -1);
    };
    const leases = () => readdirSync(join(bed.store.path, "leases"));
    const held = leases().length;
    const mnt = bed.mount("app:1");
    expect(readFileSync(join(mnt, "text"), "utf8")).toBe("hello\n");
    expect(states(mnt).length).toBe(1);
    expect(leases().length).toBe(held + 1);
    bed.unmount(mnt);
    expect(isMounted(mnt)).toBe(false);
    expect(servers().filter((line) => line.includes(`${mnt}"`))).toEqual([]);
    expect(states(mnt)).toEqual([]);
    expect(leases().length).toBe(held);
  });

  test("any umount ends the server", async () => {
    const mnt = bed.mount("app:1");
    runProgram("umount", [mnt]);
    await until(() => !servers().some((line) => line.includes(`${mnt}"`)));
  });

  const rounds = process.env["SLOW"] === "1" ? 60 : 6;
  test(`${rounds} mounts in a row on one directory leave nothing`, async () => {
    const mnt = bed.directory();
    for (let i = 0; i < rounds; i++) {
      bed.mount("app:1", [], mnt);
      expect(readFileSync(join(mnt, "text"), "utf8")).toBe("hello\n");
      bed.unmount(mnt);
    }
    expect(servers().filter((line) => line.includes(`${mnt}"`))).toEqual([]);
    rmdirSync(mnt);
  }, 600_000);

  test("a server killed by SIGKILL leaves no dead mount, and mounting again works", async () => {
    const mnt = bed.mount("app:1");
    const [pid] = servers()
      .find((line) => line.includes(`${mnt}"`))!
      .trim()
      .split(" ");
    process.kill(Number(pid), "SIGKILL");
    await until(() => !isMounted(mnt));
    bed.mount("app:1", [], mnt);
    expect(readFileSync(join(mnt, "text"), "utf8")).toBe("hello\n");
    bed.unmount(mnt);
  });

  test("SIGTERM ends a mount that is in use, also with a copy in another mount namespace", async () => {
    const mnt = bed.mount("app:1");
    const user = spawn("unshare", ["-m", "--propagation", "private", "sh", "-c", "echo; read x"], {
      cwd: mnt,
      stdio: ["pipe", "pipe", "ignore"],
    });
    await new Promise((resolve) => user.stdout.once("data", resolve));
    const [pid] = servers()
      .find((line) => line.includes(`${mnt}"`))!
      .trim()
      .split(" ");
    process.kill(Number(pid), "SIGTERM");
    await until(() => !servers().some((line) => line.includes(`${mnt}"`)));
    expect(isMounted(mnt)).toBe(false);
    user.stdin.end();
  });

  test("umount ends a server whose mount has a copy elsewhere", async () => {
    const mnt = bed.mount("app:1");
    const user = spawn("unshare", ["-m", "--propagation", "private", "sh", "-c", "echo; read x"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await new Promise((resolve) => user.stdout.once("data", resolve));
    bed.unmount(mnt);
    expect(servers().filter((line) => line.includes(`${mnt}"`))).toEqual([]);
    user.stdin.end();
  });

  test("a busy mount is unmounted only lazily", async () => {
    const mnt = bed.mount("app:1");
    const user = spawn("sh", ["-c", "exec 3<large; echo; read x; cksum <&3"], {
      cwd: mnt,
      stdio: ["pipe", "pipe", "ignore"],
    });
    await new Promise((resolve) => user.stdout.once("data", resolve));
    expect(() => bed.unmount(mnt)).toThrow(/BUSY|busy/i);
    runProgram(process.execPath, [bin, "umount", "--lazy", mnt]);
    expect(isMounted(mnt)).toBe(false);
    const text = new Promise<string>((resolve) => {
      user.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    });
    user.stdin.end("\n");
    expect(await text).toContain("300000");
    await until(() => !servers().some((line) => line.includes(`${mnt}"`)));
  });
});

describe("in the foreground", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s ends it well", async (signal) => {
    const { child, directory } = await bed.hold("app:1");
    expect(readFileSync(join(directory, "text"), "utf8")).toBe("hello\n");
    child.kill(signal);
    await until(() => isGone(child));
    expect(child.exitCode).toBe(0);
    expect(isMounted(directory)).toBe(false);
  });

  test("umount ends it well", async () => {
    const { child, directory } = await bed.hold("app:1");
    bed.unmount(directory);
    await until(() => isGone(child));
    expect(child.exitCode).toBe(0);
  });

  test("it ends when the command is killed", async () => {
    const { child, directory } = await bed.hold("app:1");
    child.kill("SIGKILL");
    await until(() => !isMounted(directory));
    await until(() => !servers().some((line) => line.includes(`${directory}"`)));
  });

  test("it ends when the command's parent is gone", async () => {
    const directory = bed.directory();
    const words = [process.execPath, ...bed.args("app:1", directory, ["-f"])];
    const parent = spawn("sh", ["-c", `${words.map((word) => `'${word}'`).join(" ")}; :`]);
    await until(() => isMounted(directory));
    parent.kill("SIGKILL");
    await until(() => !isMounted(directory));
  });

  test("the command says so when its server is killed, and the mount is gone", async () => {
    const { child, directory } = await bed.hold("app:1");
    const [pid] = servers()
      .find((line) => line.includes(`${directory}"`))!
      .trim()
      .split(" ");
    process.kill(Number(pid), "SIGKILL");
    await until(() => isGone(child));
    expect(child.exitCode).toBe(1);
    await until(() => !isMounted(directory));
  });
});

describe("nothing is mounted", () => {
  const attempt = (name: string, directory: string, more: string[] = []) => {
    const args = bed.args(name, directory, more);
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(isMounted(directory)).toBe(false);
    return { status, stderr };
  };

  test("without a good signature", () => {
    const mallory = new PrivateKey(new Uint8Array(32).fill(9));
    const root = newDirectory();
    root.entries.set(ascii("evil"), bed.file(Buffer.from("evil")));
    bed.addTree("other:1", root);
    const image = bed.store.readImage(bed.store.images.resolve("app:1"));
    bed.add("foreign:1", image, mallory);
    const id = bed.store.images.resolve("other:1");
    const cases: [string, string[], number, RegExp][] = [
      ["foreign:1", [], 5, /name|key/],
      ["app:1", ["--name", "other:1"], 5, /name/],
      ["missing:1", [], 7, /missing:1/],
    ];
    for (const [name, more, status, message] of cases) {
      const got = attempt(name, bed.directory(), more);
      expect(got.stderr).toMatch(message);
      expect(got.status, got.stderr).toBe(status);
    }
    const flipped = Buffer.from(image);
    flipped[5000]! ^= 1;
    const file = join(bed.path, "flipped.img");
    writeFileSync(file, flipped);
    const [bundle] = bed.store.readBundles(id);
    const args = ["--name", "other:1", "--bundle", bundle!.path];
    expect(attempt(file, bed.directory(), args)).toMatchObject({ status: 5 });
    expect(attempt(file, bed.directory(), ["--name", "app:1"])).toMatchObject({ status: 5 });
    writeFileSync(file, image);
    const unnamed = attempt(file, bed.directory(), ["--bundle", bundle!.path]);
    expect(unnamed.status).not.toBe(0);
  });

  test("where there is no empty directory", () => {
    const full = bed.directory();
    mkdirSync(join(full, "x"));
    const link = join(bed.path, "link");
    symlinkSync(full, link);
    const cases: [string, number, RegExp][] = [
      [full, 2, /expected an empty directory/],
      [link, 2, /symbolic link/],
      [join(bed.path, "none"), 7, /not there/],
      [bed.keyFile, 2, /expected a directory/],
    ];
    for (const [directory, status, message] of cases) {
      const got = attempt("app:1", directory);
      expect(got.stderr).toMatch(message);
      expect(got.status).toBe(status);
    }
    bed.mount("app:1", ["--nonempty"], full);
    expect(readFileSync(join(full, "text"), "utf8")).toBe("hello\n");
    bed.unmount(full);
  });

  test.each([
    ["its store", ["--nonempty"]],
    ["its log", ["--log", "mnt/log"]],
    ["its metrics", ["--metrics", "unix:mnt/sock"]],
    ["a mirror", ["--mirror", "mnt/mirror"]],
    ["a layout to fetch from", ["--mirror", "oci:mnt/layout"]],
  ])("where it would hide %s, which it could then only ask itself for", (what, words) => {
    const mnt = what === "its store" ? bed.path : bed.directory();
    const more = words.map((word) => word.replace("mnt/", `${mnt}/`));
    const got = attempt("app:1", mnt, more);
    expect(got.stderr).toMatch(/mount point .*: would hide .*, which the mount needs/);
    expect(got.status).toBe(2);
    expect(isMounted(mnt)).toBe(false);
  });

  test("where it would hide a part of its store", () => {
    const objects = join(bed.store.path, "objects");
    const mnt = join(objects, readdirSync(objects)[0] ?? "");
    const got = attempt("app:1", mnt, ["--nonempty"]);
    const hidden = `would hide part of ${objects}, which the mount needs`;
    expect(got.stderr).toContain(`mount point ${mnt}: ${hidden}`);
    expect(got.status).toBe(2);
    expect(isMounted(mnt)).toBe(false);
  });

  test.each([
    ["that is not there", "/nonexistent/mirror", 7],
    ["that is no place to fetch from", "ftp://127.0.0.1/mirror", 2],
  ])("from a mirror %s, with the status and the words of fetch", (_, mirror, status) => {
    const mnt = bed.directory();
    const mounting = attempt("app:1", mnt, ["--mirror", mirror]);
    const more = ["--store", bed.store.path, "--key", bed.keyFile, "--mirror", mirror];
    const fetching = sealfs(["fetch", "app:1", ...more]);
    expect(mounting).toMatchObject({ status, stderr: fetching.stderr });
    expect(fetching.status).toBe(status);
    expect(isMounted(mnt)).toBe(false);
  });

  test("where the directory is not a store", () => {
    const args = ["--store", bed.path];
    const got = attempt("app:1", bed.directory(), args);
    expect(got.status).toBe(7);
    expect(got.stderr).toContain("no store");
  });
});

test("a file mounts with its bundle and the name that was signed", () => {
  const id = bed.store.images.resolve("app:1");
  const file = join(bed.path, "app.img");
  writeFileSync(file, bed.store.readImage(id));
  const mnt = bed.mount(file, ["--name", "app:1"]);
  expect(readFileSync(join(mnt, "text"), "utf8")).toBe("hello\n");
  bed.unmount(mnt);
  const byId = bed.mount(id);
  expect(readFileSync(join(byId, "text"), "utf8")).toBe("hello\n");
  bed.unmount(byId);
});

test("umount refuses what sealfs has not mounted", () => {
  const nothing = spawnSync(process.execPath, [bin, "umount", bed.path]);
  expect(nothing.status).toBe(7);
  const proc = spawnSync(process.execPath, [bin, "umount", "/proc"]);
  expect(proc.status).toBe(2);
  expect(proc.stderr.toString()).toContain("not a mount of sealfs");
});

describe("over libfuse", () => {
  const why = noLibfuse();
  beforeEach((context) => context.skip(why !== undefined, why));

  test("mounts, reads, and ends by umount and by SIGTERM", async () => {
    const mnt = bed.mount("app:1", ["--transport", "libfuse"]);
    expect(runProgram("findmnt", ["-n", "-o", "OPTIONS", mnt])).toMatch(/^ro,nosuid,nodev/);
    expect(runProgram("cksum", [join(mnt, "large")])).toContain("300000");
    expect(readdirSync(join(mnt, "many")).length).toBe(12_000);
    expect(asNobody("cat", join(mnt, "secret")).status).not.toBe(0);
    bed.unmount(mnt);
    expect(servers().filter((line) => line.includes(`${mnt}"`))).toEqual([]);
    bed.mount("app:1", ["--transport", "libfuse"], mnt);
    const [pid] = servers()
      .find((line) => line.includes(`${mnt}"`))!
      .trim()
      .split(" ");
    process.kill(Number(pid), "SIGTERM");
    await until(() => !isMounted(mnt));
    await until(() => !servers().some((line) => line.includes(`${mnt}"`)));
  });
});
