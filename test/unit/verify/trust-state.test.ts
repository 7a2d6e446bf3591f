/** The memory of versions: what is refused, what is remembered, and what happens to a bad memory. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { openVerified } from "../../../src/verify/locate.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { TrustState } from "../../../src/verify/trust-state.ts";
import { type Mark, verifyProgress, verifyVersion } from "../../../src/trust/high-water.ts";
import { type Platform, parsePlatform } from "../../../src/platform/platform.ts";
import type { Trust } from "../../../src/trust/policy.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { alice, keyring, mallory, name, now, policyWith, refusal } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (file: string) => join(folder, file);
let state: TrustState;
beforeEach(() => {
  folder = scratchFolder();
  state = new TrustState(at("state"));
});

const image = goldenImage("ext-basic.v1").bytes;
const other = goldenImage("ext-1-byte.v1").bytes;

/** Writes a signed image; returns its path. */
function release(version: number, bytes = image, key = alice, as = name): string {
  const path = at(`image-${version}-${bytes.length}`);
  const created = new Date("2026-09-01T00:00:00Z");
  const expires = new Date("2027-09-01T00:00:00Z");
  const { bundle } = signImage(bytes, { name: as, key, version, created, expires });
  writeFileSync(path, bytes);
  writeFileSync(`${path}.bundle.json`, bundle);
  return path;
}
const open = (path: string, trust: Trust = keyring, as: string | undefined = name) =>
  openVerified(path, {}, { trust, state, name: as, now });
const verdict = (path: string, trust: Trust = keyring) => refusal(() => open(path, trust));
const marks = () =>
  readdirSync(at("state/names")).flatMap((each) => readdirSync(at(`state/names/${each}`)));
const markPath = () => {
  const [name_] = readdirSync(at("state/names"));
  return at(`state/names/${name_}/${readdirSync(at(`state/names/${name_}`))[0]}`);
};

describe("a version", () => {
  const mark: Mark = { epoch: 0, version: 7, sha256: "a".repeat(64) };
  const compare = (next: Partial<Mark>) => {
    let progress = "";
    const code = refusal(() => {
      progress = verifyVersion({ ...mark, ...next }, mark, "app");
    });
    return code === "accepted" ? progress : code;
  };

  test("may stay or rise, and not fall or name another image", () => {
    expect(compare({})).toBe("same");
    expect(compare({ version: 8, sha256: "b".repeat(64) })).toBe("newer");
    expect(compare({ version: 6, sha256: "b".repeat(64) })).toBe("ROLLBACK");
    expect(compare({ sha256: "b".repeat(64) })).toBe("EQUIVOCATION");
    expect(verifyVersion(mark, undefined, "app")).toBe("first");
  });

  test("may fall where it is of the image that is remembered, but no policy's", () => {
    const older = { ...mark, version: 6 };
    const marks = { own: mark, others: [mark] };
    expect(verifyProgress(older, marks, "app")).toBe("same");
    expect(refusal(() => verifyProgress({ ...older, epoch: -1 }, marks, "app"))).toBe("ROLLBACK");
    expect(compare({ version: 6 })).toBe("ROLLBACK");
  });

  test("starts over with a higher epoch, and a lower epoch is refused", () => {
    expect(compare({ epoch: 1, version: 1 })).toBe("first");
    const later = { ...mark, epoch: 2 };
    expect(refusal(() => verifyVersion({ ...mark, version: 9 }, later, "app"))).toBe("ROLLBACK");
  });
});

test("the first use is reported, a newer version raises the mark, an older one is refused", () => {
  expect(open(release(7)).progress).toBe("first");
  expect(open(release(7)).progress).toBe("same");
  expect(open(release(8, other)).progress).toBe("newer");
  expect(marks()).toEqual(["0.8"]);
  expect(verdict(release(7))).toBe("ROLLBACK");
  expect(verdict(release(8))).toBe("EQUIVOCATION");
  expect(open(release(8, other)).progress).toBe("same");
});

test("names have marks of their own, and an image without a name has none", () => {
  open(release(9, image, alice, "another"), keyring, "another");
  expect(open(release(7)).progress).toBe("first");
  const unnamed = openVerified(release(3), {}, { trust: keyring, state, now });
  expect(unnamed.progress).toBeUndefined();
  expect(marks().sort()).toEqual(["0.7", "0.9"]);
});

