/** Owners shown as other users, in every mode that can. */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { probe } from "../../src/mount/probe/probe.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, newDirectory, noMount } from "../support/mount-bed.ts";

const stack = noMount() ?? noKernelStack();
let bed: MountBed;
beforeEach((context) => context.skip(stack !== undefined, stack));
beforeAll(() => {
  if (stack !== undefined) return;
  bed = new MountBed();
  const root = newDirectory();
  for (const [name, uid, gid] of [
    ["a", 0, 0],
    ["b", 5, 7],
    ["c", 900, 900],
  ] as const) {
    // prettier-ignore
    const inode = bed.file(Buffer.alloc(5000, name), 0o640);
    inode.uid = uid;
    inode.gid = gid;
    root.entries.set(ascii(name), inode);
  }
  bed.addTree("app:1", root);
});
afterAll(() => bed?.close());

const nobody = 65534;
const lack = () => {
  const finding = probe(bed.store.path).idmap;
  return finding.ok ? undefined : finding.reason;
};

describe.each([
  ["--mode=fuse"],
  ["--mode=hybrid"],
  ["--mode=kernel", "--require=metadata"],
  ["--mode=fuse", "--passthrough", "--require=open"],
])("%s %s %s", (...mode: string[]) => {
  beforeEach((context) => {
    const missing = lack();
    context.skip(missing !== undefined, missing);
  });

  test("each id as it is mapped, the others as nobody; access follows what is shown", () => {
    const map = ["--idmap=u:0:1000:10", "--idmap=g:0:2000:1 g:7:77:1"];
    const target = bed.mount("app:1", [...mode, ...map]);
    const owners = ["a", "b", "c"].map((name) => {
      const { uid, gid } = statSync(join(target, name));
      return [uid, gid];
    });
    const read = (uid: number, gid: number, name: string) => {
      const user = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "cat"];
      return spawnSync("setpriv", [...user, join(target, name)]).stdout.length;
    };
    try {
      expect(owners).toEqual([[1000, 2000], [1005, 77], [nobody, nobody]]); // prettier-ignore
      expect(read(1000, 1, "a")).toBe(5000);
      expect(read(1, 2000, "a")).toBe(5000);
      expect(read(1, 77, "b")).toBe(5000);
      expect(read(5, 7, "b")).toBe(0);
    } finally {
      bed.unmount(target);
    }
    // The next mount without a map is as the image says.
    const plain = bed.mount("app:1", mode);
    expect(statSync(join(plain, "b"))).toMatchObject({ uid: 5, gid: 7 });
    expect(readFileSync(join(plain, "b")).length).toBe(5000);
    bed.unmount(plain);
  });
});

test("a map that makes no sense, or a way that cannot, mounts nothing", () => {
  const attempt = (...args: string[]) =>
    spawnSync(process.execPath, bed.args("app:1", bed.directory(), args), { encoding: "utf8" });
  expect(attempt("--idmap=0:1")).toMatchObject({ status: 2 });
  const libfuse = attempt("--idmap=0:1000:1", "--transport=libfuse");
  expect(libfuse.stderr).toMatch(/libfuse mounts cannot show other owners/);
  expect(libfuse.status).toBe(1);
});
