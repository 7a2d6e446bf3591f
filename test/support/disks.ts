/**
 * File systems of their own for a test: small ones, thin ones, read-only ones. Needs root.
 *
 * @module
 */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasProgram, runProgram, succeeds } from "./run.ts";
import { scratchFolder } from "./scratch.ts";

/** Why no file system can be mounted here; undefined when one can. */
export function noDisks(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  return succeeds("losetup", "-f") ? undefined : "no loop devices";
}

const makers = { ext4: ["mkfs.ext4", "-q", "-F"], xfs: ["mkfs.xfs", "-q", "-f"] };
export type DiskKind = keyof typeof makers;

export const hasMaker = (kind: DiskKind): boolean => hasProgram(makers[kind][0]!);

/** Mounts below a temporary folder; {@link close} takes all of it away. */
export class Disks {
  readonly path = scratchFolder();
  readonly #mounts: string[] = [];
  #count = 0;

  /** A new, empty folder. */
  folder(): string {
    const path = join(this.path, `${(this.#count += 1)}`);
    mkdirSync(path);
    return path;
  }

  /** With options such as `size=4m` or `nr_inodes=300`. */
  tmpfs(options: string): string {
    return this.#mount(["-t", "tmpfs", "-o", options, "tmpfs"]);
  }

  /** A file system in a file, which may lie on another disk of ours. */
  loop(kind: DiskKind, mib: number, { on = this.path, options = "defaults" } = {}): string {
    const file = join(on, `disk-${(this.#count += 1)}`);
    writeFileSync(file, "");
    truncateSync(file, mib * 1024 * 1024);
    const [maker, ...args] = makers[kind];
    runProgram(maker!, [...args, file]);
    return this.#mount(["-o", `loop,${options}`, file]);
  }

  /** The same files, that nobody can change. */
  readOnly(source: string): string {
    const at = this.#mount(["--bind", source]);
    runProgram("mount", ["-o", "remount,bind,ro", at]);
    return at;
  }

  remount(at: string, options: string): void {
    runProgram("mount", ["-o", `remount,${options}`, at]);
  }

  unmount(at: string): void {
    runProgram("umount", [at]);
    this.#mounts.splice(this.#mounts.indexOf(at), 1);
  }

  close(): void {
    for (const mount of this.#mounts.splice(0).toReversed()) runProgram("umount", ["-l", mount]);
  }

  #mount(args: readonly string[]): string {
    const at = this.folder();
    runProgram("mount", [...args, at]);
    this.#mounts.push(at);
    return at;
  }
}
