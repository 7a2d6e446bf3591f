import { describe, expect, test } from "vitest";
import { SystemError } from "../../../src/errors.ts";
import {
  type ModeOption,
  type Wanted,
  chooseMode,
  describeOption,
  modeOptions,
} from "../../../src/mount/choose.ts";
import type { MountPromise } from "../../../src/mount/table/modes.ts";
import type { Finding } from "../../../src/mount/probe/finding.ts";
import { preflightLines } from "../../../src/cli/print/preflight.ts";
import type { Findings } from "../../../src/mount/probe/probe.ts";

const yes: Finding = { ok: true };
const no = (reason: string, hint?: string): Finding => {
  const code = `NO_${reason.replace(/\W+/g, "_").toUpperCase()}`;
  return hint === undefined ? { ok: false, code, reason } : { ok: false, code, reason, hint };
};

const everything: Findings = {
  koffi: yes,
  privileged: yes,
  image: yes,
  overlay: { ok: true, detail: "descriptors" },
  verity: yes,
  enforcement: yes,
  fuseDevice: yes,
  fuseMount: yes,
  fusermount: yes,
  libfuse: yes,
  userNamespaces: yes,
  passthrough: yes,
  passthroughBelow: yes,
  idmap: yes,
};
const noVerity = { verity: no("no fs-verity", "use ext4"), enforcement: no("no fs-verity") };
const noFuse = { fuseDevice: no("no /dev/fuse"), fuseMount: no("no /dev/fuse") };
const user = { privileged: no("not root"), image: no("not root"), overlay: no("not root") };

const choose = (findings: Partial<Findings>, wanted: Partial<Wanted> = {}) =>
  chooseMode(modeOptions({ ...everything, ...findings }), {
    mode: "auto",
    require: "block",
    ...wanted,
  });
const described = (option: ModeOption) => `${describeOption(option)} ${option.promise}`;

