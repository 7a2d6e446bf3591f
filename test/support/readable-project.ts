/**
 * The project where an ordinary user can read it: root's own clone usually lies below a home that
 * nobody else may enter, and may have been made with a umask that lets nobody else read.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scratchFolderOfFile } from "./scratch.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

let copy: string | undefined;

/** The folder of the copy: what runs, and the packages that it needs. It goes with the test file. */
export function readableProject(): string {
  if (copy !== undefined) return copy;
  const folder = scratchFolderOfFile();
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const packages = Object.entries(lock.packages).filter(
    ([path, { dev }]) => /^node_modules\/(?!.*\/node_modules\/)/.test(path) && dev !== true,
  );
  const parts = ["bin", "dist", "package.json", "test/support", ...packages.map(([path]) => path)];
  for (const part of parts) {
    try {
      cpSync(join(root, part), join(folder, part), { recursive: true });
    } catch (error) {
      // Optional packages need not be installed.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  spawnSync("chmod", ["-R", "a+rX", folder]);
  copy = folder;
  return folder;
}

/** The command, for an ordinary user. */
export function readableBin(): string {
  return join(readableProject(), "bin/sealfs.js");
}
