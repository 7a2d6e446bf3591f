/**
 * Runs sealfs and other programs: in the test's own process, or in one of their own.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { toByteString } from "../../src/bytes/bytestring.ts";

/** The command as its users run it. */
export const bin = fileURLToPath(new URL("../../bin/sealfs.js", import.meta.url));

/** What a command in the test's own process said, and its exit status. */
export interface MainResult {
  readonly status: number;
  /** What it wrote to standard output, without the line end that it closes with. */
  readonly out: string;
  readonly err: string;
  /** The bytes on standard output. */
  readonly bytes: Uint8Array;
}

/** Time does not pass on it. */
export const stillClock = { now: () => 0, every: () => () => undefined };

/** Runs `sealfs` in the test's own process. */
export async function runMain(...argv: string[]): Promise<MainResult> {
  const out: Uint8Array[] = [];
  const err: string[] = [];
  const { main } = await import("../../src/cli/main.ts"); // few tests need all of it
  process.exitCode = 0;
  const status = await main(argv, {
    print: (line) => void out.push(Buffer.from(`${line}\n`)),
    write: (bytes) => void out.push(Uint8Array.from(bytes)),
    log: (line) => void err.push(line),
    writeSome: (bytes) => out.push(Uint8Array.from(bytes)) && bytes.length,
    draw: undefined,
    clock: stillClock,
  });
  process.exitCode = 0; // it was this command's, not that of the tests
  const bytes = Buffer.concat(out);
  return { status, out: bytes.toString().replace(/\n$/, ""), err: err.join("\n"), bytes };
}

/** The same; the test fails with what the command said when it does not succeed. */
export async function runMainOk(...argv: string[]): Promise<MainResult> {
  const result = await runMain(...argv);
  if (result.status !== 0) throw new Error(`sealfs ${argv.join(" ")}: ${result.err}`);
  return result;
}

/** What `sealfs` in a process of its own said. */
export interface SealfsResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sealfs` with `args` in a process of its own; standard input is empty unless given. */
export function sealfs(
  args: readonly string[],
  options: { cwd?: string; input?: Uint8Array; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): SealfsResult {
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

/** The same; the test fails with what the command said when it does not succeed. */
export function sealfsOk(args: readonly string[], options: Parameters<typeof sealfs>[1] = {}) {
  const result = sealfs(args, options);
  if (result.status !== 0) {
    throw new Error(`sealfs ${args.join(" ")}: exit ${result.status}\n${result.stderr}`);
  }
  return result;
}

/**
 * Runs any program; the test fails with what it said when it does not succeed.
 *
 * @returns standard output, a character for each byte
 */
export function runProgram(command: string, args: readonly string[], input = ""): string {
  const result = spawnSync(command, args, { input, timeout: 300_000, maxBuffer: 1 << 28 });
  if (result.status === 0) return toByteString(result.stdout);
  const said = result.error?.message ?? result.stderr.toString();
  throw new Error(`${command} ${args.join(" ")}: ${result.status} ${said}`);
}

/** Whether a program can be run and succeeds. */
export function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** Whether the shell finds a program. */
export function hasProgram(name: string): boolean {
  return succeeds("sh", "-c", `command -v ${name}`);
}

/** Runs several Node programs at the same time; gives their exit statuses. */
export async function runAllNode(
  calls: readonly (readonly string[])[],
): Promise<(number | null)[]> {
  return Promise.all(
    calls.map(
      (args) =>
        new Promise<number | null>((resolve, reject) => {
          const child = spawn(process.execPath, args, { stdio: "ignore" });
          child.once("error", reject).once("exit", resolve);
        }),
    ),
  );
}
