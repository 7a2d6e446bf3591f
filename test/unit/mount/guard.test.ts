/** What stands by should a process be killed. */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { processesOf } from "../../support/processes.ts";
import { until } from "../../support/until.ts";
import { scratchFolder } from "../../support/scratch.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const scripts = ["guard.sh", "arm.sh"].map((name) => `mount/guard/${name}`);

const compiledFile = (name: string) => new URL(`../../../dist/${name}`, import.meta.url).href;
let folder: string;
beforeEach(() => {
  folder = scratchFolder();
});

/** A process that makes a guarded directory with something in it, and then does `last`. */
function run(last: string): string {
  const path = join(folder, `a directory ${randomUUID()}`);
  const code = `
    import { mkdirSync, writeFileSync } from "node:fs";
    import { basename, dirname } from "node:path";
    import { guardDirectory } from ${JSON.stringify(compiledFile("mount/guard/directory-guard.js"))};
    import { HeldDirectory } from ${JSON.stringify(compiledFile("fs/held-directory.js"))};
    const parent = HeldDirectory.open(dirname(process.argv[1]));
    const dismiss = guardDirectory(parent, basename(process.argv[1]));
    mkdirSync(process.argv[1]);
    writeFileSync(process.argv[1] + "/file", "");
    ${last}`;
  const args = ["--input-type=module", "-e", code, path];
  expect(spawnSync(process.execPath, args, { encoding: "utf8" }).stderr).toBe("");
  return path;
}

test("a guarded directory goes with its process when that is killed", async () => {
  const path = run("process.kill(process.pid, 'SIGKILL');");
  await until(() => !existsSync(path));
  expect(existsSync(folder)).toBe(true);
});

test("it stays when the guard was dismissed", async () => {
  const path = run("dismiss();");
  await until(() => processesOf(basename(path)).length === 0);
  expect(existsSync(join(path, "file"))).toBe(true);
});

test("shellcheck has nothing to say about the guard's scripts", (context) => {
  const missing = spawnSync("shellcheck", ["--version"]).status !== 0;
  context.skip(missing, "shellcheck is missing");
  const files = scripts.map((name) => `src/${name}`);
  const { stdout, status } = spawnSync("shellcheck", ["-s", "sh", ...files], { cwd: root });
  expect(stdout.toString()).toBe("");
  expect(status).toBe(0);
});

test("the scripts lie beside the compiled modules that start them, and so in the package", () => {
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    files: string[];
  };
  expect(files).toContain("dist");
  for (const name of scripts) {
    const text = readFileSync(join(root, "src", name), "utf8");
    expect(readFileSync(join(root, "dist", name), "utf8")).toBe(text);
  }
});
