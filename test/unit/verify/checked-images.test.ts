/** The memory of checked images: what it saves, and when it counts for nothing. */
import { createHash } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"; // prettier-ignore
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { CHECKER_VERSION, ImageRuleError } from "../../../src/erofs/check.ts";
import { CheckedImages, MOST_CHECKED_IMAGES } from "../../../src/verify/checked-images.ts";
import { openVerified } from "../../../src/verify/locate.ts";
import { sha256Of } from "../../../src/sys/sha256.ts";
import { imageFacts, signFacts } from "../../../src/sign/sign-image.ts";
import { TrustState } from "../../../src/verify/trust-state.ts";
import { limits } from "../../../src/limits.ts";
import { openNamedImage } from "../../../src/mount/named-image.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { alice, keyring, name, now } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (file: string) => join(folder, file);
const memory = () => new CheckedImages(at("state"));
beforeEach(() => {
  folder = scratchFolder();
});

const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");
const [one, two] = [digestOf("one"), digestOf("two")];

describe("an image", () => {
  test("is known once it was added, and no other is", () => {
    expect(memory().has(one)).toBe(false);
    memory().add(one);
    expect(memory().has(one)).toBe(true);
    expect(memory().has(two)).toBe(false);
  });

  test("is forgotten when many were added after it", () => {
    const all = Array.from({ length: MOST_CHECKED_IMAGES + 1 }, (_, i) => digestOf(`${i}`));
    for (const each of all) memory().add(each);
    expect(memory().has(all[0]!)).toBe(false);
    expect(memory().has(all[1]!)).toBe(true);
    expect(memory().has(all.at(-1)!)).toBe(true);
    expect(statSync(at("state/checked-images")).size).toBeLessThan(32 * 1024);
    expect(readdirSync(at("state"))).toEqual(["checked-images"]);
  });
});

describe("the memory counts for nothing", () => {
  const path = () => at("state/checked-images");
  beforeEach(() => memory().add(one));
  const rewrite = (change: (text: string) => string) =>
    writeFileSync(path(), change(readFileSync(path(), "latin1")), "latin1");

  test("when another checker has written it", () => {
    rewrite((text) => text.replace(` ${CHECKER_VERSION}\n`, ` ${CHECKER_VERSION - 1}\n`));
    expect(memory().has(one)).toBe(false);
    memory().add(two);
    expect([memory().has(one), memory().has(two)]).toEqual([false, true]);
  });

  test.each<[string, (text: string) => string]>([
    ["garbage", () => "\0\0\0"],
    ["nothing", () => ""],
    ["half a line", (text) => text.slice(0, -2)],
    ["a word in between", (text) => `${text}and\n`],
    ["more than it may hold", (text) => text + `${two}\n`.repeat(MOST_CHECKED_IMAGES)],
  ])("when it holds %s", (_, change) => {
    rewrite(change);
    expect(memory().has(one)).toBe(false);
  });

  test.each([
    ["the file", "state/checked-images"],
    ["its folder", "state"],
  ])("when others may write to %s", (_, file) => {
    const mode = statSync(at(file)).mode & 0o777;
    for (const bit of [0o020, 0o002]) {
      chmodSync(at(file), mode | bit);
      expect(memory().has(one)).toBe(false);
    }
    chmodSync(at(file), mode);
    expect(memory().has(one)).toBe(true);
  });

  test.for([
    ["the file", "state/checked-images"],
    ["its folder", "state"],
  ] as const)("when %s belongs to somebody else", ([, file], context) => {
    context.skip(process.geteuid?.() !== 0, "needs root");
    chownSync(at(file), 12345, 0);
    expect(memory().has(one)).toBe(false);
  });

  test("when a link or a folder is in its place", () => {
    const text = readFileSync(path());
    rmSync(path());
    writeFileSync(at("elsewhere"), text, { mode: 0o600 });
    symlinkSync(at("elsewhere"), path());
    expect(memory().has(one)).toBe(false);
    rmSync(path());
    mkdirSync(path());
    expect(memory().has(one)).toBe(false);
    memory().add(one); // which is no failure
    expect(memory().has(one)).toBe(false);
    expect(readdirSync(at("state"))).toEqual(["checked-images"]);
  });
});

