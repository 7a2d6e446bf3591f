/**
 * Finds the reference tools that some tests compare with: on PATH, or where `.ci/oracles` puts them.
 *
 * @module
 */
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** The path of the tool `name`, or undefined when this machine has none. */
export function oracle(name: string): string | undefined {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const installed = process.env["ORACLE"] ?? join(cache, "sealfs-oracle");
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), join(installed, "bin")];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // look in the next folder
    }
  }
  return undefined;
}
