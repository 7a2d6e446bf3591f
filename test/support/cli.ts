/**
 * Runs the real command in a process of its own, as its user would.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const bin = fileURLToPath(new URL("../../bin/sealfs.js", import.meta.url));

/** Runs `sealfs` with `args`; standard input is empty unless given. */
export function sealfs(
  args: readonly string[],
  options: { cwd?: string; input?: Uint8Array; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): CliResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    input: options.input ?? "",
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 300_000,
    maxBuffer: 1 << 30,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

/** The same, and the test fails with what the command said when it does not succeed. */
export function sealfsOk(args: readonly string[], options: Parameters<typeof sealfs>[1] = {}) {
  const result = sealfs(args, options);
  if (result.status !== 0) {
    throw new Error(`sealfs ${args.join(" ")}: exit ${result.status}\n${result.stderr}`);
  }
  return result;
}
