/**
 * mount.sealfs under the real mount(8) and with fstab(5), in a mount namespace where it stands beside the
 * system's own helpers.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { type MountBed, newDirectory, noMount, useMountBed } from "../support/mount-bed.ts";
import { noKernelStack } from "../support/kernel.ts";
import { until } from "../support/until.ts";
import { readableProject } from "../support/readable-project.ts";

const helper = join(readableProject(), "bin/mount.sealfs.js");
const own = spawnSync("unshare", ["-m", "--propagation", "private", "mount", "-t", "tmpfs", "t", "/mnt"]); // prettier-ignore
const reason = noMount() ?? (own.status === 0 ? undefined : "no mount namespace of our own");

let bed: MountBed;
let options: string;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  root.entries.set(ascii("large"), bed.file(Buffer.alloc(300_000, "large ")));
  root.entries.set(ascii("text"), bed.file(Buffer.from("text\n")));
  root.entries.set(ascii("run"), bed.file(Buffer.from("#!/bin/sh\necho ran\n"), 0o755));
  bed.addTree("app:1", root);
  mkdirSync(join(bed.path, "sbin"));
  symlinkSync(helper, join(bed.path, "sbin/mount.sealfs"));
  options = `store=${bed.store.path},key=${bed.keyFile},state=none`;
});
afterAll(async () => {
  if (reason !== undefined) return;
  // A server keeps its mount namespace, which nobody else can enter any more.
  const servers = () => spawnSync("pgrep", ["-f", `server.js.*${bed.path}/`]).stdout.toString();
  try {
    await until(() => servers() === "");
  } finally {
    for (const pid of servers().split("\n").filter(Boolean)) process.kill(Number(pid));
    bed.close();
  }
});

interface Said {
  readonly status: number | null;
  readonly out: string;
}

/** Runs a shell script where /sbin has the helper; what it mounts ends with it. */
function system(script: string, env: NodeJS.ProcessEnv = {}): Said {
  const place = `exec 2>&1; mount -t overlay overlay -o lowerdir=${bed.path}/sbin:/usr/sbin /usr/sbin || exit 99\n`;
  const run = spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", place + script], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 300_000,
  });
  return { status: run.status, out: run.stdout + run.stderr };
}

