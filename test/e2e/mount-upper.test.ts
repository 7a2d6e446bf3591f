/** Directories for changes: whose they are, what they can be, and another image below them. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ascii, fromText } from "../../src/bytes/bytestring.ts";
import { getXattr, listXattrs, setXattr } from "../../src/sys/xattr.ts";
import type { Directory } from "../../src/tree/inode.ts";
import { unmountTarget } from "../../src/sys/mount-calls.ts";
import { noKernelStack } from "../support/kernel.ts";
import { type MountBed, isMounted, newDirectory, useMountBed } from "../support/mount-bed.ts";
import { runAllNode } from "../support/run.ts";

let bed: MountBed;
const first = Buffer.alloc(20_000, "first ");
const second = Buffer.alloc(40_000, "second ");
const kept = Buffer.alloc(9000, "kept ");

useMountBed(noKernelStack(), (made) => {
  bed = made;
  bed.addTree("app:1", treeOf(first, "one\n"));
  bed.addTree("app:2", treeOf(second, "two\n"));
  const closed = treeOf(second, "two\n");
  closed.mode = (closed.mode & ~0o777) | 0o700;
  closed.uid = 9;
  bed.addTree("closed:1", closed);
  bed.addTree("app:3", treeOf(Buffer.alloc(5000, "third "), "three\n"));
});

function treeOf(content: Buffer, inline: string): Directory {
  const root = newDirectory(0o751);
  root.uid = 7;
  root.mtimeSeconds = 981_173_106n;
  root.mtimeNanoseconds = 123_456_789;
  root.xattrs = new Map([[ascii("user.of-image"), ascii("yes")]]);
  root.entries.set(ascii("file"), bed.file(content));
  root.entries.set(ascii("same"), bed.file(kept));
  root.entries.set(ascii("inline"), bed.file(Buffer.from(inline)));
  for (const [name, inside] of [
    ["moved", content],
    ["stable", kept],
  ] as const) {
    // prettier-ignore
    const directory = newDirectory();
    directory.entries.set(ascii("in"), bed.file(inside));
    root.entries.set(ascii(name), directory);
  }
  return root;
}

interface Places {
  readonly target: string;
  readonly upper: string;
  readonly work: string;
}

function places(): Places {
  return { target: bed.directory(), upper: bed.directory(), work: bed.directory() };
}

const modes = ["--mode=hybrid", "--mode=kernel"] as const;

function mount(name: string, { target, upper, work }: Places, more: readonly string[] = []) {
  const mode = more.some((each) => each.startsWith("--mode")) ? [] : ["--mode=hybrid"];
  const args = [...mode, "--upper", upper, "--work", work, ...more];
  const { status, stderr } = spawnSync(process.execPath, bed.args(name, target, args), {
    encoding: "utf8",
  });
  return { status, stderr };
}

function change(
  name: string,
  at: Places,
  work: (target: string) => void,
  more: string[] = [],
): void {
  expect(mount(name, at, more)).toMatchObject({ status: 0 });
  try {
    work(at.target);
  } finally {
    bed.unmount(at.target);
  }
}

const extra: string[] = [];
afterEach(() => {
  for (const target of extra.splice(0))
    if (isMounted(target)) unmountTarget(target, { lazy: true });
});

describe("an upper directory belongs to an image", () => {
  test.each(modes)("and another one is refused, in %s", (mode) => {
    const at = places();
    const more = [mode, "--require=metadata"];
    change("app:1", at, (target) => chmodSync(join(target, "file"), 0o600), more);
    const refused = mount("app:2", at, more);
    expect(refused).toMatchObject({ status: 2 });
    expect(refused.stderr).toMatch(
      /--upper .*: belongs to the image [0-9a-f]{64}, and this one is/,
    );
    expect(refused.stderr).toMatch(/--rebase-upper/);
    expect(isMounted(at.target)).toBe(false);
    change("app:1", at, (target) => {
      expect(statSync(join(target, "file")).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(target, "file")).equals(first)).toBe(true);
    }, more); // prettier-ignore
  });

  test("which no reader of the mount sees", () => {
    const at = places();
    change("app:1", at, (target) => {
      expect(listXattrs(fromText(`${target}/.`))).toEqual(["user.of-image"]);
    });
  });

  test("but not while it is empty, nor after a mount that failed", () => {
    const at = places();
    change("app:1", at, () => undefined);
    change("app:2", at, () => undefined);
    const fresh = { ...places(), target: join(bed.path, "nowhere") };
    expect(mount("app:1", fresh).status).not.toBe(0);
    expect(mount("app:1", { ...fresh, target: bed.directory() }, ["--subdir=/none"]).status).toBe(
      7,
    );
    change("app:2", { ...fresh, target: bed.directory() }, () => undefined);
  });

  test("and may hold files that somebody has put there", () => {
    const at = places();
    writeFileSync(join(at.upper, "added"), "added");
    change("app:1", at, (target) =>
      expect(readFileSync(join(target, "added"), "utf8")).toBe("added"),
    );
  });

  test("and is refused when it refers to an image that nobody knows", () => {
    const at = places();
    change("app:1", at, (target) => chmodSync(join(target, "file"), 0o600));
    spawnSync("setfattr", ["-x", "trusted.overlay.sealfs.image", at.upper]);
    for (const more of [[], ["--rebase-upper"]]) {
      const refused = mount("app:1", at, more);
      expect(refused).toMatchObject({ status: 2 });
      expect(refused.stderr).toMatch(/\/file has its content in an image, and which one is not/);
    }
  });
});

describe("--rebase-upper", () => {
  test("gives files their own content where only attributes were changed", () => {
    const at = places();
    change("app:1", at, (target) => {
      chmodSync(join(target, "file"), 0o600);
      utimesSync(join(target, "file"), 5, 5);
      setXattr(fromText(join(target, "file")), ascii("user.x"), ascii("x"));
      chmodSync(join(target, "same"), 0o640);
      chownSync(join(target, "inline"), 3, 3);
      renameSync(join(target, "moved", "in"), join(target, "out"));
      rmSync(join(target, "stable"), { recursive: true });
      writeFileSync(join(target, "new"), "new");
    });
    change("app:2", at, (target) => {
      const path = join(target, "file");
      expect(readFileSync(path).equals(first)).toBe(true);
      const { size, mode, mtimeMs } = statSync(path);
      expect({ size, mode: mode & 0o777, mtimeMs }).toEqual({ size: 20_000, mode: 0o600, mtimeMs: 5000 }); // prettier-ignore
      expect(getXattr(fromText(path), ascii("user.x"))).toBe("x");
      expect(readFileSync(join(target, "same")).equals(kept)).toBe(true);
      expect(readFileSync(join(target, "inline"), "utf8")).toBe("one\n");
      expect(readFileSync(join(target, "out")).equals(first)).toBe(true);
      expect(existsSync(join(target, "moved", "in"))).toBe(false);
      expect(existsSync(join(target, "stable"))).toBe(false);
      expect(readFileSync(join(target, "new"), "utf8")).toBe("new");
    }, ["--rebase-upper"]); // prettier-ignore
    const metacopy = ascii("trusted.overlay.metacopy");
    expect(getXattr(fromText(join(at.upper, "file")), metacopy)).toBeUndefined();
    expect(getXattr(fromText(join(at.upper, "same")), metacopy)).toBeDefined();
    // From now on it belongs to that image.
    expect(mount("app:1", at)).toMatchObject({ status: 2 });
    change("app:2", at, (target) =>
      expect(readFileSync(join(target, "file")).equals(first)).toBe(true),
    );
  });

  test("gives the root the look of the new image, unless it was changed", () => {
    const look = (target: string) => {
      const { mode, uid } = statSync(target);
      return [mode & 0o777, uid];
    };
    const write = (target: string) => writeFileSync(join(target, "new"), "new");
    const at = places();
    change("app:1", at, write);
    change("closed:1", at, (target) => expect(look(target)).toEqual([0o700, 9]), [
      "--rebase-upper",
    ]);
    for (const [work, expected] of [
      [(target: string) => chmodSync(target, 0o711), [0o711, 7]],
      [(target: string) => chownSync(target, 3, 3), [0o751, 3]],
    ] as const) {
      const changed = places();
      change("app:1", changed, (target) => {
        write(target);
        work(target);
      });
      const taken = (target: string) => expect(look(target)).toEqual(expected);
      change("closed:1", changed, taken, ["--rebase-upper"]);
      change("closed:1", changed, taken);
    }
    const mapped = places();
    const idmap = ["--idmap=0:1000:100"];
    change("app:1", mapped, write, idmap);
    change("closed:1", mapped, (target) => expect(look(target)).toEqual([0o700, 1009]), ["--rebase-upper", ...idmap]); // prettier-ignore
  });

  test("keeps capabilities, and sparse or large files as they are", () => {
    const at = places();
    change("app:1", at, (target) => {
      expect(spawnSync("setcap", ["cap_net_raw+ep", join(target, "file")]).status).toBe(0);
    });
    change("app:3", at, (target) => {
      const { stdout } = spawnSync("getcap", [join(target, "file")], { encoding: "utf8" });
      expect(stdout).toMatch(/cap_net_raw=ep/);
      expect(readFileSync(join(target, "file")).equals(first)).toBe(true);
    }, ["--rebase-upper"]); // prettier-ignore
  });

  test("takes renamed directories over where both images have the same in them", () => {
    const at = places();
    change("app:1", at, (target) => {
      renameSync(join(target, "stable"), join(target, "elsewhere"));
      chmodSync(join(target, "elsewhere", "in"), 0o600);
      renameSync(join(target, "moved"), join(target, "away"));
      renameSync(join(target, "away"), join(target, "moved"));
      chmodSync(join(target, "moved", "in"), 0o600);
    });
    change("app:2", at, (target) => {
      expect(readFileSync(join(target, "elsewhere", "in")).equals(kept)).toBe(true);
      expect(readFileSync(join(target, "moved", "in")).equals(first)).toBe(true);
    }, ["--rebase-upper"]); // prettier-ignore
  });

  test("refuses renamed directories that differ, and changes nothing then", () => {
    const at = places();
    change("app:1", at, (target) => {
      chmodSync(join(target, "file"), 0o600);
      renameSync(join(target, "moved"), join(target, "away"));
    });
    const refused = mount("app:2", at, ["--rebase-upper"]);
    expect(refused).toMatchObject({ status: 2 });
    expect(refused.stderr).toMatch(/\/away is the renamed directory moved/);
    // What the message says to do works.
    change("app:1", at, (target) => {
      spawnSync("cp", ["-a", join(target, "away"), join(target, "copy")]);
      rmSync(join(target, "away"), { recursive: true });
      renameSync(join(target, "copy"), join(target, "away"));
    });
    change("app:2", at, (target) => {
      expect(readFileSync(join(target, "away", "in")).equals(first)).toBe(true);
    }, ["--rebase-upper"]); // prettier-ignore
  });

  test("says what it lacks: the old image, or one of its objects", () => {
    const at = places();
    const lone = Buffer.alloc(7000, "lone ");
    const digest = bed.addTree("lone", treeOf(lone, "lone\n"));
    change("lone", at, (target) => chmodSync(join(target, "file"), 0o600));
    const object = bed.objectOf(bed.file(lone));
    rmSync(object);
    expect(mount("app:2", at, ["--rebase-upper"]).stderr).toMatch(
      /\/file: no store has its object/,
    );
    writeFileSync(object, lone);
    const image = bed.store.objects.path(digest as never);
    const bytes = readFileSync(image);
    rmSync(image);
    expect(mount("app:2", at, ["--rebase-upper"]).stderr).toMatch(
      /image .* belongs to is in no store/,
    );
    writeFileSync(image, bytes);
    change("app:2", at, (target) => expect(readFileSync(join(target, "file")).equals(lone)).toBe(true), ["--rebase-upper"]); // prettier-ignore
  });

  test("needs the directories that it is about", () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      bed.args("app:1", bed.directory(), ["--rebase-upper"]),
      { encoding: "utf8" },
    );
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/--upper/),
    });
  });
});

describe("the root directory", () => {
  test.each([0o700, 0o777, 0o1755])(
    "looks as signed over an upper directory of mode %o",
    (mode) => {
      const at = places();
      chmodSync(at.upper, mode);
      setXattr(fromText(at.upper), ascii("user.own"), ascii("own"));
      change("app:1", at, (target) => {
        const stat = statSync(target, { bigint: true });
        expect(Number(stat.mode) & 0o7777).toBe(0o751);
        expect(stat).toMatchObject({ uid: 7n, gid: 0n, mtimeNs: 981_173_106_123_456_789n });
        expect(listXattrs(fromText(`${target}/.`))).toEqual(["user.of-image"]);
        chmodSync(target, 0o711);
      });
      // From then on it is what was made of it.
      change("app:1", at, (target) => expect(statSync(target).mode & 0o7777).toBe(0o711));
    },
  );

  test("has the owner that --idmap shows", () => {
    const at = places();
    const idmap = ["--idmap=0:1000:100"];
    change("app:1", at, (target) => expect(statSync(target)).toMatchObject({ uid: 1007, gid: 1000 }), idmap); // prettier-ignore
  });
});

describe("directories that another mount has", () => {
  test("are refused, be they its upper or its work directory", () => {
    const at = places();
    expect(mount("app:1", at)).toMatchObject({ status: 0 });
    extra.push(at.target);
    for (const taken of [
      { upper: at.upper, work: at.work },
      { upper: at.upper, work: bed.directory() },
      { upper: bed.directory(), work: at.work },
      { upper: bed.directory(), work: at.upper },
    ]) {
      const refused = mount("app:1", { target: bed.directory(), ...taken });
      expect(refused.status).not.toBe(0);
      expect(refused.stderr).toMatch(/another mount uses it|expected an empty directory/);
    }
    writeFileSync(join(at.target, "still"), "works");
    bed.unmount(at.target);
    change("app:1", at, (target) => expect(readdirSync(target)).toContain("still"));
  });

  test("and one that no path leads to any more, or that is no mount of sealfs", () => {
    const at = places();
    expect(mount("app:1", at)).toMatchObject({ status: 0 });
    const user = spawnSync("sh", ["-c", `exec 3<"${at.target}"; umount -l "${at.target}"; "$@" 2>&1`, "-", process.execPath, ...bed.args("app:1", bed.directory(), ["--mode=hybrid", "--upper", at.upper, "--work", at.work])], { encoding: "utf8" }); // prettier-ignore
    expect(user.stdout).toMatch(/another mount uses it/);
    const other = places();
    const options = `lowerdir=${bed.path},upperdir=${other.upper},workdir=${other.work}`;
    spawnSync("mount", ["-t", "overlay", "other", "-o", options, other.target]);
    extra.push(other.target);
    expect(mount("app:1", { ...other, target: bed.directory() }).stderr).toMatch(
      /another mount uses/,
    );
  });

  test("and those that lie in them or contain them, as long as that mount lives", () => {
    const outer = bed.directory();
    const at = { target: bed.directory(), upper: join(outer, "up"), work: join(outer, "wk") };
    const inner = { upper: join(at.upper, "a/u"), work: join(at.upper, "a/w") };
    for (const path of [at.work, inner.upper, inner.work]) mkdirSync(path, { recursive: true });
    expect(mount("app:1", at)).toMatchObject({ status: 0 });
    extra.push(at.target);
    for (const [taken, reason] of [
      [inner, /--upper .*lies inside .*\/up, which another mount uses/],
      [{ upper: bed.directory(), work: inner.work }, /--work .*lies inside .*\/up, which another/],
      [{ upper: outer, work: bed.directory() }, /--upper .*contains .*\/up, which another mount/],
    ] as const) {
      const refused = mount("app:1", { target: bed.directory(), ...taken });
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(reason) });
    }
    bed.unmount(at.target);
    expect(mount("app:1", { ...at, upper: outer, work: bed.directory() })).toMatchObject({
      status: 0,
    });
  });

  test("one of several at the same time gets them", async () => {
    const at = places();
    const targets = [1, 2, 3].map(() => bed.directory());
    extra.push(...targets);
    const args = ["--mode=hybrid", "--upper", at.upper, "--work", at.work];
    const codes = await runAllNode(targets.map((target) => bed.args("app:1", target, args)));
    expect(codes.filter((code) => code === 0).length).toBe(1);
    expect(targets.filter((target) => isMounted(target)).length).toBe(1);
  });
});

describe("a directory that cannot be used is named, with the reason", () => {
  const refusal = (change: Partial<Places>) => mount("app:1", { ...places(), ...change }).stderr;

  test("not there, no directory, a symbolic link", () => {
    const link = join(bed.path, "link");
    symlinkSync(bed.directory(), link);
    expect(refusal({ work: join(bed.path, "no") })).toMatch(/--work .*\/no: not there\n.*mkdir/);
    expect(refusal({ upper: join(bed.path, "no") })).toMatch(/--upper .*\/no: not there\n.*mkdir/);
    expect(refusal({ upper: bed.keyFile })).toMatch(/--upper .*: expected a directory/);
    expect(refusal({ work: link })).toMatch(/--work .*: expected a directory, got a symbolic link/);
  });

  test("one in the other, or the same", () => {
    const outer = bed.directory();
    const inner = join(outer, "inner");
    mkdirSync(inner);
    expect(refusal({ upper: outer, work: inner })).toMatch(/--work .*lies inside --upper/);
    expect(refusal({ upper: inner, work: outer })).toMatch(/--work .*contains --upper/);
    expect(refusal({ upper: inner, work: inner })).toMatch(/--work .*is the directory of --upper/);
  });

  test("on another file system, or on another mount of it", () => {
    const memory = bed.directory();
    spawnSync("mount", ["-t", "tmpfs", "memory", memory]);
    extra.push(memory);
    expect(refusal({ work: memory })).toMatch(/--work .*tmpfs at .*another file system/);
    const bound = bed.directory();
    spawnSync("mount", ["--bind", bed.directory(), bound]);
    extra.push(bound);
    expect(refusal({ work: bound })).toMatch(/--work .*another mount of the same file system/);
    expect(refusal({ upper: "/proc/self", work: "/proc/tty" })).toMatch(/--upper .*symbolic link/);
    spawnSync("mount", ["-o", "remount,ro", memory]);
    expect(refusal({ upper: memory })).toMatch(/--upper .*read-only file system/);
  });

  test("on a file system that overlayfs does not take", () => {
    const [lower, upper, work, on] = [1, 2, 3, 4].map(() => bed.directory()) as [string, string, string, string]; // prettier-ignore
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    spawnSync("mount", ["-t", "overlay", "other", "-o", options, on]);
    extra.push(on);
    for (const name of ["u", "w"]) mkdirSync(join(on, name));
    const refused = refusal({ upper: join(on, "u"), work: join(on, "w") });
    expect(refused).toMatch(/--upper .*cannot keep changes on its file system \(overlay\)/);
    expect(refused).toMatch(/use directories on ext4/);
    const plain = bed.directory();
    spawnSync("mount", ["-t", "ramfs", "plain", plain]);
    extra.push(plain);
    for (const name of ["u", "w"]) mkdirSync(join(plain, name));
    expect(refusal({ upper: join(plain, "u"), work: join(plain, "w") })).toMatch(
      /--upper .*keeps no trusted extended attributes/,
    );
  });

  test("with something else in it, or in a store", () => {
    const work = bed.directory();
    writeFileSync(join(work, "mine"), "");
    expect(refusal({ work })).toMatch(/--work .*expected an empty directory, found "mine"/);
    expect(refusal({ upper: bed.store.path })).toMatch(/--upper .*apart from the store/);
    expect(refusal({ upper: bed.store.objects.directory })).toMatch(/apart from the store/);
  });
});
