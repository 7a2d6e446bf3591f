/**
 * Compiles `src/` to `dist/`, bundles included, once before the tests, for the tests that run the command or start
 * worker threads (Node 20 cannot load TypeScript in a worker). Only files that changed are replaced,
 * each in one step, so that a command that is running meanwhile never sees half a file.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export default function build(): void {
  const dist = join(root, "dist");
  mkdirSync(dist, { recursive: true });
  const fresh = mkdtempSync(join(root, ".dist-"));
  try {
    // Type errors are the business of `npm run types`: the compiler writes its output all the same.
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    const options = ["-p", "tsconfig.build.json", "--outDir", fresh];
    spawnSync(process.execPath, [compiler, ...options], { cwd: root });
    spawnSync(process.execPath, ["bundle.mjs", fresh], { cwd: root });
    for (const file of readdirSync(fresh, { recursive: true, encoding: "utf8" })) {
      if (!/\.(js|ts|map|json|txt)$/.test(file)) continue;
      const target = join(dist, file);
      if (read(target)?.equals(readFileSync(join(fresh, file)))) continue;
      mkdirSync(dirname(target), { recursive: true });
      renameSync(join(fresh, file), target);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
