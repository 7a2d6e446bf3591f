/**
 * Runs a command in the test's own process, with a fresh exit status and its output in the order
 * in which it came.
 *
 * @module
 */
import { main } from "../../src/cli/main.ts";

export async function run(...argv: string[]) {
  const out: Uint8Array[] = [];
  const err: string[] = [];
  process.exitCode = 0;
  const status = await main(argv, {
    print: (line) => void out.push(Buffer.from(`${line}\n`)),
    write: (bytes) => void out.push(Uint8Array.from(bytes)),
    log: (line) => void err.push(line),
    progress: () => ({ update() {}, end() {} }),
  });
  process.exitCode = 0; // it was this command's, not that of the tests
  const bytes = Buffer.concat(out);
  return { status, bytes, out: bytes.toString(), err: err.join("\n") };
}
