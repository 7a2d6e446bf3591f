/** The examples and the README's first command do what they say. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { commands } from "../../src/cli/command-table.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const canMount = process.getuid?.() === 0 && existsSync("/dev/fuse");

test("the library example builds, signs, verifies and reads without root", () => {
  const out = execFileSync(process.execPath, ["examples/library.mjs"], { cwd: root }).toString();
  expect(out).toMatch(/^built [0-9a-f]{64}\nverified example\.org\/site:1\.0, signed by SHA256:/);
  expect(out.endsWith("listen 80\nroot /srv/www\n")).toBe(true);
});

test.skipIf(!canMount)(
  `the demo mounts the bundled image and sees a changed byte refused${canMount ? "" : " (needs root and /dev/fuse)"}`,
  () => {
    const { status, stdout, stderr } = spawnSync("sh", ["examples/demo.sh"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stderr).toContain("Input/output error");
    expect(stdout).toContain("<p>paragraph 2 of the front page</p>");
    expect(stdout.trim().endsWith("everything else was served.")).toBe(true);
    expect(status).toBe(0);
  },
);

test("the README names every command", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  for (const name of commands.keys()) expect(readme).toContain(`sealfs ${name}`);
});

test("the README's library example is the one in examples/", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const shown = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const example = readFileSync(join(root, "examples/library.mjs"), "utf8");
  for (const line of shown.split("\n").map((text) => text.trim())) expect(example).toContain(line);
});
