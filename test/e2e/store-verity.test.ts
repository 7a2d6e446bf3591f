/**
 * A store on a file system with fs-verity, in a virtual machine (see ../support/vm.ts): what the script
 * ../support/vm-store.mjs did there.
 */
import { beforeAll, beforeEach, expect, test } from "vitest";
import { noVm, runInVm } from "../support/vm.ts";

const reason = noVm();
let result: Record<string, unknown>;
beforeEach((context) => context.skip(reason !== undefined, reason));
beforeAll(() => {
  if (reason === undefined) {
    result = JSON.parse(runInVm("vm-store.mjs")) as typeof result;
  }
}, 600_000);

test.each(["sha256", "sha512"])(
  "objects have fs-verity (%s) before the first of them has its name",
  (algorithm) => {
    expect(result[algorithm]).toEqual({
      before: ["protected", "protected", "protected", "protected", "published: 0"],
      objects: 8,
      protected: true,
      modes: [0o444],
    });
  },
);

test("for a user who is not root as well", () => {
  expect(result["user"]).toEqual({
    status: 0,
    said: "",
    objects: 4,
    protected: true,
    modes: [0o444],
  });
});

test("a file system without fs-verity is no hindrance", () => {
  expect(result["without"]).toEqual({ objects: 4, measured: "NO_VERITY" });
});

test("nobody can write to such an object; writers replace it, fsck repairs it, gc removes it", () => {
  expect(result).toMatchObject({
    write: "EPERM",
    replaced: [1, true],
    fsck: [["object:restored"], true],
    gc: [8, 0, 0],
  });
});
