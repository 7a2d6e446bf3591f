/**
 * Everything that a mount could leave behind on this machine.
 *
 * @module
 */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loopsOf } from "./kernel.ts";
import type { MountBed } from "./mount-bed.ts";
import { processesOf } from "./processes.ts";

const runDirectories = ["/run/sealfs", `${tmpdir()}/sealfs-${process.geteuid?.() ?? 0}`];

/** Files in the run directory that tell of the target, or that a server of it had. */
function runFiles(target: string): string[] {
  return runDirectories.flatMap((directory) => {
    let names: string[] = [];
    try {
      names = readdirSync(directory);
    } catch {
      return [];
    }
    const stated = names.filter((name) => name.includes(".json") && tells(join(directory, name), target)); // prettier-ignore
    const devices = stated.map((name) => name.slice(0, name.indexOf(".")));
    return names.filter((name) => devices.some((device) => name.startsWith(`${device}.`)));
  });
}

function tells(path: string, target: string): boolean {
  try {
    return readFileSync(path, "utf8").includes(JSON.stringify(target));
  } catch {
    return false;
  }
}

/** What there is of mounts of `image` on `target`, each as a line. */
export function remainsOf(bed: MountBed, target: string, image?: Uint8Array): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return [
    ...processesOf(target).map((each) => `process ${each}`),
    ...mounts.filter((line) => line.includes(` ${target} `)).map((line) => `mount ${line}`),
    ...runFiles(target).map((name) => `run file ${name}`),
    ...readdirSync(join(bed.store.path, "leases")).map((name) => `lease ${name}`),
    ...readdirSync(join(bed.store.path, "tmp")).map((name) => `temporary file ${name}`),
    ...(image === undefined ? [] : loopsOf(image).map((name) => `loop device ${name}`)),
  ];
}

/** What descriptors a process has, by what they lead to. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}
