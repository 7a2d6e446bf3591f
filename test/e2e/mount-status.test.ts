/** What `sealfs status` and the metrics tell of real mounts in every mode. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, statfsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { signImage } from "../../src/sign/sign-image.ts";
import { Transaction } from "../../src/store/transaction.ts";
import { runProgram, sealfs, sealfsOk } from "../support/run.ts";
import { ways } from "../support/modes.ts";
import {
  type MountBed,
  isMounted,
  newDirectory,
  noMount,
  useMountBed,
} from "../support/mount-bed.ts";
import { processesOf, serverOf } from "../support/processes.ts";
import { statusNow, statusOf } from "../support/status.ts";
import { until } from "../support/until.ts";

const reason = noMount();
/** Other tests mount images of other names. */
const name = `status-${process.pid}:1`;
const content = Buffer.alloc(300_000, "large ");
let bed: MountBed;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  root.entries.set(ascii("large"), bed.file(content));
  const bad = bed.file(Buffer.alloc(5000, "bad"));
  root.entries.set(ascii("bad"), bad);
  writeFileSync(bed.objectOf(bad), Buffer.alloc(5000, "evil"));
  const absent = bed.file(Buffer.alloc(5001, "absent"));
  root.entries.set(ascii("absent"), absent);
  rmSync(bed.objectOf(absent));
  bed.addTree(name, root);
});

describe.each(ways)("mode $name", ({ mode, transport, args, missing }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));

  // Elsewhere the kernel asks for the directory of objects while it mounts.
  if (mode === "fuse") {
    test("a server asks nothing of its own mount: killed while it waited, it could not end", async () => {
      const { counters } = await statusOf(bed.mount(name, args));
      expect(counters?.requests).toEqual({});
    });
  }

  test("status tells who signed it, how it is mounted, and what was done", async () => {
    const target = bed.mount(name, args);
    expect(readFileSync(join(target, "large")).equals(content)).toBe(true);
    for (const each of ["bad", "absent"]) spawnSync("cat", [join(target, each)]);
    const found = await statusOf(target);
    const digest = bed.store.images.resolve(name);
    expect(found).toMatchObject({
      condition: "live",
      visible: true,
      target,
      name,
      mode,
      promise: mode === "kernel" ? "metadata" : "block",
      pid: serverOf(target),
      expired: false,
      stores: [bed.store.path],
      image: { name, digest, version: 1, signedBy: [bed.key.publicKey.id] },
    });
    if (transport !== undefined) expect(found.transport).toBe(transport);
    if (mode === "kernel") expect(found.counters).toBeUndefined();
    else {
      const { counters } = found;
      expect(counters?.readBytes).toBe(300_000);
      expect(counters?.requests["READ"]).toBeGreaterThanOrEqual(1);
      expect(counters?.verifiedBlocks).toBeGreaterThanOrEqual(Math.ceil(300_000 / 4096));
      expect(counters?.failures.content).toBeGreaterThanOrEqual(1);
      expect(counters?.failures.missing).toBeGreaterThanOrEqual(1);
      expect(counters?.failures.other).toBe(0);
      expect(counters?.latency.read.buckets.at(-1)).toBe(counters?.requests["READ"]);
    }
    expect(statusNow(name).map((each) => each.target)).toContain(target);
    await until(() => {
      const lines = sealfsOk(["status"]).stdout.split("\n");
      const line = lines.find((each) => each.startsWith(target));
      expect(line).toMatch(new RegExp(`${name} .*${mode}.* live `));
    });
    bed.unmount(target);
    // In mode kernel umount does not wait for a server that takes longer to end.
    await until(() => sealfs(["status", target]).status === 7);
  });

  test("status tells how much there is, and how much of it is missing; df what it can", async () => {
    const target = bed.mount(name, args);
    const bytes = 300_000 + 5000 + 5001;
    const figures = { files: 4, bytes, objects: 3, objectBytes: bytes };
    const { content: found } = await statusOf(target);
    expect(found).toEqual({ ...figures, missingObjects: 1, missingBytes: 5001 });
    await until(() => {
      const lines = sealfsOk(["status", target]).stdout;
      expect(lines).toMatch(/^content +4 files, 302\.7 KiB$/m);
      expect(lines).toMatch(/^in stores +2 of 3 objects, 297\.9 KiB of 302\.7 KiB$/m);
    });
    await until(() => statusNow(name).every((each) => each.content !== undefined));
    expect(statusNow().every((each) => each.content === undefined)).toBe(true);
    const image = statSync(bed.store.objects.path(bed.store.images.resolve(name))).size;
    const { blocks, bfree, bsize } = statfsSync(target);
    const contentBlocks = mode === "fuse" ? 74 + 2 + 2 : 0;
    expect(blocks * bsize).toBe((Math.ceil(image / 4096) + contentBlocks) * 4096);
    expect(bfree).toBe(0);
    bed.unmount(target);
  });

  test("metrics come out of a file and out of a socket, and end with the mount", async () => {
    const file = join(bed.path, `${mode}-${transport}.prom`);
    const target = bed.mount(name, [...args, "--metrics", file]);
    expect(readFileSync(file, "utf8")).toContain("sealfs_mount_up{");
    readFileSync(join(target, "large"));
    bed.unmount(target);
    const last = readFileSync(file, "utf8");
    expect(last).toMatch(/^sealfs_mount_up\{.*\} 0$/m);
    if (mode !== "kernel") expect(last).toMatch(/^sealfs_read_bytes_total\{.*\} 300000$/m);

    const socketPath = join(mkdtempSync(join(bed.path, "metrics-")), "sock");
    const again = bed.mount(name, [...args, "--metrics", `unix:${socketPath}`]);
    const text = await new Promise<string>((resolve, reject) => {
      request({ socketPath, path: "/metrics" }, (response) => {
        let all = "";
        response.on("data", (chunk: Buffer) => (all += chunk.toString()));
        response.on("end", () => resolve(all));
      })
        .on("error", reject)
        .end();
    });
    expect(text).toMatch(/^sealfs_mount_up\{.*\} 1$/m);
    process.kill(serverOf(again), "SIGKILL");
    await until(() => !isMounted(again));
    await until(() => spawnSync("test", ["-e", socketPath]).status !== 0);
  });
});

