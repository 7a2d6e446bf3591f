/**
 * Runs a command in this process and keeps what it says.
 *
 * @module
 */
import { main } from "../../src/cli/main.ts";

export async function run(...argv: string[]) {
  const out: Uint8Array[] = [];
  const err: string[] = [];
  const before = process.exitCode;
  process.exitCode = undefined;
  const status = await main(argv, {
    print: (line) => void out.push(Buffer.from(`${line}\n`)),
    write: (bytes) => void out.push(Uint8Array.from(bytes)),
    log: (line) => void err.push(line),
    progress: () => ({ update() {}, end() {} }),
  });
  process.exitCode = before;
  const bytes = Buffer.concat(out);
  return { status, bytes, out: bytes.toString(), err: err.join("\n") };
}
