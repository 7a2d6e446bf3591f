/**
 * Which way `--mode=auto` takes on machines that lack something, each found out by trying: kernels that
 * know fewer ways to name layers or do not keep `verity=require`, no loop devices, no /dev/fuse, no koffi,
 * a user namespace. Where no such machine is at hand, the kernel's part is played.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { SystemError } from "../../src/errors.ts";
import { chooseMode, describeOption, modeOptions } from "../../src/mount/choose.ts";
import { type LayerStyle, mountOverlay } from "../../src/mount/kernel/layers.ts";
import type { Preflight } from "../../src/mount/preflight.ts";
import { probe } from "../../src/mount/probe/probe.ts";
import { probeKernel } from "../../src/mount/probe/kernel.ts";
import type { KernelCalls } from "../../src/mount/probe/trial.ts";
import { digestOfFile } from "../../src/store/objects.ts";
import { noKernelStack } from "../support/kernel.ts";
import {
  type MountBed,
  newDirectory,
  noLibfuse,
  noMount,
  useMountBed,
} from "../support/mount-bed.ts";
import { asNobody, noOrdinaryUser, noUserNamespace } from "../support/ordinary-user.ts";
import { readableBin, readableProject } from "../support/readable-project.ts";

const bin = readableBin();
const reason = noMount() ?? noKernelStack();
let bed: MountBed;
useMountBed(reason, (made) => {
  bed = made;
  const root = newDirectory();
  root.entries.set(ascii("file"), bed.file(Buffer.alloc(9000, "file ")));
  bed.addTree("app:1", root);
});

/** A kernel that knows only some ways to name layers. */
const knowing = (...styles: LayerStyle[]): Partial<KernelCalls> => ({
  mountOverlay: (image, options, style) => {
    if (style !== undefined && styles.includes(style)) return mountOverlay(image, options, style);
    throw new SystemError("IO", "overlay: datadir+: EINVAL");
  },
});
/** A file system that seems to have fs-verity, and a kernel that does (or does not) what it is told. */
const withVerity = (keepsPromise: boolean): Partial<KernelCalls> => ({
  enableVerity: () => true,
  measureVerity: (fd) => digestOfFile(fd, "sha256"),
  mountOverlay: (image, options, style) => {
    const requireVerity = keepsPromise && options.requireVerity;
    return mountOverlay(image, { ...options, requireVerity }, style);
  },
});

describe("what the probe finds", () => {
  test.each<[LayerStyle, LayerStyle[]]>([
    ["descriptors", ["descriptors", "paths", "option"]],
    ["paths", ["paths", "option"]],
    ["option", ["option"]],
  ])("layers by %s on a kernel that knows %o", (style, known) => {
    const { overlay } = probeKernel(bed.store.path, knowing(...known));
    expect(overlay).toEqual({ ok: true, detail: style });
  });

  test("a kernel without data-only layers", () => {
    const { overlay, enforcement } = probeKernel(bed.store.path, knowing());
    expect(overlay).toMatchObject({ ok: false, code: "NO_OVERLAY" });
    expect(enforcement.ok).toBe(false);
  });

  test("no loop devices", () => {
    const sealedDevice = () => {
      throw new SystemError("IO", "/dev/loop-control: ENXIO");
    };
    const found = probeKernel(bed.store.path, { sealedDevice });
    if (found.verity.ok) return;
    expect(found.image).toMatchObject({ ok: false, code: "NO_IMAGE_DEVICE" });
    const options = modeOptions({ ...probe(bed.store.path), ...found });
    const chosen = chooseMode(options, { mode: "auto", require: "block" });
    expect(describeOption(chosen)).toBe("fuse (dev)");
  });

  test("a kernel that reads what verity=require forbids: its version is not asked", () => {
    const found = probeKernel(bed.store.path, withVerity(false));
    expect(found.verity).toEqual({ ok: true });
    expect(found.enforcement).toEqual({
      ok: false,
      code: "NO_VERITY",
      reason: "overlay: content without fs-verity was read although verity=require was set",
      hint: "this kernel does not keep the promise: update it",
    });
    const options = modeOptions({ ...probe(bed.store.path), ...found });
    const chosen = chooseMode(options, { mode: "auto", require: "block" });
    expect(chosen.mode).not.toBe("kernel");
  });

  test("a kernel that refuses everything, also what has its digest", () => {
    // These files have no fs-verity in truth: the kernel refuses them all.
    const { enforcement, verity } = probeKernel(bed.store.path);
    const found = verity.ok
      ? enforcement
      : probeKernel(bed.store.path, withVerity(true)).enforcement;
    if (verity.ok) expect(found).toEqual({ ok: true });
    else
      expect(found).toMatchObject({
        ok: false,
        code: "NO_VERITY",
        reason: expect.stringMatching(/content with its digest: EIO/) as string,
      });
  });
});

