/**
 * Compiles `src/` to `dist/` once before the tests, for the tests that run the command or start
 * worker threads (Node 20 cannot load TypeScript in a worker).
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export default function build(): void {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  // Type errors are the business of `npm run types`: the compiler writes its output all the same.
  spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    cwd: root,
  });
}