test("a server that was killed together with its guard leaves an entry that status clears", async () => {
  const target = bed.mount(name, ["--mode=fuse"]);
  const server = serverOf(target);
  const guards = processesOf(target).filter((each) => each.includes(` sealfs-guard ${target} `));
  expect(guards.length).toBeGreaterThan(0);
  for (const guard of guards) process.kill(Number.parseInt(guard, 10), "SIGKILL");
  process.kill(server, "SIGKILL");
  const dead = { condition: "dead", visible: true, name };
  await until(() => expect(statusNow(target)).toMatchObject([dead]));
  expect(sealfsOk(["status", target]).stdout).toContain("end it with sealfs umount");
  runProgram("umount", ["-l", target]); // by somebody who knows nothing of sealfs
  expect(sealfs(["status", target]).status).toBe(7);
  const left = spawnSync("grep", ["-ls", `"${target}"`, "-r", "/run/sealfs"], { encoding: "utf8" });
  expect(left.stdout).toBe("");
});

test("a server that does not answer is shown as what is known of it", async () => {
  const target = bed.mount(name, ["--mode=fuse"]);
  const server = serverOf(target);
  process.kill(server, "SIGSTOP");
  try {
    expect(statusNow(target)).toMatchObject([{ condition: "silent", name, pid: server }]);
  } finally {
    process.kill(server, "SIGCONT");
  }
  bed.unmount(target);
});

test("a mount whose image expires stays, says so, and no new one is made", async () => {
  const target = bed.directory();
  const other = bed.directory();
  const image = bed.store.readImage(bed.store.images.resolve(name));
  const ms = await msOf(() => statusOf(bed.mount(name, ["--mode=fuse"])));
  const lifeMs = 1000 * Math.ceil(3 + (4 * ms) / 1000);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const { bundle, keyId, statement } = signImage(image, {
    name: "brief:1",
    key: bed.key,
    version: 1,
    created: new Date(now - 60_000),
    expires: new Date(now + lifeMs),
  });
  const transaction = Transaction.begin(bed.store, { durability: "none" });
  const bundles = [{ keyId, bytes: bundle, name: "brief:1" }];
  transaction.publish({ image: statement.verityDigest, name: "brief:1", bundles });
  transaction.close();
  bed.mount("brief:1", ["--metrics", join(bed.path, "brief.prom")], target);
  expect(await statusOf(target)).toMatchObject({ condition: "live", expired: false });
  const expired = { condition: "expired", expired: true };
  await until(async () => expect(await statusOf(target)).toMatchObject(expired));
  expect(sealfsOk(["status", target]).stdout).toContain("EXPIRED");
  expect(readFileSync(join(target, "large")).equals(content)).toBe(true);
  await until(() => bed.readLog().some((line) => /brief:1 has expired/.test(line)));
  const refused = spawnSync(process.execPath, bed.args("brief:1", other), { encoding: "utf8" });
  expect(refused.status).toBe(5);
  expect(refused.stderr).toMatch(/expired/i);
  expect(isMounted(other)).toBe(false);
  bed.unmount(target);
  expect(readFileSync(join(bed.path, "brief.prom"), "utf8")).toMatch(/^sealfs_image_expired\{.*\} 1$/m); // prettier-ignore
});

test("metrics that cannot be given out keep the image from being mounted", () => {
  const target = bed.directory();
  const file = join(bed.path, "taken");
  writeFileSync(file, "mine");
  const args = ["--metrics", `unix:${file}`];
  const refused = spawnSync(process.execPath, bed.args(name, target, args), {
    encoding: "utf8",
  });
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("another file is there");
  expect(readFileSync(file, "utf8")).toBe("mine");
  expect(isMounted(target)).toBe(false);
});

/** How long something takes on this machine as it is now. */
async function msOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
