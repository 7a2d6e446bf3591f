/**
 * Directories that the user has named.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import { UsageError } from "../errors.ts";

/**
 * Makes sure that a directory is there, itself and not a link to one. `what` names the path.
 *
 * @throws {@link UsageError} when something else is there; what the system says when nothing is
 */
export function requireUserDirectory(path: string, what: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) {
    throw new UsageError("USAGE", `${what}: expected a directory, got a symbolic link`, {
      hint: "name the directory that it points to",
    });
  }
  if (!stat.isDirectory()) throw new UsageError("USAGE", `${what}: expected a directory`);
}