describe("the way to mount", () => {
  test.each<[string, Partial<Findings>, Partial<Wanted>, string]>([
    ["everything", {}, {}, "kernel block"],
    ["everything", {}, { mode: "hybrid" }, "hybrid (dev) block"],
    ["everything", {}, { mode: "fuse" }, "fuse (dev) block"],
    ["everything", {}, { mode: "fuse", transport: "libfuse" }, "fuse (libfuse) block"],
    ["everything", {}, { require: "metadata" }, "kernel block"],
    ["no fs-verity", noVerity, {}, "hybrid (dev) block"],
    ["no fs-verity", noVerity, { require: "metadata" }, "hybrid (dev) block"],
    ["no fs-verity", noVerity, { mode: "kernel", require: "metadata" }, "kernel metadata"],
    ["a kernel that reads what it should refuse", { enforcement: no("read") }, {}, "hybrid (dev) block"], // prettier-ignore
    ["neither fs-verity nor FUSE", { ...noVerity, ...noFuse }, { require: "metadata" }, "kernel metadata"], // prettier-ignore
    ["no EROFS", { image: no("no erofs"), overlay: no("no erofs") }, {}, "fuse (dev) block"],
    ["an ordinary user", user, {}, "fuse (fusermount) block"],
    ["an ordinary user without koffi", { ...user, koffi: no("no koffi") }, {}, "fuse (libfuse) block"], // prettier-ignore
    ["root without koffi", { koffi: no("no koffi"), image: no("no koffi"), overlay: no("no koffi") }, {}, "fuse (dev) block"], // prettier-ignore
    ["no loop devices", { image: no("no loop devices"), overlay: no("no loop devices") }, {}, "fuse (dev) block"], // prettier-ignore
    ["no /dev/fuse", noFuse, {}, "kernel block"],
    ["everything", {}, { passthrough: true, require: "open" }, "hybrid (dev, passthrough) open"],
    ["everything", {}, { passthrough: true, require: "open", mode: "fuse" }, "fuse (dev, passthrough) open"], // prettier-ignore
    ["objects on a stacked file system", { passthroughBelow: no("stacked") }, { passthrough: true, require: "open" }, "fuse (dev, passthrough) open"], // prettier-ignore
    ["everything", {}, { idmapped: true, mode: "fuse" }, "fuse (dev) block"],
    ["everything", {}, { require: "open" }, "kernel block"],
  ])("on a machine with %s and %o", (_, findings, wanted, expected) => {
    expect(described(choose(findings, wanted as Wanted))).toContain(expected);
  });

  test.each<[string, Partial<Findings>, Partial<Wanted>, RegExp, RegExp]>([
    ["kernel without fs-verity", noVerity, { mode: "kernel" }, /kernel: no fs-verity$/, /use ext4; --require=metadata/], // prettier-ignore
    ["open without fs-verity", noVerity, { mode: "kernel", require: "open" }, /promises open: kernel/, /--require=metadata/], // prettier-ignore
    ["no way at all", { ...user, ...noFuse }, {}, /kernel: not root.*hybrid \(dev\): not root, no \/dev\/fuse.*libfuse/, /^$/], // prettier-ignore
    ["neither fs-verity nor FUSE", { ...noVerity, ...noFuse }, {}, /no way here that promises block/, /--require=metadata lets kernel/], // prettier-ignore
    ["a transport that is missing", { libfuse: no("no libfuse", "install it") }, { mode: "fuse", transport: "libfuse" }, /fuse \(libfuse\): no libfuse/, /^install it$/], // prettier-ignore
    ["a user without fusermount", { ...user, fusermount: no("no fusermount3") }, { mode: "fuse" }, /fuse \(libfuse\): no fusermount3/, /^$/], // prettier-ignore
    ["passthrough where blocks are required", {}, { passthrough: true }, /no way here with passthrough that promises block$/, /--require=open lets hybrid/], // prettier-ignore
    ["a kernel without passthrough", { passthrough: no("no passthrough"), passthroughBelow: no("no passthrough") }, { passthrough: true, require: "open" }, /hybrid \(dev, passthrough\): no passthrough; fuse/, /^$/], // prettier-ignore
    ["other owners through fusermount", {}, { idmapped: true, mode: "fuse", transport: "fusermount" }, /fusermount mounts cannot show other owners/, /^$/], // prettier-ignore
  ])("is refused with what is missing: %s", (_, findings, wanted, message, hint) => {
    try {
      choose(findings, wanted);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SystemError);
      expect(error).toMatchObject({ code: "NO_MODE" });
      expect((error as Error).message).toMatch(message);
      expect((error as SystemError).hint ?? "").toMatch(hint);
    }
  });

  test("never promises less than is required, whatever the machine", () => {
    const keys = Object.keys(everything).filter((key) => key !== "idmap") as (keyof Findings)[];
    const order: MountPromise[] = ["metadata", "open", "block"];
    for (let bits = 0; bits < 1 << keys.length; bits++) {
      const findings = Object.fromEntries(
        keys.map((key, i) => [key, (bits >> i) & 1 ? no(key) : yes]),
      ) as unknown as Findings;
      const options = modeOptions(findings);
      for (const require of order) {
        for (const mode of ["auto", "kernel", "hybrid", "fuse"] as const) {
          let chosen: ModeOption;
          try {
            chosen = chooseMode(options, { mode, require });
          } catch {
            continue;
          }
          expect(order.indexOf(chosen.promise)).toBeGreaterThanOrEqual(order.indexOf(require));
          expect(chosen.missing).toEqual([]);
          if (mode !== "auto") expect(chosen.mode).toBe(mode);
          const strongest = options
            .filter((each) => each.missing.length === 0 && (mode === "auto" || each.mode === mode))
            .map((each) => order.indexOf(each.promise));
          expect(order.indexOf(chosen.promise)).toBe(Math.max(...strongest));
        }
      }
    }
  });
});

test("the report is two tables and what to do", () => {
  const findings = { ...everything, ...noVerity };
  const modes = modeOptions(findings).map((mode) => ({
    ...mode,
    possible: mode.missing.length === 0,
  }));
  expect(preflightLines({ kernel: "6.18", store: "/store", modes, findings })).toEqual([
    "Linux 6.18, objects in /store",
    "",
    "MODE                       PROMISE   HERE",
    "kernel                     block     no: no fs-verity",
    "hybrid (dev)               block     yes",
    "fuse (dev)                 block     yes",
    "fuse (fusermount)          block     yes",
    "fuse (libfuse)             block     yes",
    "hybrid (dev, passthrough)  open      yes",
    "fuse (dev, passthrough)    open      yes",
    "kernel                     metadata  yes",
    "",
    "TRIED                                       RESULT",
    "koffi                                       yes",
    "right to mount                              yes",
    "sealed image, EROFS                         yes",
    "overlay with data-only layers               yes (descriptors)",
    "fs-verity where the objects are             no fs-verity",
    "overlay refuses content without its digest  no fs-verity",
    "/dev/fuse                                   yes",
    "FUSE mount                                  yes",
    "fusermount3                                 yes",
    "fuse-native and libfuse                     yes",
    "FUSE passthrough to the objects             yes",
    "the same below an overlay                   yes",
    "owners shown as other users                 yes",
    "user namespace with /dev/fuse               yes",
    "",
    "- use ext4",
  ]);
});
