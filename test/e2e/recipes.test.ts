/** The recipes of the documentation, run as they stand there. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { oracle } from "../support/oracle.ts";
import { bin } from "../support/run.ts";
import { scratchFolder } from "../support/scratch.ts";

const text = readFileSync(new URL("../../docs/recipes.md", import.meta.url), "utf8");
const recipes = Array.from(
  text.matchAll(/<!-- recipe: (\S+) -->\n\n```sh\n([^`]*)```/g),
  ([, name, commands]): [string, string] => [name!, commands!],
);
let folder: string;

beforeAll(() => {
  folder = scratchFolder();
  mkdirSync(join(folder, "app"));
  writeFileSync(join(folder, "app/file"), "content ".repeat(1000));
  mkdirSync(join(folder, "bin"));
  const script = `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`;
  writeFileSync(join(folder, "bin/sealfs"), script, { mode: 0o755 });
});

test("there are recipes", () => {
  expect(recipes.map(([name]) => name)).toEqual(["job", "elsewhere", "two", "renew"]);
});

test.skipIf(oracle("openssl") === undefined).each(recipes)(
  "%s works as it stands there (skipped without openssl)",
  (_, commands) => {
    const { status, stderr } = spawnSync("sh", ["-euc", commands], {
      cwd: folder,
      encoding: "utf8",
      env: {
        ...process.env,
        PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
        KEY_PASS: "open sesame",
      },
    });
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  },
);
