/** Directories that nobody else can have made, or can put another in the place of. */
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import {
  isOwnDirectory,
  outerUid,
  rootStateDirectory,
  userStateDirectory,
} from "../../../src/fs/own-directory.ts";
import { TrustState } from "../../../src/verify/trust-state.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { refusal } from "../../support/trust.ts";

const uid = process.geteuid!();
const OTHER = 54321;
let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = scratchFolder();
});

/** A directory of this mode, whatever the umask. */
function make(name: string, mode: number): string {
  mkdirSync(at(name));
  chmodSync(at(name), mode);
  return at(name);
}

describe("a directory is the user's own", () => {
  test("when it is made, for them alone, or was there", () => {
    expect(isOwnDirectory(at("new"), uid)).toBe(true);
    expect(statSync(at("new")).mode & 0o777).toBe(0o700);
    expect(isOwnDirectory(at("new"), uid)).toBe(true);
    expect(isOwnDirectory(at("none/new"), uid)).toBe(false);
  });

  test("not when others can write to it, and not as a file or a symlink", () => {
    make("shared", 0o770);
    expect(isOwnDirectory(at("shared"), uid)).toBe(false);
    writeFileSync(at("file"), "");
    expect(isOwnDirectory(at("file"), uid)).toBe(false);
    symlinkSync(make("real", 0o700), at("link"));
    expect(isOwnDirectory(at("link"), uid)).toBe(false);
  });

  test("not where others can put another in its place", () => {
    expect(isOwnDirectory(join(make("open", 0o777), "d"), uid)).toBe(false);
    expect(isOwnDirectory(join(make("sticky", 0o1777), "d"), uid)).toBe(true);
  });

  test.skipIf(uid !== 0)("not when it, or the one that it is in, belongs to another user", () => {
    chownSync(make("theirs", 0o700), OTHER, OTHER);
    expect(isOwnDirectory(at("theirs"), uid)).toBe(false);
    expect(isOwnDirectory(at("theirs/d"), uid)).toBe(false);
    expect(isOwnDirectory(at("theirs"), OTHER)).toBe(true);
  });
});

test("root of a user namespace is the user who made it", () => {
  const map = "         0       1000          1\n         1     100000      65536\n";
  expect(outerUid(0, map)).toBe(1000);
  expect(outerUid(1, map)).toBe(100000);
  expect(outerUid(70000, map)).toBe(70000);
  expect(outerUid(7, "0 0 4294967295")).toBe(7);
  expect(outerUid(7, "")).toBe(7);
});

describe("the memory of versions", () => {
  test("is the user's own, and not refused where it is still to be made", () => {
    expect(TrustState.open(at("new"))?.path).toBe(at("new"));
    expect(TrustState.open(make("own", 0o755))?.path).toBe(at("own"));
    expect(refusal(() => TrustState.open(make("open", 0o777)))).toBe("BAD_STATE");
    writeFileSync(at("file"), "");
    expect(refusal(() => TrustState.open(at("file/below")))).toBe("BAD_STATE");
    expect(refusal(() => TrustState.open(make("sticky", 0o1777)))).toBe("BAD_STATE");
  });

  test.skipIf(uid !== 0)("is not taken from another user", () => {
    chownSync(make("theirs", 0o755), OTHER, OTHER);
    expect(refusal(() => TrustState.open(at("theirs")))).toBe("BAD_STATE");
    vi.spyOn(process, "geteuid").mockReturnValue(OTHER);
    expect(TrustState.open(at("theirs"))?.path).toBe(at("theirs"));
    // What root has made is as good as root's word.
    expect(TrustState.open(make("roots", 0o755))?.path).toBe(at("roots"));
    vi.restoreAllMocks();
  });

  test("lies in root's directory, else in the user's", () => {
    const env = { XDG_STATE_HOME: "/x/state" };
    expect(userStateDirectory(env)).toBe("/x/state/sealfs");
    expect(userStateDirectory({ XDG_STATE_HOME: "relative" })).toMatch(/\/\.local\/state\/sealfs$/);
    const listed = userStateDirectory({});
    for (const HOME of ["", "here", "./here"]) expect(userStateDirectory({ HOME })).toBe(listed);
    expect(userStateDirectory({ HOME: "/h" })).toBe("/h/.local/state/sealfs");
    expect([undefined, "/var/lib/sealfs"]).toContain(rootStateDirectory());
  });
});
