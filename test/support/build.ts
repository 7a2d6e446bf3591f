/**
 * Compiles `src/` to `dist/`, bundles included, once before the tests. What tests import of `src/` is
 * loaded from `dist/` (vitest.config.ts), where threads, processes and commands are loaded from too: Node
 * 20 cannot load TypeScript there. `dist/` is that of `src/`: tests do not begin unless everything
 * compiles, nothing else is there afterwards, and a run during which `src/` has changed fails at its end.
 *
 * Only files that changed are replaced, each in one step, so that a command that is running meanwhile
 * never sees half a file.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Before the tests; what it returns is called after them. */
export default function build(): () => void {
  const tested = digestOf("src");
  buildInto(join(root, "dist"));
  return () => {
    if (digestOf("src") === tested) return;
    console.error("src/ has changed since the tests began: they have tested two revisions");
    process.exitCode = 1;
  };
}

/** Compiles into a folder of its own, and then makes `dist` the same. */
function buildInto(dist: string): void {
  mkdirSync(dist, { recursive: true });
  const fresh = mkdtempSync(join(root, ".dist-"));
  try {
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    run(compiler, "-p", "tsconfig.build.json", "--outDir", fresh);
    run("bundle.mjs", fresh);
    const files = filesIn(fresh);
    for (const file of files) {
      const target = join(dist, file);
      if (read(target)?.equals(readFileSync(join(fresh, file)))) continue;
      mkdirSync(dirname(target), { recursive: true });
      renameSync(join(fresh, file), target);
    }
    const current = new Set(files);
    for (const file of filesIn(dist)) {
      if (!current.has(file)) rmSync(join(dist, file));
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Runs a script of the project, whose output is only shown when it fails. */
function run(script: string, ...args: string[]): void {
  const result = spawnSync(process.execPath, [script, ...args], { cwd: root, encoding: "utf8" });
  if (result.status === 0) return;
  const output = `${result.stdout}${result.stderr}`.trim();
  throw new Error(
    `${script}: ${result.error?.message ?? `exit status ${result.status}`}\n${output}`,
  );
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** Of the names and contents of all files in a folder of the project. */
function digestOf(folder: string): string {
  const hash = createHash("sha256");
  for (const file of filesIn(join(root, folder))) {
    hash.update(`${file}\0`).update(readFileSync(join(root, folder, file)));
  }
  return hash.digest("hex");
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
