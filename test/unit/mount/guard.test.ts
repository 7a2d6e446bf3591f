/** What stands by should a process be killed. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../support/until.ts";

const compiled = new URL("../../../dist/mount/guard/guard.js", import.meta.url).href;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sealfs-guard-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A process that makes a guarded directory with something in it, and then does `last`. */
function run(last: string): string {
  const path = join(folder, "a directory");
  const code = `
    import { mkdirSync, writeFileSync } from "node:fs";
    import { guardDirectory } from ${JSON.stringify(compiled)};
    const dismiss = guardDirectory(process.argv[1]);
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
  await until(() => spawnSync("pgrep", ["-f", path]).status === 1);
  expect(existsSync(join(path, "file"))).toBe(true);
});
