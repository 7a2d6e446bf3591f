/**
 * Tries the ways to FUSE.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SystemError } from "../errors.ts";
import { openDevice } from "../fuse/device.ts";
import { MountAttribute, newMount } from "../sys/fsmount.ts";
import { hasLibc } from "../sys/koffi.ts";
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
  /** An ordinary user may be root in a namespace of his own, and open /dev/fuse there. */
  readonly userNamespaces: Finding;
}

export function probeFuse(): FuseFindings {
  return {
    ...probeFuseDevice(),
    fusermount: attempt(findFusermount),
    libfuse: attempt(probeLibfuse),
    userNamespaces: attempt(probeUserNamespace),
  };
}

/** The part that takes no other process, and so no time. */
export function probeFuseDevice(): Pick<FuseFindings, "fuseDevice" | "fuseMount"> {
  const fuseDevice = attempt(() => closeSync(openDevice()));
  return { fuseDevice, fuseMount: fuseDevice.ok ? attempt(probeMount) : fuseDevice };
}

/** A mount that no path leads to, ended again before anybody asks it anything. */
function probeMount(): string | void {
  if (!hasLibc()) return "not tried: needs koffi";
  const fd = openDevice();
  try {
    const mount = newMount("fuse", MountAttribute.READ_ONLY, (context) => {
      context.setString("source", "sealfs-probe").setString("fd", String(fd));
      context.setString("rootmode", "40000");
      context.setString("user_id", "0").setString("group_id", "0");
    });
    closeSync(mount);
  } finally {
    closeSync(fd);
  }
}

function findFusermount(): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/bin"];
  for (const name of ["fusermount3", "fusermount"]) {
    for (const folder of folders) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // look in the next folder
      }
    }
  }
  throw new SystemError("NO_FUSE", "fusermount3: not installed", {
    hint: "install the Debian package fuse3",
  });
}

/** In a process of its own, which may fail as it likes. */
function probeLibfuse(): void {
  const cwd = fileURLToPath(new URL(".", import.meta.url));
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
  throw new SystemError("PERMISSION", `user namespace: ${reason}`);
}
