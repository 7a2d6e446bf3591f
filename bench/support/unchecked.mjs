/**
 * An installation of sealfs whose server gives out content without looking at it: what checking costs
 * shows beside it. It is a changed copy, because the real one has no such switch.
 *
 * @module
 */
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tools.mjs";

/** What is taken out of the server's threads: the check of what was read, and the leaves for it. */
const cuts = [
  [/([;}]#check\([^)]*\)\{)/, "$1return;"],
  [/if\(needsLeaves\)/, "if(false)"],
];

/** Makes the copy in `folder`; returns its command. */
export function uncheckedSealfs(folder) {
  const copy = join(folder, "unchecked");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const part of ["bin", "dist", "package.json"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const path = join(copy, "dist/bundle/fuse/fuse-worker.js");
  let code = readFileSync(path, "utf8");
  for (const [from, to] of cuts) {
    if (!from.test(code))
      throw new Error(`${path}: ${from} is not there: adapt ${import.meta.url}`);
    code = code.replace(from, to);
  }
  writeFileSync(path, code);
  return join(copy, "bin/sealfs.js");
}
