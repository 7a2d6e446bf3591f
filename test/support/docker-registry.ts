/**
 * The registry that everybody knows (distribution 2.8, Debian's docker-registry), where it is installed.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { oracle } from "./oracle.ts";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";
import { scratchFolder } from "./scratch.ts";

export const dockerRegistry = oracle("docker-registry");

export interface RunningRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Starts one with an empty storage of its own; with `htpasswd` it wants a password. */
export async function startDockerRegistry(htpasswd?: string): Promise<RunningRegistry> {
  const folder = scratchFolder();
  const host = `127.0.0.1:${await freePort()}`;
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
  const ended = once(child, "exit");
  await until(async () => {
    if (child.exitCode === null) await fetch(`http://${host}/v2/`);
  });
  if (child.exitCode !== null) throw new Error(`docker-registry ended: ${child.exitCode}`);
  return {
    host,
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
