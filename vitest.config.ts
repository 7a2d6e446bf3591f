import { defineConfig } from "vitest/config";
import { cleanEnvironment } from "./test/support/environment.ts";

const report = process.env["VITEST_REPORT"];

cleanEnvironment();

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    // No test may remember versions in the home of whoever runs it.
    env: { SEALFS_STATE: "none" },
    // Many times what any test takes: a machine may be busy, and what hangs is found all the same.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 2,
    // .ci/run counts the tests from this file.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    coverage: { include: ["src/**/*.ts"], thresholds: { lines: 90, branches: 85 } },
  },
});
