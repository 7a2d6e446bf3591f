/**
 * Every way to mount that this machine has.
 *
 * @module
 */
import { hasLibc } from "../../src/sys/koffi.ts";
import { noKernelStack } from "./kernel.ts";
import { noLibfuse, noMount } from "./mount-bed.ts";
import { succeeds } from "./run.ts";

/** A way to mount. */
export interface Way {
  readonly name: string;
  readonly mode: "kernel" | "hybrid" | "fuse";
  readonly transport?: "dev" | "fusermount" | "libfuse";
  /** Arguments of `sealfs mount`. */
  readonly args: readonly string[];
  /** Why it is not possible here; undefined when it is. */
  readonly missing: string | undefined;
}

function noFusermount(): string | undefined {
  const found = succeeds("fusermount3", "--version");
  return found && hasLibc() ? noMount() : "fusermount3 or koffi is missing";
}

/** All of them; the kernel's without fs-verity, which few machines have. */
export const ways: readonly Way[] = [
  { name: "fuse", mode: "fuse", transport: "dev", args: ["--mode=fuse", "--transport=dev"], missing: noMount() }, // prettier-ignore
  { name: "fuse over fusermount", mode: "fuse", transport: "fusermount", args: ["--mode=fuse", "--transport=fusermount"], missing: noFusermount() }, // prettier-ignore
  { name: "fuse over libfuse", mode: "fuse", transport: "libfuse", args: ["--mode=fuse", "--transport=libfuse"], missing: noLibfuse() }, // prettier-ignore
  { name: "hybrid", mode: "hybrid", args: ["--mode=hybrid"], missing: noKernelStack() ?? noMount() }, // prettier-ignore
  { name: "kernel", mode: "kernel", args: ["--mode=kernel", "--require=metadata"], missing: noKernelStack() }, // prettier-ignore
];