describe("mounting", () => {
  const good = goldenImage("ext-basic.v1").bytes;
  // Its signer was careless: only the check of the format can refuse it.
  const broken = Uint8Array.from(good);
  broken[broken.length - 1] = 1;

  function release(bytes: Uint8Array): string {
    const path = at("image");
    const sha256 = sha256Of(bytes);
    const verityDigest = verityDigestOf(bytes, "sha256");
    const { bundle } = signFacts(
      { ...imageFacts(good), sha256, verityDigest },
      {
        name,
        key: alice,
        version: 1,
        created: new Date("2026-09-01T00:00:00Z"),
        expires: new Date("2027-09-01T00:00:00Z"),
      },
    );
    writeFileSync(path, bytes);
    writeFileSync(`${path}.bundle.json`, bundle);
    return path;
  }
  const state = () => new TrustState(at("state"));
  const mountable = (path: string, kept = true) =>
    openNamedImage(path, {}, { trust: keyring, state: kept ? state() : undefined, name, now });

  test("remembers an image that was verified, and only that", async () => {
    const verified = await mountable(release(good));
    expect(verified.statement.sha256).toBe(sha256Of(good));
    expect(state().checked.has(sha256Of(good))).toBe(true);
    expect((await mountable(at("image"))).image.root).toEqual(verified.image.root);
    expect(state().checked.has(sha256Of(broken))).toBe(false);
  });

  test("checks what it does not remember, each time that it is refused", async () => {
    const path = release(broken);
    for (const _ of [1, 2]) await expect(mountable(path)).rejects.toThrow(ImageRuleError);
    expect(state().checked.has(sha256Of(broken))).toBe(false);
  });

  test("does not check again what it remembers", async () => {
    const path = release(broken);
    state().checked.add(sha256Of(broken));
    expect((await mountable(path)).statement.sha256).toBe(sha256Of(broken));
    chmodSync(at("state/checked-images"), 0o666);
    await expect(mountable(path)).rejects.toThrow(ImageRuleError);
  });

  test("refuses other bytes than the signed, whatever is remembered of either", async () => {
    const path = release(good);
    await mountable(path);
    state().checked.add(sha256Of(broken));
    writeFileSync(path, broken);
    await expect(mountable(path)).rejects.toMatchObject({ code: "WRONG_IMAGE" });
  });

  test("remembers nothing without a memory", async () => {
    await mountable(release(good), false);
    expect(() => statSync(at("state"))).toThrow("ENOENT");
  });

  test("goes on where the memory cannot be written", () => {
    const path = release(good);
    writeFileSync(at("nowhere"), "");
    const checked = new CheckedImages(at("nowhere/state"));
    const { statement } = openVerified(path, {}, { trust: keyring, name, now, checked });
    expect(statement.name).toBe(name);
  });

  test("uses the memory, and verifying alone does not", () => {
    const path = release(broken);
    state().checked.add(sha256Of(broken));
    const demands = { trust: keyring, state: state(), name, now };
    expect(() => openVerified(path, {}, demands)).toThrow(ImageRuleError);
  });
});

test("a changed checker has another version", () => {
  // Does an image that passed before pass no more? Then CHECKER_VERSION has to go up. In either case
  // the digest below has to be renewed.
  const erofs = fileURLToPath(new URL("../../../src/erofs/", import.meta.url));
  const isPart = /^(?:check.*|image-rules|space-map|.*-reader|format|overlay-xattrs|image)\.ts$/;
  const parts = readdirSync(erofs).filter((file) => isPart.test(file));
  const hash = createHash("sha256");
  for (const part of parts) {
    const text = readFileSync(join(erofs, part), "utf8");
    // Neither where things are imported from nor comments are rules.
    hash.update(text.replace(/^import [^;]*;$|^\s*(?:\/?\*|\/\/).*$/gm, ""));
    for (const [, limit] of text.matchAll(/limits\.(\w+)/g)) {
      hash.update(`${limit}=${limits[limit as keyof typeof limits]}`);
    }
  }
  expect([CHECKER_VERSION, hash.digest("hex").slice(0, 16)]).toEqual([3, "84a6bb0461cdc0c4"]);
});
