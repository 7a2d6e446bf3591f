/**
 * What the user "nobody" can do who may open /dev/fuse, as ordinary users of most systems may. The device
 * is one of his own, in a mount namespace of his own, so that nothing of the machine is changed.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { noMount } from "./mount-bed.ts";
import { scratchFolder } from "./scratch.ts";

const NOBODY = "65534";

/** Why that cannot be tested here; undefined when it can. */
export function noOrdinaryUser(): string | undefined {
  const missing = noMount();
  if (missing !== undefined) return missing;
  return asNobody("exec 3<>/dev/fuse && echo yes").includes("yes")
    ? undefined
    : "no device nodes or mount namespaces of our own";
}

/** Why there are no user namespaces for him. */
export function noUserNamespace(): string | undefined {
  const works = asNobody("unshare -r -m true && echo yes").includes("yes");
  return noOrdinaryUser() ?? (works ? undefined : "no user namespaces");
}

/** Runs a shell script as nobody; returns all that it says. */
export function asNobody(script: string, env: NodeJS.ProcessEnv = {}): string {
  const folder = scratchFolder();
  chmodSync(folder, 0o755);
  const device = join(folder, "fuse");
  const prepare =
    `mknod ${device} c 10 229 && chmod 0666 ${device} && mount --bind ${device} /dev/fuse || exit 9\n` +
    `exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups sh -c "$SCRIPT" 2>&1`;
  const run = spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", prepare], {
    cwd: "/",
    encoding: "utf8",
    env: { ...process.env, HOME: "/nonexistent", ...env, SCRIPT: script },
    timeout: 300_000,
  });
  return run.stdout + run.stderr;
}
