/**
 * Tries the ways to FUSE.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SystemError } from "../../errors.ts";
import { openDevFuse } from "../../fuse/dev-fuse.ts";
import { openLooseMount } from "../../fuse/loose-mount.ts";
import { findFusermount } from "../../sys/fusermount.ts";
import { hasLibc } from "../../sys/koffi.ts";
import { type Finding, attempt } from "./finding.ts";

/** What was found about FUSE. */
export interface FuseFindings {
  /** This user may open /dev/fuse. */
  readonly fuseDevice: Finding;
  /** A FUSE file system can be mounted by this process. */
  readonly fuseMount: Finding;
  /** The helper that mounts for ordinary users. */
  readonly fusermount: Finding;
  /** The package fuse-native and libfuse. */
  readonly libfuse: Finding;
  /** An ordinary user may be root in a user namespace, and open /dev/fuse there. */
  readonly userNamespaces: Finding;
}

export function probeFuse(): FuseFindings {
  return {
    ...probeFuseDevice(),
    fusermount: attempt(findFusermount, "NO_FUSERMOUNT"),
    libfuse: attempt(probeLibfuse, "NO_LIBFUSE"),
    userNamespaces: attempt(probeUserNamespace, "NO_USER_NAMESPACE"),
  };
}

/** The part that takes no other process, and so no time. */
export function probeFuseDevice(): Pick<FuseFindings, "fuseDevice" | "fuseMount"> {
  const fuseDevice = attempt(() => closeSync(openDevFuse()), "NO_FUSE");
  return { fuseDevice, fuseMount: fuseDevice.ok ? attempt(probeMount, "NO_FUSE") : fuseDevice };
}

/** A mount that no path leads to, ended again before any request. */
function probeMount(): string | void {
  if (!hasLibc()) return "not tried: needs koffi";
  const { fd, mount } = openLooseMount({ source: "sealfs-probe", subtype: "sealfs-probe" });
  closeSync(mount);
  closeSync(fd);
}

/** In a process of its own, which may fail as it likes. */
function probeLibfuse(): void {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const run = spawnSync(process.execPath, ["-e", 'require("fuse-native")'], {
    cwd,
    timeout: 20_000,
  });
  if (run.status === 0) return;
  const [, reason = "cannot be loaded"] = /Error: (.*)/.exec(run.stderr.toString()) ?? [];
  throw new SystemError("NO_LIBFUSE", `fuse-native: ${reason}`, {
    hint: "install the Debian packages libfuse2 and fuse3, and the npm package fuse-native",
  });
}

function probeUserNamespace(): void {
  const script = "exec 3<>/dev/fuse";
  const run = spawnSync("unshare", ["-r", "-m", "sh", "-c", script], { timeout: 20_000 });
  if (run.status === 0) return;
  const reason = run.error?.message ?? run.stderr.toString().trim().split("\n").at(-1) ?? "";
  throw new SystemError("NO_USER_NAMESPACE", `user namespace: ${reason}`);
}
