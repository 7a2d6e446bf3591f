/**
 * The kernel stack with fs-verity, in a virtual machine (see ../support/vm.ts): what the script
 * ../support/vm-kernel.mjs did there, and what readers got.
 */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Preflight } from "../../src/mount/preflight.ts";
import { noVm, runInVm } from "../support/vm.ts";

interface Result {
  protect: object;
  protectAgain: boolean;
  protectWrong: string;
  protectImage: boolean;
  stacks: {
    style: string;
    loops: number;
    loopsAfter: number;
    files: Record<string, string>;
    inline: string;
    options: string;
  }[];
  tamper: Record<string, unknown> & { disk: { parts: string[] } };
  writable: Record<string, string>;
  unchecked: Record<string, string>;
  preflight: Preflight;
  wishes: Record<string, unknown>;
  noLoop: object;
  faulty: object;
  command: Record<string, unknown>[];
  left: object;
}

const reason = noVm();
let result: Result;
beforeEach((context) => context.skip(reason !== undefined, reason));
beforeAll(() => {
  if (reason === undefined) result = JSON.parse(runInVm("vm-kernel.mjs")) as Result;
}, 1_500_000);

const names = ["exchanged", "flipped", "good", "inline", "late", "missing", "plain", "replaced", "wrong"]; // prettier-ignore

test("fs-verity is turned on once, and objects that are not what their name says are told", () => {
  expect(result.protect).toEqual({ kept: 0, enabled: 5, missing: 1, wrong: 0 });
  expect(result.protectAgain).toBe(false);
  expect(result.protectWrong).toBe("DIGEST_MISMATCH");
  expect(result.protectImage).toBe(true);
});

test("what has its digest is read; without fs-verity, with another digest or missing it is not", () => {
  expect(result.stacks.map(({ style, loops }) => [style, loops])).toEqual([
    ["descriptors", 1], // a sealed copy behind a loop device
    ["descriptors", 0], // the stored image with fs-verity, mounted as it lies there
    ["paths", 1],
    ["paths", 0],
    ["option", 1],
    ["option", 0],
  ]);
  for (const stack of result.stacks) {
    expect(stack.files).toEqual({
      good: "right",
      plain: "EIO",
      wrong: "EIO",
      replaced: "right",
      flipped: "right",
      missing: "ENOENT",
    });
    expect(stack.inline).toBe("inline\n");
    expect(stack.options).toMatch(/^ro,nosuid,nodev,.*metacopy=on,verity=require$/);
    expect(stack.loopsAfter).toBe(0);
  }
});

test("without the requirement the same files are read unchecked", () => {
  expect(result.unchecked).toEqual({ plain: "right", wrong: "WRONG BYTES" });
});

describe("while it is mounted", () => {
  test("objects cannot be written to or truncated", () => {
    expect(result.tamper).toMatchObject({ write: "EPERM", truncate: "EPERM" });
  });

  test("an exchanged object is refused; who has it open goes on reading the right one", () => {
    expect(result.tamper).toMatchObject({
      heldOpen: "right",
      replaced: "EIO", // by a file without fs-verity
      exchanged: "EIO", // by one with another digest
      replacedRemounted: "EIO",
      deleted: "ENOENT",
    });
  });

  test("a changed disk block is refused, and no other", () => {
    expect(result.tamper.disk.parts).toEqual(["right", "right", "EIO"]);
  });

  test("the image cannot be written to, and exchanging it changes nothing", () => {
    expect(result.tamper).toMatchObject({ imageWrite: "EPERM", good: "right", names });
    // Exchanged before the mount: the verified bytes are mounted, from a sealed copy.
    expect(result.tamper["imageReplacedBefore"]).toEqual({ names, loops: 1 });
  });

  test("a writable overlay takes changes and still refuses what has no digest", () => {
    expect(result.writable).toEqual({
      write: "ok",
      append: "ok",
      appended: "20004",
      plain: "EIO",
      appendPlain: "EIO",
    });
  });
});

test("the command chooses the kernel mode, turns fs-verity on, and ends without a trace", () => {
  expect(result.command).toEqual([
    {
      said: "0 mounted app:1 on /scratch/mnt (kernel, block)",
      good: "right",
      missing: "ENOENT",
      write: "EPERM",
      ended: "0",
      loops: 0,
    },
    {
      said: "0 mounted app:1 on /scratch/mnt (hybrid, block)",
      good: "right",
      missing: "EIO",
      write: "EPERM",
      ended: "0",
      loops: 0,
    },
  ]);
});

test("owners shown as others, no programs, and passthrough", () => {
  expect(result.wishes).toEqual({
    kernel: { said: "(kernel, block)", got: "1000 right true", ended: "0", loops: 0 },
    // Nobody can write to these objects, as they have fs-verity.
    fuse: {
      said: "(fuse over dev, open)",
      got: "1000 right right EPERM EIO",
      ended: "0",
      loops: 0,
    },
  });
});

test("without loop devices the image is mounted as it lies in the store, under fs-verity", () => {
  expect(result.noLoop).toEqual({
    probe: { ok: true, detail: "with fs-verity, in the store only" },
    mount: { said: "(kernel, block)", got: "right", ended: "0", loops: 0 },
  });
});

test("the preflight finds the kernel mode and leaves nothing behind", () => {
  expect(result.preflight.modes[0]).toMatchObject({
    mode: "kernel",
    promise: "block",
    possible: true,
  });
  expect(result.preflight.findings).toMatchObject({
    verity: { ok: true },
    enforcement: { ok: true },
  });
  expect(result.left).toEqual({ loops: 0, tmp: 0 });
});

test("the preflight finds a kernel that reads what verity=require forbids", () => {
  expect(result.faulty).toMatchObject({
    ok: false,
    reason: "overlay: content without fs-verity was read although verity=require was set",
  });
});
