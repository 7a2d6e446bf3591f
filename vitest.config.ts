import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Plugin, defineConfig } from "vitest/config";
import { cleanEnvironment } from "./test/support/environment.ts";

const report = process.env["VITEST_REPORT"];

cleanEnvironment();

const source = `${import.meta.dirname}/src/`;

/** Modules that vitest loads itself, as it must where some of them are to be replaced. */
const REPLACEABLE = "?replaceable";

/**
 * Tests name files of `src/` and run what was compiled of them: the same files that threads, processes
 * and commands run, and users get.
 */
const compiled: Plugin = {
  name: "compiled",
  enforce: "pre",
  resolveId(id, importer) {
    if (importer === undefined || !id.startsWith(".")) return undefined;
    const path = resolve(dirname(importer), id);
    if (importer.endsWith(REPLACEABLE)) return `${path}${REPLACEABLE}`;
    if (!path.startsWith(source)) return undefined;
    const module = path.slice(source.length).replace(/\.ts$/, ".js");
    const isReplacing = readFileSync(importer, "utf8").includes("vi.mock(");
    return `${import.meta.dirname}/dist/${module}${isReplacing ? REPLACEABLE : ""}`;
  },
};

export default defineConfig({
  plugins: [compiled],
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/build.ts"],
    // No test may remember versions in the home of whoever runs it, nor ask the registries of theirs.
    env: { SEALFS_STATE: "none", CONTAINERS_REGISTRIES_CONF: "/dev/null" },
    // Many times what any test takes: a machine may be busy, and what hangs is found all the same.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    // Node loads what was compiled, which takes half the time.
    server: { deps: { external: [/\/dist\/[^?]*$/] } },
    maxWorkers: 2,
    // .ci/run counts the tests from this file.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    coverage: {
      include: ["dist/**/*.js"],
      exclude: ["dist/bundle/**"],
      thresholds: { lines: 90, branches: 85 },
    },
  },
});