describe("platforms of one name", () => {
  const [arm64, amd64] = [parsePlatform("linux/arm64/v8"), parsePlatform("linux/amd64")];
  /** The progress, or why it is refused, of a version for a platform; undefined names none. */
  const take = (
    version: number,
    platform: Platform | undefined,
    bytes = image,
    asked = platform,
  ) => {
    const created = new Date("2026-09-01T00:00:00Z");
    const expires = new Date("2027-09-01T00:00:00Z");
    const said = { name, key: alice, version, created, expires };
    const { bundle } = signImage(bytes, { ...said, platform });
    writeFileSync(at("image"), bytes);
    const demands = { trust: keyring, state, name, platform: asked, now };
    let progress: string | undefined;
    const code = refusal(() => {
      progress = openVerified(at("image"), { bundles: [bundle] }, demands).progress;
    });
    return code === "accepted" ? progress : code;
  };

  test("have versions of their own", () => {
    expect(take(7, arm64)).toBe("first");
    expect(take(7, amd64, other)).toBe("first");
    expect(take(9, arm64, other)).toBe("newer");
    expect(take(8, amd64)).toBe("newer");
    expect(take(8, arm64)).toBe("ROLLBACK");
    expect(take(7, amd64, other)).toBe("ROLLBACK");
    expect(take(8, amd64, other)).toBe("EQUIVOCATION");
  });

  test("cannot be led back by leaving the platform out, or by adding it", () => {
    expect(take(9, arm64)).toBe("first");
    expect(take(8, undefined, other, arm64)).toBe("ROLLBACK");
    expect(take(9, undefined, other, amd64)).toBe("EQUIVOCATION");
    expect(take(10, undefined, other, amd64)).toBe("newer");
    expect(take(9, arm64)).toBe("ROLLBACK");
    expect(take(9, amd64)).toBe("ROLLBACK");
    expect(take(11, amd64)).toBe("newer");
  });

  test("a memory without platforms still counts, and is read by itself afterwards", () => {
    expect(open(release(7)).progress).toBe("first");
    expect(take(6, arm64, other)).toBe("ROLLBACK");
    expect(take(8, arm64, other)).toBe("newer");
    expect(marks().sort()).toEqual(["0.7", "linux~arm64~v8"]);
  });

  test("another platform than the one asked for is refused, and not remembered", () => {
    expect(take(7, arm64, image, amd64)).toBe("WRONG_PLATFORM");
    expect(() => readdirSync(at("state"))).toThrow("ENOENT");
  });
});

test("nothing is remembered of what is refused", () => {
  const path = release(9, image, mallory);
  expect(verdict(path)).toBe("UNTRUSTED_KEY");
  const broken = release(9);
  writeFileSync(broken, other);
  expect(verdict(broken)).toBe("WRONG_IMAGE");
  expect(() => readdirSync(at("state"))).toThrow("ENOENT");
});

test("of two good bundles of one image the newer counts, whichever comes first", () => {
  const path = release(8);
  const bundles = [`${path}.bundle.json`, `${release(9)}.bundle.json`];
  const opened = () => openVerified(path, { bundles }, { trust: keyring, state, name, now });
  expect(opened().statement.version).toBe(9);
  bundles.reverse();
  expect(opened().statement.version).toBe(9);
});

test("a stolen key's highest version is forgotten with a new epoch", () => {
  const policy = (epoch: number) => policyWith((p) => (p.epoch = epoch));
  expect(open(release(Number.MAX_SAFE_INTEGER), policy(0)).progress).toBe("first");
  expect(verdict(release(8, other), policy(0))).toBe("ROLLBACK");
  expect(open(release(8, other), policy(1)).progress).toBe("first");
  expect(verdict(release(7), policy(1))).toBe("ROLLBACK");
  expect(verdict(release(Number.MAX_SAFE_INTEGER), policy(0))).toBe("ROLLBACK");
});

test("policies of other names do not share their marks", () => {
  open(
    release(9),
    policyWith(() => {}),
  );
  expect(
    open(
      release(7),
      policyWith((p) => (p.name = "other")),
    ).progress,
  ).toBe("first");
});

