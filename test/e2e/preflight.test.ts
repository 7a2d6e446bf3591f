/** What the preflight finds on this machine, with the real command. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Preflight, preflight } from "../../src/mount/preflight.ts";
import { sealfs, sealfsOk } from "../support/run.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed } from "../support/mount-bed.ts";
import { readableBin } from "../support/readable-project.ts";

const reason = noKernelStack();
let bed: MountBed;
beforeEach((context) => context.skip(reason !== undefined, reason));
beforeAll(() => {
  if (reason === undefined) bed = new MountBed();
});
afterAll(() => bed?.close());

describe("the preflight", () => {
  test("tries everything and leaves nothing behind", () => {
    const files = readdirSync("/proc/self/fd").length;
    const { findings, modes } = preflight(bed.store.path);
    expect(findings).toMatchObject({
      privileged: { ok: true },
      image: { ok: true },
      overlay: { ok: true },
    });
    // Where fs-verity works, the kernel mode promises blocks; otherwise only metadata.
    const kernel = modes.filter(({ mode }) => mode === "kernel");
    expect(kernel.map(({ promise, possible }) => [promise, possible])).toEqual([
      ["block", findings.verity.ok && findings.enforcement.ok],
      ["metadata", true],
    ]);
    expect(readdirSync(join(bed.store.path, "tmp"))).toEqual([]);
    expect(readdirSync("/proc/self/fd").length).toBe(files);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("sealfs-probe");
  });

  test("prints a table, or a document for programs", () => {
    const { stdout } = sealfsOk(["preflight", "--store", bed.store.path]);
    expect(stdout).toMatch(/^MODE +PROMISE +HERE$/m);
    expect(stdout).toMatch(/^kernel +metadata +yes$/m);
    const json = sealfsOk(["preflight", "--store", bed.store.path, "--json"]);
    const report = JSON.parse(json.stdout) as Preflight;
    expect(report.store).toBe(bed.store.path);
    expect(report.modes.map(({ mode }) => mode)).toContain("fuse");
  });

  test("says what an ordinary user lacks", () => {
    const store = join(bed.path, "shared");
    mkdirSync(store);
    chmodSync(store, 0o777);
    const args = ["--reuid=65534", "--clear-groups", process.execPath, readableBin(), "preflight"];
    const run = spawnSync("setpriv", [...args, "--store", store], { encoding: "utf8" });
    expect(run.stderr).toBe("");
    expect(run.stdout).toMatch(/^kernel +block +no: only root may mount \(CAP_SYS_ADMIN\)$/m);
    expect(readdirSync(store)).toEqual([]);
  });

  test("needs a directory that is there", () => {
    expect(sealfs(["preflight", "--store", join(bed.path, "nowhere")]).status).toBe(7);
  });
});
