/** The version that a signer may give a name that has had versions before. */
import { describe, expect, test } from "vitest";
import { signFacts, imageFacts } from "../../../src/sign/sign-image.ts";
import { type WishedVersion, settleVersion } from "../../../src/sign/succession.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { alice, mallory, name, refusal, utf8 } from "../../support/trust.ts";

const facts = imageFacts(goldenImage("ext-basic.v1").bytes);
const created = new Date("2026-09-01T00:00:00Z");
const expires = new Date("2027-09-01T00:00:00Z");
const signed = (version: number, change: { key?: typeof alice; name?: string } = {}) =>
  signFacts(facts, { name, key: alice, created, expires, version, ...change }).bundle;

const another = "f".repeat(64);
function settle(
  version: number,
  versionFrom: WishedVersion["versionFrom"],
  inStore: Uint8Array[],
  sha256: string | undefined = facts.sha256,
) {
  const wished = { version, versionFrom, created };
  return settleVersion({ name, sha256 }, wished, [alice.publicKey], { inStore, inFiles: [] });
}

describe("of the clock", () => {
  test("rises above what the same key has signed, but not for the same image", () => {
    expect(settle(7, "clock", [signed(7)], another).version).toBe(8);
    expect(settle(7, "clock", [signed(3), signed(9), signed(8)], another).version).toBe(10);
    expect(settle(7, "clock", [signed(7)]).version).toBe(7);
    expect(settle(7, "clock", []).version).toBe(7);
    expect(settle(9, "clock", [signed(7)], another).version).toBe(9);
  });

  test("that is behind what was signed is a warning", () => {
    const behind = { version: 9, versionFrom: "clock", created: new Date(0) } as const;
    const next = { name, sha256: another };
    const { warnings } = settleVersion(next, behind, [alice.publicKey], {
      inStore: [],
      inFiles: [signed(7)],
    });
    expect(warnings.join()).toContain("this machine's clock says 1970-01-01T00:00:00Z");
    expect(settle(9, "clock", [signed(7)], another).warnings).toEqual([]);
  });
});

describe.each(["epoch", "created", "asked", "statement"] as const)("from %s", (from) => {
  test("is refused below one that the same key has signed, and for another image", () => {
    expect(refusal(() => settle(6, from, [signed(7)]))).toBe("ROLLBACK");
    expect(refusal(() => settle(7, from, [signed(7)], another))).toBe("EQUIVOCATION");
    expect(settle(7, from, [signed(7)]).version).toBe(7);
    expect(settle(8, from, [signed(7)], another).version).toBe(8);
  });

  test("is compared before the image is known, as far as that can be", () => {
    const unknown = (version: number) =>
      settleVersion(
        { name, sha256: undefined },
        { version, versionFrom: from, created },
        [alice.publicKey],
        { inStore: [signed(7)], inFiles: [] },
      ).version;
    expect(refusal(() => unknown(6))).toBe("ROLLBACK");
    expect(unknown(7)).toBe(7);
  });
});

test("in a file that is replaced, a lower one is a warning: nobody may have it yet", () => {
  const inFile = (version: number, versionFrom: WishedVersion["versionFrom"]) =>
    settleVersion({ name, sha256: another }, { version, versionFrom, created }, [alice.publicKey], {
      inStore: [],
      inFiles: [signed(7)],
    });
  expect(inFile(6, "asked").version).toBe(6);
  expect(inFile(6, "asked").warnings.join()).toMatch(/is below version 7, .*--version 8/);
  expect(inFile(8, "asked").warnings).toEqual([]);
  expect(inFile(7, "clock")).toEqual({ version: 8, warnings: [] });
});

test("what the refusal tells to give is taken", () => {
  const told = (() => {
    try {
      settle(6, "epoch", [signed(7)], another);
    } catch (error) {
      return (error as { hint: string }).hint;
    }
    return "";
  })();
  const version = Number(/--version (\d+)$/.exec(told)?.[1]);
  expect(settle(version, "asked", [signed(7)], another).version).toBe(8);
});

test("strangers' statements are a warning, and those of other names and junk are nothing", () => {
  const strange = settle(6, "epoch", [signed(7, { key: mallory })]);
  expect(strange.version).toBe(6);
  expect(strange.warnings.join()).toContain(mallory.publicKey.id);
  const others = [signed(7, { name: "app:other" }), utf8("junk"), utf8("{}")];
  expect(settle(6, "epoch", others)).toEqual({ version: 6, warnings: [] });
});
