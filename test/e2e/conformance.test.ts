/** What a read-only file system owes its readers, in every mode: see `support/conformance.py`. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ByteString, ascii, toByteString } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { HardLink, Inode, S_IFCHR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from "../../src/tree/inode.ts"; // prettier-ignore
import { MountBed, newDirectory } from "../support/mount-bed.ts";
import { runProgram } from "../support/run.ts";
import { ways } from "../support/modes.ts";

const script = fileURLToPath(new URL("../support/conformance.py", import.meta.url));
const list = spawnSync("python3", [script], { encoding: "utf8" });
const noPython = list.status === 0 ? undefined : "python3 is missing";
const sentences = (noPython === undefined ? JSON.parse(list.stdout) : ["(all)"]) as string[];
const NOBODY = 65_534;
const STRANGER = 1234;

/** The tree that the checks expect. */
function tree(bed: MountBed) {
  const root = newDirectory();
  root.mode = 0o40755;
  const add = <T extends Inode | HardLink>(name: string, entry: T, directory = root): T => {
    directory.entries.set(name as ByteString, entry);
    return entry;
  };
  const link = (target: string) => {
    const inode = new Inode(S_IFLNK | 0o777);
    inode.target = ascii(target);
    return inode;
  };
  const text = (content: string, mode?: number) => bed.file(Buffer.from(content), mode);

  add("small", text("text\n"));
  add("empty", new Inode(S_IFREG | 0o644));
  const large = add("large", bed.file(Buffer.from("large ".repeat(50_000))));
  add("hard", new HardLink(large));
  large.nlink = 2;
  add("odd", bed.file(Buffer.from(Array.from({ length: 10_001 }, (_, i) => (i * 7) % 251))));
  add("l".repeat(255), text("text\n"));
  add("\xff\xfe caf\xe9", new Inode(S_IFREG | 0o644));
  add("new\nline", new Inode(S_IFREG | 0o644));

  const directory = add("dir", newDirectory(0o755));
  add("a", text("a".repeat(1000)), directory);
  add("b", text("b"), directory);
  add("sub", newDirectory(0o755), directory);
  const many = add("many", newDirectory(0o755));
  for (let i = 0; i < 3000; i++) add(String(i), text(`${i}`), many);

  add("link", link("large"));
  add("dirlink", link("dir"));
  add("dangling", link("nowhere"));
  add("self", link("self"));
  add("loop1", link("loop2"));
  add("loop2", link("loop1"));
  add("long", link("t".repeat(4000)));
  add("chain0", link("small"));
  for (let i = 1; i <= 41; i++) add(`chain${i}`, link(`chain${i - 1}`));

  const id = readFileSync("/usr/bin/id");
  add("program", bed.file(id, 0o755));
  add("setuid", bed.file(id, 0o4755));
  add("setgid", bed.file(id, 0o2755));
  add("script", text(`#!/bin/sh\n# ${"x".repeat(100)}\necho ran "$1"\n`, 0o755));
  add("garbage", text("\0\x01\x02 no program\n", 0o755));
  const device = add("null", new Inode(S_IFCHR | 0o666));
  device.rdev = (1 << 8) | 3;
  add("fifo", new Inode(S_IFIFO | 0o644));
  add("socket", new Inode(S_IFSOCK | 0o755));

  add("secret", text("secret\n", 0o600));
  const own = add("own", text("own\n", 0o600));
  own.uid = NOBODY;
  own.gid = STRANGER;
  const closed = add("closed", newDirectory(0o700));
  add("inside", text("inside\n"), closed);
  const granted = add("granted", text("for nobody\n", 0o640));
  // user::rw- user:65534:r-- group::--- mask::r-- other::---
  const acl =
    "0200000001000600ffffffff02000400feff000004000000ffffffff10000400ffffffff20000000ffffffff";
  granted.xattrs = new Map([
    [ascii("system.posix_acl_access"), toByteString(Buffer.from(acl, "hex"))],
  ]);

  const attrs = add("attrs", text("x".repeat(200)));
  attrs.mtimeSeconds = 1_700_000_000n;
  attrs.mtimeNanoseconds = 123_456_789;
  attrs.xattrs = new Map([
    [ascii("user.large"), ascii("v".repeat(3000))],
    [ascii("user.empty"), ascii("")],
    [ascii("user.small"), ascii("value")],
    [ascii("user.bytes"), toByteString(Uint8Array.from({ length: 256 }, (_, i) => i))],
    [ascii("trusted.shown"), ascii("to root")],
  ]);
  return root;
}

describe.each(ways)("mode $name", ({ name, args, missing }) => {
  const reason = missing ?? noPython;
  let bed: MountBed;
  let results: ReadonlyMap<string, string | null>;
  beforeEach((context) => context.skip(reason !== undefined, reason));
  beforeAll(() => {
    if (reason !== undefined) return;
    bed = new MountBed();
    bed.add("app:1", writeImage(tree(bed)));
    const target = bed.mount("app:1", args);
    results = new Map(JSON.parse(runProgram("python3", [script, target, name])));
    bed.unmount(target);
  });
  afterAll(() => bed?.close());

  test.each(sentences)("%s", (sentence) => {
    expect(results.get(sentence)).toBeNull();
  });
});
