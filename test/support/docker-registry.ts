/**
 * The registry that everybody knows (distribution 2.8, Debian's docker-registry), where it is installed.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { oracle } from "./oracle.ts";

export const dockerRegistry = oracle("docker-registry");

export interface RunningRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Starts one with an empty storage of its own; with `htpasswd` it wants a password. */
export async function startDockerRegistry(htpasswd?: string): Promise<RunningRegistry> {
  const folder = mkdtempSync(join(tmpdir(), "sealfs-registry-"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  writeFileSync(join(folder, "htpasswd"), htpasswd ?? "");
  const auth =
    htpasswd === undefined ? "" : `auth: {htpasswd: {realm: test, path: ${folder}/htpasswd}}\n`;
  writeFileSync(
    join(folder, "config.yml"),
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n` +
      `storage: {filesystem: {rootdirectory: ${folder}/data}, delete: {enabled: true}}\n` +
      `http: {addr: "${host}", secret: test}\n${auth}`,
  );
  const env = { ...process.env, OTEL_TRACES_EXPORTER: "none" };
  const child = spawn(dockerRegistry!, ["serve", join(folder, "config.yml")], {
    env,
    stdio: "ignore",
  });
  await answering(host, child);
  return {
    host,
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function answering(host: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    try {
      await fetch(`http://${host}/v2/`);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`docker-registry does not answer on ${host}`);
}
