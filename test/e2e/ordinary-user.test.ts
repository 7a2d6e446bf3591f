/** Mounts of an ordinary user, in each of the ways that he has: what he sees, what he may, how it ends. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import type { Inode } from "../../src/tree/inode.ts";
import { goldenImage } from "../support/golden-images.ts";
import { type MountBed, newDirectory, noLibfuse, useMountBed } from "../support/mount-bed.ts";
import { asNobody, noOrdinaryUser, noUserNamespace } from "../support/ordinary-user.ts";
import { readableBin, readableProject } from "../support/readable-project.ts";
import { succeeds } from "../support/run.ts";

const bin = readableBin();
const listing = join(readableProject(), "test/support/user-listing.py");
const hasPython = succeeds("python3", "-V");
const reason = noOrdinaryUser() ?? (hasPython ? undefined : "no python3");

let bed: MountBed;
let large: Inode;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  large = bed.file(Buffer.alloc(300_000, "large "));
  root.entries.set(ascii("large"), large);
  root.entries.set(ascii("text"), bed.file(Buffer.from("text\n")));
  root.entries.set(ascii("secret"), bed.file(Buffer.from("secret\n"), 0o600));
  bed.addTree("app,1:odd\\name", root);
});

const shown = ["names-nonutf8", "symlink-bytes", "mtime-nsec", "mtime-negative", "hardlink-100", "modes", "acl-access", "xattr-many", "dir-5000"]; // prettier-ignore
// What fuse-native cannot show (see src/fuse/libfuse/libfuse-server.ts).
const beyondLibfuse = /^(names|symlink-bytes|mtime|acl|xattr-many)/;
// The image's root is himself there, so that he may more than elsewhere; the others are nobody.
const beyondNamespace = /^(modes|acl)/;

/** A script that mounts an image, does `work` in the mount, and unmounts it. */
function script(name: string, target: string, work: string, args = ""): string {
  const node = process.execPath;
  const options = `--store '${bed.store.path}' --key '${bed.keyFile}' --state none --mode=fuse`;
  return (
    `${node} ${bin} mount '${name}' '${target}' ${options} ${args} || exit\n` +
    `cd '${target}'; ${work}; cd /\n${node} ${bin} umount '${target}' && echo ended\n` +
    `grep -F '${target}' /proc/self/mountinfo`
  );
}

function target(): string {
  const path = bed.directory();
  chmodSync(path, 0o777);
  return path;
}

const inNamespace = (text: string) =>
  asNobody('exec unshare -r -m sh -c "$INNER"', { INNER: text });

const ways = [
  { way: "by fusermount3", transport: "fusermount", does: asNobody, lack: undefined },
  { way: "by libfuse", transport: "libfuse", does: asNobody, lack: noLibfuse() },
  { way: "in a user namespace", transport: "dev", does: inNamespace, lack: noUserNamespace() },
] as const;

