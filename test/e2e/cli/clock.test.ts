/** Devices without a clock: it says 1970 when they start. */
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runMain, runMainOk } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const NAME = "e/app:1";
let folder: string;
const at = (file: string) => join(folder, file);
const clockSays = (time: string) => vi.setSystemTime(new Date(time));
const build = (...more: string[]) => {
  const made = ["--store", at("st"), "--name", NAME, "--key", at("k.key")];
  return runMainOk("build", `dir:${at("src")}`, ...made, ...more);
};
const verify = (...more: string[]) => {
  const trust = ["--key", at("k.pub"), "--state", at("state")];
  return runMain("verify", NAME, "--store", at("st"), ...trust, ...more);
};
const floor = (...places: string[]) => places.flatMap((place) => ["--clock-floor", place]);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  folder = scratchFolder();
  mkdirSync(at("src"));
  await runMainOk("keygen", "-o", at("k"));
  clockSays("2026-06-01T00:00:00Z");
  await build("--expires", "90d");
});
afterEach(() => {
  vi.useRealTimers();
});

test("without a floor, what was created after the clock's time is refused, with the remedy", async () => {
  clockSays("1970-01-01T00:00:10Z");
  const { status, err } = await verify();
  expect(status).toBe(5);
  expect(err).toMatch(/created 2026-06-01T00:00:00Z, which is after now.*\n.*--clock-floor/);
});

describe("a floor", () => {
  test("lets a clock at 1970 verify, and says so and what that gives up", async () => {
    clockSays("1970-01-01T00:00:10Z");
    const { status, err } = await verify(...floor("2026-05-01"));
    expect(status).toBe(0);
    expect(err).toMatch(
      /^warning: this machine's clock says 1970-01-01T00:00:10Z, so the time is taken to be 2026-05-01T00:00:00Z or later: what has expired since then is not noticed/,
    );
  });

  test("still refuses what had expired by then", async () => {
    clockSays("1970-01-01T00:00:10Z");
    expect((await verify(...floor("2026-08-29"))).status).toBe(0);
    const { status, err } = await verify(...floor("2026-08-30T00:00:00Z"));
    expect(status).toBe(5);
    expect(err).toContain("expired 2026-08-30T00:00:00Z");
  });

  test("is nothing to a clock that works: that one decides, in both directions", async () => {
    clockSays("2026-09-01T00:00:00Z");
    const late = await verify(...floor("2026-05-01"));
    expect(late.status).toBe(5);
    expect(late.err).toMatch(/^sealfs: statement: expired/);
    clockSays("2026-05-31T00:00:00Z");
    const early = await verify(...floor("2026-05-30"));
    expect(early.err).toMatch(/^sealfs: statement: created/);
  });

  test("may be the age of a file, and of several the latest counts", async () => {
    clockSays("1970-01-01T00:00:10Z");
    writeFileSync(at("stamp"), "");
    const changed = new Date("2026-09-15T00:00:00Z");
    utimesSync(at("stamp"), changed, changed);
    expect((await verify(...floor(at("stamp"), "2026-05-01"))).err).toContain("expired");
    rmSync(at("stamp"));
    const { status, err } = await verify(...floor(at("stamp")));
    expect(status).toBe(7);
    expect(err).toContain("expected a time such as 2026-09-01");
  });

  test("holds for a policy too, whose own expiry it decides", async () => {
    const settings = ["--name", "p", "--key", at("k.pub"), "--expires", "2026-07-01"];
    await runMainOk("policy", "init", at("policy"), ...settings);
    clockSays("1970-01-01T00:00:10Z");
    const check = (place: string) => {
      const trust = ["--policy", at("policy"), "--state", at("state")];
      return runMain("verify", NAME, "--store", at("st"), ...trust, ...floor(place));
    };
    expect((await check("2026-06-30")).status).toBe(0);
    expect((await check("2026-07-02")).err).toMatch(/policy .* expired/);
  });
});

describe("the memory as a floor", () => {
  test("knows the latest creation that was verified, by whatever clock", async () => {
    clockSays("2026-06-10T00:00:00Z");
    expect((await verify()).status).toBe(0);
    clockSays("1970-01-01T00:00:10Z");
    const { status, err } = await verify(...floor("memory"));
    expect(status).toBe(0);
    expect(err).toContain("taken to be 2026-06-01T00:00:00Z or later");
  });

  test("rises with what is verified under a floor", async () => {
    clockSays("2026-07-01T00:00:00Z");
    writeFileSync(at("src/new"), "");
    await build("--expires", "90d");
    clockSays("1970-01-01T00:00:10Z");
    expect((await verify(...floor("memory"))).status).toBe(5);
    expect((await verify(...floor("memory", "2026-01-01"))).status).toBe(0);
    const { status, err } = await verify(...floor("memory"));
    expect(status).toBe(0);
    expect(err).toContain("taken to be 2026-07-01T00:00:00Z or later");
  });

  test("is of one policy: what is verified by other keys does not move it", async () => {
    await runMainOk("policy", "init", at("policy"), "--name", "p", "--key", at("k.pub"));
    expect((await verify()).status).toBe(0);
    clockSays("1970-01-01T00:00:10Z");
    const trust = ["--policy", at("policy"), "--state", at("state"), ...floor("memory")];
    expect((await runMain("verify", NAME, "--store", at("st"), ...trust)).status).toBe(5);
  });

  test("needs a memory", async () => {
    const trust = ["--key", at("k.pub"), "--state", "none", ...floor("memory")];
    const { status, err } = await runMain("verify", NAME, "--store", at("st"), ...trust);
    expect(status).toBe(2);
    expect(err).toContain("--state");
  });
});