/** Runs a shell script in a mount namespace of its own, where `over` hides a device. */
function hiding(device: string, script: string): string {
  const nothing = join(bed.path, "nothing");
  writeFileSync(nothing, "");
  const text = `mount --bind ${nothing} ${device} || exit 9\n${script}`;
  const run = spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", text], {
    encoding: "utf8",
  });
  return run.stdout + run.stderr;
}

/** A script that mounts, reads and unmounts. */
function script(target: string, args = ""): string {
  const node = process.execPath;
  const trust = `--store ${bed.store.path} --key ${bed.keyFile} --state none`;
  return `${node} ${bin} mount app:1 ${target} ${trust} ${args}; cksum <${target}/file; ${node} ${bin} umount ${target}`;
}
const preflightOf = (text: string) => JSON.parse(text) as Preflight;
const preflight = () => `${process.execPath} ${bin} preflight --json --store ${bed.store.path}`;
const codesOf = ({ modes }: Preflight, mode: string) =>
  modes.filter((each) => each.mode === mode).map((each) => each.missing.map(({ code }) => code));

describe("--mode=auto", () => {
  test("without loop devices", (context) => {
    if (probe(bed.store.path).verity.ok) context.skip("the image is mounted from the store here");
    const said = hiding("/dev/loop-control", script(bed.directory()));
    expect(said).toContain("(fuse over dev, block)");
    expect(said).toMatch(/\d+ 9000/);
    const report = preflightOf(hiding("/dev/loop-control", preflight()));
    expect(codesOf(report, "hybrid")[0]).toEqual(["NO_IMAGE_DEVICE"]);
  });

  test("without /dev/fuse", (context) => {
    if (probe(bed.store.path).verity.ok) context.skip("the kernel answers for the content here");
    const target = bed.directory();
    const said = hiding("/dev/fuse", script(target));
    expect(said).toMatch(/no way here that promises block: .*\/dev\/fuse/);
    expect(said).toMatch(/--require=metadata lets kernel mount/);
    expect(hiding("/dev/fuse", script(target, "--require=metadata"))).toContain(
      "(kernel, metadata)",
    );
    const report = preflightOf(hiding("/dev/fuse", preflight()));
    expect(codesOf(report, "fuse").map(([code]) => code)).toEqual(Array(4).fill("NO_FUSE"));
  });

  const withoutKoffi = {
    NODE_OPTIONS: `--require ${join(readableProject(), "test/support/without-koffi.cjs")}`,
  };

  test("without koffi, as root", () => {
    const run = spawnSync("sh", ["-c", script(bed.directory())], {
      encoding: "utf8",
      env: { ...process.env, ...withoutKoffi },
    });
    expect(run.stderr).toContain("(fuse over dev, block)");
    expect(run.stdout).toMatch(/\d+ 9000/);
    const { stdout } = spawnSync("sh", ["-c", preflight()], {
      encoding: "utf8",
      env: { ...process.env, ...withoutKoffi },
    });
    expect(codesOf(preflightOf(stdout), "kernel")).toContainEqual(["NO_KOFFI"]);
  });

  test("as an ordinary user, with koffi and without, and in a user namespace", (context) => {
    const missing = noOrdinaryUser();
    context.skip(missing !== undefined, missing);
    const target = bed.directory();
    chmodSync(target, 0o777);
    expect(asNobody(script(target))).toMatch(/\(fuse over fusermount, block\)\n(.*\n)*\d+ 9000/);
    if (noLibfuse() === undefined) {
      expect(asNobody(script(target), withoutKoffi)).toContain("(fuse over libfuse, block)");
    }
    const report = preflightOf(asNobody(preflight()));
    expect(codesOf(report, "kernel")[0]).toContain("PERMISSION");
    expect(report.modes.filter(({ possible }) => possible).map(describeOption)).toContain(
      "fuse (fusermount)",
    );
    if (noUserNamespace() !== undefined) return;
    const said = asNobody('unshare -r -m sh -c "$INNER"', { INNER: script(target) });
    expect(said).toMatch(/\(fuse over dev, block\)\n(.*\n)*\d+ 9000/);
  });
});
