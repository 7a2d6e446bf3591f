/** Trying the kernel, as far as that needs no root. */
import { readdirSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { probeKernel } from "../../../src/mount/probe/kernel.ts";
import { scratchFolder } from "../../support/scratch.ts";

afterEach(() => vi.unstubAllEnvs());

test("where no file can be written, probes that need one say so", () => {
  vi.stubEnv("TMPDIR", "/proc/nowhere");
  const { verity, overlay, enforcement } = probeKernel("/proc/nowhere");
  expect(verity).toMatchObject({ ok: false, reason: expect.stringMatching(/^probe: ENOENT/) });
  expect([overlay.ok, enforcement.ok]).toEqual([false, false]);
});

test("a store that cannot be written to is not tried for fs-verity, and nothing is left", () => {
  const scratch = scratchFolder();
  vi.stubEnv("TMPDIR", scratch);
  const { verity } = probeKernel("/proc/nowhere");
  expect(verity).toEqual({
    ok: false,
    code: "READ_ONLY",
    reason: "/proc/nowhere: not writable, so fs-verity is not tried",
  });
  expect(readdirSync(scratch)).toEqual([]);
});