describe.each(ways)("mounting $way", ({ transport, does, lack }) => {
  beforeEach((context) => context.skip(lack !== undefined, lack));
  const how = `--transport=${transport}`;
  const beyond = { fusermount: /^$/, libfuse: beyondLibfuse, dev: beyondNamespace }[transport];
  const names = shown.filter((name) => !beyond.test(name));

  test.each(names)("shows him what he sees of the same mount made by root: %s", (name) => {
    const image = goldenImage(`${name}.v1`).bytes;
    bed.add(`golden:${name}`, image);
    const byRoot = bed.mount(`golden:${name}`, ["--transport=dev"]);
    // A namespace of his own makes him root there, but only for what belongs to him.
    const expected = does(`python3 ${listing} ${byRoot}`);
    bed.unmount(byRoot);
    const place = target();
    const said = does(script(`golden:${name}`, place, `python3 ${listing} ${place}`, how));
    const rows = said.split("\n").filter((line) => line.startsWith("["));
    expect(rows.length).toBeGreaterThan(1);
    expect(rows).toEqual(expected.split("\n").filter((line) => line.startsWith("[")));
    expect(said).toContain("\nended\n");
  });

  test("says which way and promise, and lets him read what he may", () => {
    const place = target();
    const work = 'cat text secret; cksum large; touch new; grep -F "$PWD" /proc/self/mountinfo';
    const said = does(script("app,1:odd\\name", place, work, how));
    expect(said).toContain(`(fuse over ${transport}, block)`);
    expect(said).toContain("text\n");
    expect(said).toMatch(transport === "dev" ? /^secret$/m : /secret: Permission denied/);
    expect(said).toMatch(/\d+ 300000 large/);
    expect(said).toMatch(/'new': Read-only file system/);
    expect(said).toMatch(/ ro,nosuid,nodev,.* - fuse\.sealfs /);
    if (transport !== "libfuse") expect(said).toContain("sealfs:app,1:odd\\134name ro");
    // Nothing is mounted any more.
    expect(said.trimEnd().endsWith("ended")).toBe(true);
  });

  test("refuses content that was changed", () => {
    const object = bed.objectOf(large);
    const before = readFileSync(object);
    const change = Buffer.from(before);
    change[200_000]! ^= 1;
    writeFileSync(object, change);
    try {
      const said = does(script("app,1:odd\\name", target(), "cat large | wc -c; cat text", how));
      expect(said).toMatch(/large: Input\/output error/);
      expect(said).toContain("text\n");
    } finally {
      writeFileSync(object, before);
    }
  });

  test("leaves nothing behind when its server is killed", () => {
    const place = target();
    const kill =
      "for each in /proc/[0-9]*; do tr '\\0' ' ' <$each/cmdline | " +
      'grep -q "[s]erver.js.*$PWD" && kill -9 ${each#/proc/}; done 2>/dev/null; cd /; ' +
      'while grep -qF "$OLDPWD" /proc/self/mountinfo; do sleep 0.1; done; echo gone';
    const said = does(script("app,1:odd\\name", place, kill, how));
    expect(said).toMatch(/^gone$/m);
  });
});

describe("an ordinary user", () => {
  test("gets fusermount3 by himself, and is told what is missing for others to look in", () => {
    const place = target();
    expect(asNobody(script("app,1:odd\\name", place, "cat text"))).toContain(
      "(fuse over fusermount, block)",
    );
    const said = asNobody(script("app,1:odd\\name", place, "cat text", "--allow-other"));
    expect(said).toMatch(/user_allow_other/);
    expect(said).not.toContain("text\n");
  });

  test("cannot have what only root can: each is refused with the reason", () => {
    const place = target();
    for (const [args, message] of [
      ["--idmap=0:1000:1 --transport=fusermount", /fusermount mounts cannot show other owners/],
      ["--passthrough --require=open", /no fuse mode here with passthrough .*only root may mount/],
      ["--mode=hybrid", /only root may mount \(CAP_SYS_ADMIN\)/],
    ] as const) {
      expect(asNobody(script("app,1:odd\\name", place, "cat text", args))).toMatch(message);
    }
  });

  test("is kept out of the mount of another", () => {
    const place = target();
    const work = `setpriv --help >/dev/null; stat -c %i '${place}'`;
    expect(asNobody(script("app,1:odd\\name", place, work, "--transport=fusermount"))).toMatch(
      /\d/,
    );
    const mounted = bed.mount("app,1:odd\\name", ["--transport=fusermount", "--no-allow-other"]);
    expect(asNobody(`ls '${mounted}'`)).toMatch(/Permission denied/);
    bed.unmount(mounted);
  });
});

test("root mounts through fusermount3 too, for others to look in", () => {
  const mounted = bed.mount("app,1:odd\\name", ["--transport=fusermount"]);
  expect(readFileSync(join(mounted, "secret"), "utf8")).toBe("secret\n");
  expect(asNobody(`cat '${mounted}/text' '${mounted}/secret'`)).toMatch(
    /^text\n.*secret: Permission denied/,
  );
  bed.unmount(mounted);
});
