/**
 * Temporary folders that remove themselves.
 *
 * @module
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestRunner, afterAll, onTestFinished } from "vitest";

const made = new Set<string>();

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
  made.delete(path);
}

// Registered before the hooks of the test file, and so run after them.
afterAll(() => made.forEach(remove));

/**
 * A new, empty folder: of a test, when it is made in one or in `beforeEach`, and of the whole file
 * otherwise. It goes after the hooks that come after the test or the file.
 *
 * @param parent below it; the folder of the system or of `TMPDIR` unless given
 */
export function scratchFolder(parent = tmpdir()): string {
  const path = scratchFolderOfFile(parent);
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => remove(path));
  return path;
}

/** The same, and it stays until the last test of the file: for what several tests share. */
export function scratchFolderOfFile(parent = tmpdir()): string {
  const path = realpathSync(mkdtempSync(join(parent, "sealfs-")));
  made.add(path);
  return path;
}