describe("a bad memory", () => {
  beforeEach(() => void open(release(7)));

  test.each([
    ["cut off", ""],
    ["half written", '{"formatVersion":1,"about":"app"'],
    [
      "of another name",
      '{"formatVersion":1,"about":"x","epoch":0,"version":7,"sha256":"","recorded":""}',
    ],
    ["no JSON", "\0\0\0\0"],
  ])("that is %s refuses", (_, text) => {
    writeFileSync(markPath(), text);
    expect(verdict(release(8))).toBe("BAD_STATE");
  });

  test("is refused when a file has another version than its name", () => {
    const path = markPath();
    writeFileSync(path, readFileSync(path, "utf8").replace('"version":7', '"version":3'));
    expect(verdict(release(8))).toBe("BAD_STATE");
  });

  test("is refused, without hanging, when a mark is a folder, a fifo or a link", () => {
    for (const make of [
      (path: string) => mkdirSync(path),
      (path: string) => execFileSync("mkfifo", [path]),
      (path: string) => execFileSync("ln", ["-s", "/dev/zero", path]),
    ]) {
      const path = markPath();
      rmSync(path, { recursive: true });
      make(path);
      expect(verdict(release(8))).toBe("BAD_STATE");
    }
  });

  test("that was removed makes the next use the first again", () => {
    rmSync(at("state"), { recursive: true });
    expect(open(release(6)).progress).toBe("first");
  });

  test("may have other files in it, which are ignored", () => {
    const folder_ = join(markPath(), "..");
    writeFileSync(join(folder_, ".1234.tmp"), "");
    writeFileSync(join(folder_, "0.08"), "");
    writeFileSync(join(folder_, "0.9~"), "");
    expect(open(release(7)).progress).toBe("same");
  });
});

test("a memory that cannot be written refuses what is new, and still takes what is known", () => {
  open(release(7));
  const path = join(markPath(), "..");
  // A folder that even root cannot write into; skipped where the file system has no such flag.
  try {
    execFileSync("chattr", ["+i", path], { stdio: "ignore" });
  } catch {
    return; // not root, or tmpfs: the next test has a way that works everywhere
  }
  try {
    expect(verdict(release(8))).toBe("STATE_NOT_KEPT");
    expect(open(release(7)).progress).toBe("same");
  } finally {
    execFileSync("chattr", ["-i", path]);
  }
});

test("a place where no folder can be made refuses the first use", () => {
  writeFileSync(at("state"), "a file");
  expect(verdict(release(7))).toBe("BAD_STATE");
  rmSync(at("state"));
  state = new TrustState("/proc/sealfs-state");
  expect(verdict(release(7))).toBe("STATE_NOT_KEPT");
});

test("the memory is private", () => {
  open(release(7));
  expect(statSync(at("state")).mode & 0o777).toBe(0o700);
  expect(statSync(markPath()).mode & 0o777).toBe(0o600);
});

test("two processes that verify at once cannot lower the mark, and notice two images of one version", () => {
  const policy = policyWith(() => {});
  const verified = (version: number, sha256: string) => {
    return { progress: "newer", statement: { name, created: now, version, sha256 } } as const;
  };
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  // The one has read version 7 when the other writes 9, then writes 8.
  state.remember(verified(9, a), policy, now);
  expect(refusal(() => state.remember(verified(8, b), policy, now))).toBe("ROLLBACK");
  expect(state.marksOf(name, policy, undefined).own?.version).toBe(9);
  expect(refusal(() => state.remember(verified(9, b), policy, now))).toBe("EQUIVOCATION");
  state.remember(verified(9, a), policy, now);
});

test("the place is the option's, the environment's, or the user's own", () => {
  expect(TrustState.open("none")).toBeUndefined();
  expect(TrustState.open(undefined, { SEALFS_STATE: "none" })).toBeUndefined();
  expect(TrustState.open("/a", { SEALFS_STATE: "/b" })?.path).toBe("/a");
  expect(TrustState.open(undefined, { SEALFS_STATE: "/b" })?.path).toBe("/b");
  const own = TrustState.open(undefined, { XDG_STATE_HOME: "/home/me/state" })?.path;
  expect(own).toBe(process.geteuid?.() === 0 ? "/var/lib/sealfs" : "/home/me/state/sealfs");
});
