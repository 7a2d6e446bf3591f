/**
 * A small part of the fault sweep and of the power loss cycles; `npm run test:faults` runs all of
 * them (docs/store.md, "What a power failure can do").
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hasProgram, succeeds } from "../../support/run.ts";

const script = (name: string) => fileURLToPath(new URL(`../../faults/${name}`, import.meta.url));

const canTrace = succeeds("strace", "-f", "-e", "trace=none", "true");
const canMount = process.getuid?.() === 0 && succeeds("losetup", "-f");

function runScript(name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script(name), ...args], {
    encoding: "utf8",
  });
  const last = stdout.trimEnd().split("\n").at(-1)!;
  return { status, stdout, stderr, totals: JSON.parse(last.startsWith("{") ? last : "{}") };
}

describe.skipIf(!canTrace)("faults (skipped where strace cannot trace)", () => {
  // Coprime steps, so that different calls are hit in each scenario.
  test.each([
    ["gc", "13"],
    ["rm", "5"],
    ["import", "23"],
    ["build-object", "37"],
  ])("%s killed or failing at a call leaves a good store", (scenario, every) => {
    const args = ["--scenario", scenario, "--every", every, "--errors", "EIO,EDQUOT"];
    const { status, stdout, stderr, totals } = runScript("sweep.mjs", ...args);
    expect(stdout + stderr).not.toContain("FAIL");
    expect(status).toBe(0);
    expect(totals.kills + totals.errors).toBeGreaterThan(2);
  });
});

describe.skipIf(!canMount)("power loss (skipped without root or loop devices)", () => {
  const cycles = process.env["SLOW"] === "1" ? "60" : "6";

  test.skipIf(!hasProgram("mkfs.ext4"))("on ext4 takes nothing that was acknowledged", () => {
    const { status, stdout, totals } = runScript(
      "power-loss.mjs",
      "--cycles",
      cycles,
      "--fs",
      "ext4",
    );
    expect(stdout).not.toContain("FAIL");
    expect(status).toBe(0);
    expect(totals).toMatchObject({ cycles: Number(cycles), damaged: 0 });
  });

  test.skipIf(!hasProgram("mkfs.xfs"))("on XFS takes nothing that was acknowledged", () => {
    const { status, totals } = runScript("power-loss.mjs", "--cycles", cycles, "--fs", "xfs");
    expect(status).toBe(0);
    expect(totals).toMatchObject({ cycles: Number(cycles), damaged: 0 });
  });

  test.skipIf(!hasProgram("mkfs.ext4"))(
    "is noticed by the test itself, when syncs are left away",
    () => {
      const args = ["--cycles", "6", "--fs", "ext4", "--durability", "none"];
      expect(runScript("power-loss.mjs", ...args).totals.damaged).toBeGreaterThan(0);
    },
  );
});
