/**
 * The list of mounts (Linux `proc_pid_mountinfo(5)`).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { SystemError } from "../../errors.ts";
import { errnoOf } from "../../fs/failure.ts";

/** One mount. */
export interface MountInfo {
  /** Of the mount; several may show one file system. */
  readonly id: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  readonly target: string;
  readonly type: string;
  readonly source: string;
}

/** Reads the list's text: mounts in the order in which they were made. */
export function parseMountinfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [head = "", tail = ""] = line.split(" - ");
      const fields = head.split(" ");
      const [type = "", source = ""] = tail.split(" ");
      return {
        id: Number(fields[0]),
        device: fields[2] ?? "",
        target: unescape(fields[4] ?? ""),
        type,
        source: unescape(source),
      };
    });
}

/** The mounts that this process sees. */
export function readMounts(): MountInfo[] {
  // Bytes as they are: a mount point elsewhere need not have a name in UTF-8.
  try {
    return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new SystemError("IO", "/proc: not mounted, and it tells what is", {
      cause: error,
      hint: "mount it with: mount -t proc proc /proc",
    });
  }
}

/** What is mounted on `target`, the topmost mount first seen. */
export function mountAt(target: string): MountInfo | undefined {
  return readMounts().findLast((mount) => mount.target === target);
}

/** The mount that an open file lies on; undefined when this process does not see it. */
export function mountOf(fd: number): MountInfo | undefined {
  const text = readFileSync(`/proc/thread-self/fdinfo/${fd}`, "latin1");
  const id = Number(/^mnt_id:\s*(\d+)$/m.exec(text)?.[1]);
  return readMounts().find((mount) => mount.id === id);
}

/** Octal escapes stand for space, tab, newline and backslash. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** What the list of mounts shows as the device: this and the image's name. */
export const SOURCE_PREFIX = "sealfs:";
/** Bytes that fsconfig(2) takes for a value. */
const MOST_SOURCE_BYTES = 255;
const CUT = "...";

/** The device that the list of mounts shows for an image of this name; of a long name the beginning. */
export function sourceOf(name: string): string {
  const source = Buffer.from(SOURCE_PREFIX + name);
  if (source.length <= MOST_SOURCE_BYTES) return source.toString();
  const start = source.subarray(0, MOST_SOURCE_BYTES - CUT.length);
  // A character that was cut in two is left out.
  return start.toString().replace(/\ufffd+$/, "") + CUT;
}

/** File systems that sealfs mounts. */
export function isSealfs(mount: MountInfo): boolean {
  const isStack = mount.type === "overlay" && mount.source.startsWith(SOURCE_PREFIX);
  return mount.type === "fuse.sealfs" || isStack;
}
