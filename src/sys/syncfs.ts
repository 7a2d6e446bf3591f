/**
 * syncfs(2): everything written to a file system so far is on the disk when it returns. Node has
 * no such call: `sync -f` of coreutils makes it, and reports its errors.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { SystemError } from "../errors.ts";

/**
 * Waits until all that was written to the file system of `directory` is on the disk. A failure
 * means that some of it may be lost, and a second try would not say so: the caller must throw its
 * work away.
 *
 * @throws {@link SystemError} `IO` when the system could not write
 */
export async function syncFileSystem(directory: string): Promise<void> {
  const child = spawn("sync", ["-f", "--", directory], { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (text.length < 1000) text += chunk.toString();
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (status !== 0) {
    throw new SystemError("IO", `sync of the file system of ${directory}: ${text.trim()}`);
  }
}
