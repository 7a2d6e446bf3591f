/**
 * A virtual machine whose kernel has fs-verity, for machines whose own has none: `test/support/vm.sh
 * build` makes it (root on Debian, about 100 MB of downloads) under `~/.cache/sealfs-vm`.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { succeeds } from "./run.ts";
import { scratchFolder } from "./scratch.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = join(root, "test/support/vm.sh");

/** Why the virtual machine cannot be used here; undefined when it can. */
export function noVm(): string | undefined {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = process.env["VMDIR"] ?? join(cache, "sealfs-vm");
  if (!existsSync(join(folder, process.env["SUITE"] ?? "sid", "ok"))) {
    return "the virtual machine is not built (test/support/vm.sh build)";
  }
  if (!succeeds("qemu-system-x86_64", "--version")) return "qemu is missing";
  if (!existsSync(join(root, "node_modules/@koromix/koffi-linux-x64"))) return "koffi is missing";
  return undefined;
}

/** The packages that the project runs with; libfuse is not in the machine. */
function packages(): string[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true && !path.includes("fuse-"))
    .map(([path]) => path)
    .filter((path) => existsSync(join(root, path)));
}

/**
 * Runs a script of test/support in the machine, with the compiled project beside it in /scratch;
 * returns what it prints.
 */
export function runInVm(name: string): string {
  const stage = scratchFolder();
  for (const path of ["dist", "bin", "package.json"]) {
    cpSync(join(root, path), join(stage, path), { recursive: true });
  }
  cpSync(join(root, "test/support", name), join(stage, name));
  for (const path of packages()) {
    const filter = (from: string) => !/\/(vendor|doc)$/.test(from);
    cpSync(join(root, path), join(stage, path), { recursive: true, dereference: true, filter });
  }
  const command = `cd /scratch && exec node ${name}`;
  const run = spawnSync(script, ["run", "-d", stage, command], {
    maxBuffer: 1 << 28,
    env: { VM_TIMEOUT: "1400", ...process.env }, // it is emulated, and so takes minutes when others work too
  });
  if (run.status === 0) return run.stdout.toString();
  throw new Error(`${name}: ${run.status}\n${run.stdout.toString()}${run.stderr.toString()}`);
}
