/**
 * Runs a command in the test's own process.
 *
 * @module
 */
import { main } from "../../src/cli/main.ts";

/** What a command said, and its exit status. */
export interface RunResult {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** Raw bytes on stdout. */
  readonly bytes: Uint8Array;
}

export async function run(...argv: string[]): Promise<RunResult> {
  const out: string[] = [];
  const err: string[] = [];
  const chunks: Uint8Array[] = [];
  const status = await main(argv, {
    print: (line) => void out.push(line),
    write: (bytes) => void chunks.push(Uint8Array.from(bytes)),
    log: (line) => void err.push(line),
    progress: () => ({ update() {}, end() {} }),
  });
  return { status, out: out.join("\n"), err: err.join("\n"), bytes: Buffer.concat(chunks) };
}