/** Writes an fstab. */
function fstab(...lines: string[]): string {
  const path = join(bed.path, "fstab");
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

describe("mount -t sealfs", () => {
  test("mounts, says what it mounted, and umount(8) ends it", () => {
    const target = bed.directory();
    const { out, status } = system(
      `mount -t sealfs app:1 ${target} -o ro,${options},mode=fuse || exit
       cat ${target}/text; findmnt -n -o SOURCE,FSTYPE,OPTIONS ${target}
       umount ${target}
       while pgrep -f '[s]erver.js.*${target}"' >/dev/null; do sleep 0.1; done
       grep -c ${target} /proc/self/mountinfo`,
    );
    expect(out).toContain("mounted app:1 on");
    expect(out).toContain("\ntext\n");
    expect(out).toMatch(/sealfs:app:1 fuse\.sealfs ro,nosuid,nodev,/);
    expect(out).toMatch(/\n0\n$/); // nothing is mounted, no server lives
    expect(status).toBe(1); // grep's
  });

  test("takes the options of sealfs mount, with _ for -, and values with commas in quotes", () => {
    const target = bed.directory();
    const odd = join(bed.path, "a,b.pub");
    writeFileSync(odd, readFileSync(bed.keyFile));
    const { out } = system(
      `mount -t sealfs sealfs:app:1 ${target} -o 'ro,noexec,noallow_other,transport=dev,store=${bed.store.path},sealfs.key="${odd}",state=none'
       findmnt -n -o OPTIONS ${target}; ${target}/run; sh ${target}/run; umount ${target}`,
    );
    expect(out).toMatch(/^ro,nosuid,nodev,noexec,/m);
    expect(out).not.toContain("allow_other");
    expect(out).toMatch(/run: Permission denied/);
    expect(out).toMatch(/^ran$/m);
  });

  test("does X-mount.mkdir, .subdir and .idmap by itself, where mount(8) does not", () => {
    const target = join(bed.directory(), "made", "below");
    const more = "X-mount.mkdir=711,X-mount.subdir=/,X-mount.idmap=0:1000:100,X-mount.noloop";
    const run = spawnSync(process.execPath, [
      helper,
      "app:1",
      target,
      "-o",
      `ro,${options},${more}`,
    ]);
    expect(run.stderr.toString()).toMatch(/mounted app:1 on/);
    try {
      expect(statSync(join(target, "text")).uid).toBe(1000);
    } finally {
      bed.unmount(target);
    }
    expect(statSync(target).mode & 0o777).toBe(0o711);
  });

  test("takes allow_suid and allow_dev, and says so in the list of mounts", () => {
    for (const mode of ["fuse", "hybrid"]) {
      const target = bed.directory();
      const { out } = system(
        `mount -t sealfs app:1 ${target} -o ro,allow_suid,allow_dev,mode=${mode},${options}
         findmnt -n -o OPTIONS ${target}; umount ${target}`,
      );
      expect(out).toMatch(/^ro,relatime/m);
      expect(out).not.toMatch(/nosuid|nodev/);
    }
  });

  test.each([
    ["no word about writing, which means rw", "", /an image is read-only\n +add ro/, 1],
    ["rw", "rw", /an image is read-only/, 1],
    [
      "ro with directories for changes",
      "ro,upper=/u,work=/w",
      /options ro and upper: expected only one/,
      1,
    ],
    ["an option that nobody knows", "ro,colour=blue", /option colour: not known/, 1],
    ["a value where none belongs", "ro,nonempty=1", /option nonempty: expected no value/, 1],
    ["no value where one belongs", "ro,mode", /option mode: expected a value/, 1],
    ["a value that is not one", "ro,mode=wrong", /argument 'wrong' is invalid/, 1],
  ])("refuses %s", (_, more, message, status) => {
    const target = bed.directory();
    const said = system(`mount -t sealfs app:1 ${target} -o '${options},${more}'`);
    expect(said.out).toMatch(message);
    expect(said.status).toBe(status);
  });

  test.each([
    ["owners of its own", ["-o", "ro,X-mount.owner=0"], /X-mount.owner: cannot be done\n.*idmap=/],
    ["modes of its own", ["-o", "ro,x-mount.mode=700"], /X-mount.mode: cannot be done/],
    ["what nobody knows", ["-o", "ro,X-mount.colour"], /X-mount.colour: cannot be done/],
    [
      "a mode that is none",
      ["-o", "ro,X-mount.mkdir=rwx"],
      /X-mount.mkdir: expected an octal mode/,
    ],
    ["no directory", ["-o", "ro,X-mount.subdir="], /X-mount.subdir: expected a value/],
    [
      "suid, which mount(8) would swallow",
      ["-o", "ro,suid"],
      /option suid: .*nosuid\n.*allow_suid/,
    ],
    ["dev, which mount(8) would swallow", ["-o", "ro,dev"], /option dev: .*nodev\n.*allow_dev/],
    ["a quote that is not closed", ["-o", 'ro,key="x'], /expected a closing quote/],
    ["an option without a name", ["-o", "ro,=x"], /option =x: expected a name/],
    ["a namespace, which mount(8) enters by itself", ["-N", "x"], /option -N is not known/],
    ["-o without options", ["-o"], /option -o: expected a value/],
    ["three names", ["third"], /expected an image and a directory/],
  ])("refuses %s, called by itself", (_, more, message) => {
    const run = spawnSync(process.execPath, [helper, "app:1", "/nowhere", ...more]);
    expect(run.stderr.toString()).toMatch(message);
    expect(run.status).toBe(1);
  });

  test("fails with the status of failed mounts, and mounts nothing, when the image is refused", () => {
    const target = bed.directory();
    const missing = system(
      `mount -t sealfs none:1 ${target} -o ro,${options}; echo status $?; grep -c ${target} /proc/self/mountinfo`,
    );
    expect(missing.out).toMatch(/none:1.*\n(.*\n)*status 32\n0\n/);
    const stranger = join(bed.path, "stranger.pub");
    writeFileSync(stranger, readFileSync(bed.keyFile, "utf8").replace(/[A-Za-z0-9+/]{20}=/, "AAAAAAAAAAAAAAAAAAAA=")); // prettier-ignore
    const refused = system(
      `mount -t sealfs app:1 ${target} -o ro,store=${bed.store.path},key=${stranger},state=none`,
    );
    expect(refused.status).toBe(32);
  });

  test("-s leaves unknown options out, -f verifies only, -v says what is done, -n is fine", () => {
    const target = bed.directory();
    const sloppy = system(`mount -s -n -t sealfs app:1 ${target} -o ro,colour=blue,${options} && cat ${target}/text; umount ${target}`); // prettier-ignore
    expect(sloppy.out).toContain("text\n");
    const fake = system(`mount -f -v -t sealfs app:1 ${target} -o ro,${options}; grep -c ${target} /proc/self/mountinfo`); // prettier-ignore
    expect(fake.out).toMatch(/mount\.sealfs: sealfs mount --store=/);
    expect(fake.out).toMatch(/verified app:1: not mounted/);
    expect(fake.out).toMatch(/^0$/m);
    expect(system(`mount -f -t sealfs none:1 ${target} -o ro,${options}`).status).toBe(32);
  });
});

describe("fstab", () => {
  const line = (target: string, more = "", source = "app:1") =>
    `${source} ${target} sealfs ro,mode=fuse,${options}${more} 0 0`;

  test("a line with all that readers other than the helper want", () => {
    const target = bed.directory();
    const extra =
      ",nofail,_netdev,noauto,noatime,x-systemd.requires=network.target,x-other,comment=c";
    const file = fstab(line(target, extra));
    const { out } = system(
      `mount --fstab ${file} ${target} && cat ${target}/text; umount ${target}`,
    );
    expect(out).toContain("text\n");
  });

  test("mount -a mounts each once; the name may be written as the list of mounts shows it", () => {
    const [first, second] = [bed.directory(), bed.directory()];
    const file = fstab(line(first, "", "sealfs:app:1"), line(second, ",noauto"), "# comment");
    const { out } = system(
      `mount -a -T ${file}; echo first $?; mount -a -T ${file}; echo again $?
       grep -c ' ${first} ' /proc/self/mountinfo; grep -c ' ${second} ' /proc/self/mountinfo; cat ${first}/text; umount ${first}`,
    );
    expect(out).toMatch(/first 0\n(.*\n)*again 0\n1\n0\ntext\n/);
  });

  test("nofail does not stop others, and what fails is told", () => {
    const [bad, good] = [bed.directory(), bed.directory()];
    const file = fstab(line(bad, ",nofail", "sealfs:none:1"), line(good, "", "sealfs:app:1"));
    const { out } = system(`mount -a -T ${file}; cat ${good}/text; umount ${good}`);
    expect(out).toMatch(/none:1/);
    expect(out).toContain("text\n");
  });

  test("directories for changes, which outlive the mount", (context) => {
    const missing = noKernelStack();
    context.skip(missing !== undefined, missing);
    const [target, upper, work] = [bed.directory(), bed.directory(), bed.directory()];
    const file = fstab(
      `sealfs:app:1 ${target} sealfs rw,upper=${upper},work=${work},${options} 0 0`,
    );
    const { out } = system(
      `mount -a -T ${file}; echo more >>${target}/text; cat ${target}/text; umount ${target}
       mount -a -T ${file}; cat ${target}/text; cksum <${target}/large; umount ${target}`,
    );
    expect(out).toMatch(/text\nmore\n(.*\n)*text\nmore\n\d+ 300000/);
    expect(readFileSync(join(upper, "text"), "utf8")).toBe("text\nmore\n");
  });

  test("a line with user lets an ordinary user mount, through fusermount3", (context) => {
    const target = bed.directory();
    chmodSync(target, 0o777);
    const file = "/etc/fstab";
    const own = fstab(line(target, ",user,noauto"));
    const device = join(bed.path, "fuse");
    // mount(8) believes no other fstab when it is called by an ordinary user.
    const { out } = system(
      `[ -u "$(command -v mount)" ] || exit 77
       [ -e ${file} ] || exit 77; mount --bind ${own} ${file} || exit 77
       mknod ${device} c 10 229; chmod 666 ${device}; mount --bind ${device} /dev/fuse
       setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'mount ${target}; cat ${target}/text; grep ${target} /proc/self/mountinfo; fusermount3 -u ${target}'`,
    );
    if (out === "") context.skip("mount is not set-user-id root, or no /etc/fstab");
    expect(out).toContain("(fuse over fusermount, block)");
    expect(out).toContain("text\n");
    expect(out).toMatch(/noexec.*user_id=65534/); // user means noexec
  });
});
