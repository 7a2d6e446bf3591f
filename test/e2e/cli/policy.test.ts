/** The command policy, and verification by policy, as their user calls them. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { readPublicKey } from "../../../src/keys/key-files.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { runMain, runMainOk } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (name: string) => join(folder, name);
const image = goldenImage("ext-basic.v1").bytes;

beforeEach(async () => {
  folder = scratchFolder();
  for (const who of ["alice", "bob", "carol"]) await runMain("keygen", "-o", at(who));
  writeFileSync(at("app.img"), image);
});

const pub = (who: string) => at(`${who}.pub`);
const sign = (who: string, ...more: string[]) =>
  runMainOk(
    "sign",
    at("app.img"),
    "--name",
    "registry.example/app:1",
    "--key",
    at(`${who}.key`),
    ...more,
  );
const verify = (...more: string[]) =>
  runMain(
    "verify",
    at("app.img"),
    "--policy",
    at("policy"),
    "--name",
    "registry.example/app:1",
    ...more,
  );
const init = (...more: string[]) =>
  runMainOk("policy", "init", at("policy"), "--name", "fleet", "--key", pub("alice"), ...more);
const signPolicy = (file: string, ...who: string[]) =>
  Promise.all(who.map((each) => runMainOk("policy", "sign", at(file), "--key", at(`${each}.key`))));

test("a policy decides in place of keys, and keys beside it are a mistake", async () => {
  await init("--names", "registry.example/**");
  await sign("alice");
  const { status, out } = await verify();
  expect({ status, out }).toMatchObject({ status: 0 });
  expect(out).toContain(readPublicKey(pub("alice")).id);
  await sign("bob");
  expect(await verify()).toMatchObject({ status: 5, out: "" });
  expect((await verify("--key", pub("bob"))).status).toBe(2);
});

test("init overwrites nothing, and refuses what clients would refuse", async () => {
  await init();
  const before = readFileSync(at("policy"), "utf8");
  const again = ["policy", "init", at("policy"), "--name", "x", "--key", pub("bob")];
  expect((await runMain(...again)).status).toBe(2);
  expect(readFileSync(at("policy"), "utf8")).toBe(before);
  const bad = await runMain(
    "policy",
    "init",
    at("bad"),
    "--name",
    "x",
    "--key",
    pub("bob"),
    "--threshold",
    "2",
  );
  expect(bad.status).toBe(5);
  expect(bad.err).toContain("can never be met");
  expect(existsSync(at("bad"))).toBe(false);
});

test("thresholds, names, times and revocations are set by commands, and hold", async () => {
  await init();
  await sign("alice");
  await runMainOk("policy", "add-key", at("policy"), pub("bob"), "--names", "registry.example/*");
  await runMainOk(
    "policy",
    "set",
    at("policy"),
    "--rule",
    "registry.example/**=2",
    "--max-age",
    "90d",
  );
  const below = await verify();
  expect(below.status).toBe(5);
  expect(below.err).toContain("needs 2 keys, signed by 1");
  const shown = await runMainOk("policy", "show", at("policy"));
  expect(shown.out).toContain("2 for registry.example/**");
  expect(shown.out).toContain("max age     90d");
  await runMainOk("policy", "set", at("policy"), "--rule", "registry.example/**=1");
  expect((await verify()).status).toBe(0);
  await runMainOk("policy", "add-key", at("policy"), pub("carol"), "--policy-key");
  await runMainOk("policy", "revoke", at("policy"), pub("alice"), "--reason", "laptop stolen");
  const revoked = await verify();
  expect(revoked.status).toBe(5);
  expect(revoked.err).toContain("is revoked: laptop stolen");
  const { policyKeys } = JSON.parse(
    (await runMainOk("policy", "show", at("policy"), "--json")).out,
  );
  expect(policyKeys.ids).toEqual([readPublicKey(pub("carol")).id]);
});

test("an image is revoked by the digest that sign and verify print", async () => {
  await init();
  const digest = (await sign("alice")).out.trim();
  await runMainOk("policy", "revoke", at("policy"), digest, "--reason", "CVE-2026-1");
  expect((await verify()).err).toContain("is revoked: CVE-2026-1");
  expect((await runMain("policy", "revoke", at("policy"), digest)).status).toBe(2);
  expect((await runMain("policy", "revoke", at("policy"), "nonsense")).status).toBe(2);
});

test("the last key that signs policies cannot be revoked before there is another", async () => {
  await init();
  const { status, err } = await runMain("policy", "revoke", at("policy"), pub("alice"));
  expect(status).toBe(2);
  expect(err).toContain("add another first");
});

test("a signed policy needs its keys' signatures, and changing it starts the next version", async () => {
  await init("--key", pub("bob"), "--policy-threshold", "2");
  await sign("alice");
  await signPolicy("policy", "alice");
  const half = await verify();
  expect(half.status).toBe(5);
  expect(half.err).toContain("signed by 1 of the 2 keys");
  await signPolicy("policy", "bob");
  expect((await verify()).status).toBe(0);
  expect((await runMainOk("policy", "check", at("policy"))).err).not.toContain("not signed");
  const { err } = await runMainOk("policy", "add-key", at("policy"), pub("carol"), "--names", "**");
  expect(err).toContain("version 2, not signed");
  // A draft that is changed again stays version 2.
  expect((await runMainOk("policy", "set", at("policy"), "--max-age", "30d")).err).toContain(
    "version 2",
  );
});

test("update takes the next policy only with the signatures of old and new", async () => {
  await init("--key", pub("bob"), "--policy-threshold", "2");
  await signPolicy("policy", "alice");
  await signPolicy("policy", "bob");
  const old = readFileSync(at("policy"));
  writeFileSync(at("next"), old);
  await runMainOk("policy", "add-key", at("next"), pub("carol"), "--names", "**", "--policy-key");
  await runMainOk("policy", "revoke", at("next"), pub("bob"), "--reason", "left");
  const update = () => runMain("policy", "update", at("policy"), at("next"));
  expect((await update()).status).toBe(5);
  await signPolicy("next", "alice");
  await signPolicy("next", "carol");
  expect((await update()).err).toContain("by the keys of the old");
  expect((await runMain("policy", "check", at("next"), "--previous", at("policy"))).status).toBe(5);
  expect(readFileSync(at("policy"))).toEqual(old);
  await signPolicy("next", "bob");
  await runMainOk("policy", "check", at("next"), "--previous", at("policy"));
  expect((await update()).err).toContain("version 2");
  expect(readFileSync(at("policy"))).toEqual(readFileSync(at("next")));
  expect((await update()).status).toBe(2);
});

test("a policy that was put back to before a revocation is refused", async () => {
  const state = ["--state", at("state")];
  await init("--key", pub("bob"));
  await signPolicy("policy", "alice");
  await sign("bob");
  const old = readFileSync(at("policy"));
  expect((await verify(...state)).status).toBe(0);
  await runMainOk("policy", "revoke", at("policy"), pub("bob"));
  await signPolicy("policy", "alice");
  expect((await verify(...state)).err).toContain("is revoked");
  writeFileSync(at("policy"), old);
  const back = await verify(...state);
  expect(back.status).toBe(5);
  expect(back.err).toContain("version 1 is offered, but version 2 was there already");
});

test("a signed policy cannot be put aside by one without signatures", async () => {
  const state = ["--state", at("state")];
  await init();
  await sign("alice");
  expect((await verify(...state)).status).toBe(0); // edited in place while nobody signs it
  await signPolicy("policy", "alice");
  expect((await verify(...state)).status).toBe(0);
  const { payload } = JSON.parse(readFileSync(at("policy"), "utf8"));
  for (const version of [1, 2]) {
    const text = Buffer.from(payload, "base64").toString();
    writeFileSync(at("policy"), text.replace('"version": 1', `"version": ${version}`));
    const { status, err } = await verify(...state);
    expect(status).toBe(5);
    expect(err).toContain("is not signed, but version 1 was");
  }
});

test("check tells what a careful person would ask about", async () => {
  await init("--expires", "2026-01-01");
  expect((await runMain("policy", "check", at("policy"))).err).toContain("expired 2026-01-01");
  await runMainOk("policy", "set", at("policy"), "--expires", "2099-01-01");
  const { err } = await runMainOk("policy", "check", at("policy"));
  expect(err).toContain("not signed: anyone who can write the file decides");
});

test("verify tells the first use of a name, and an older version is refused", async () => {
  const state = ["--state", at("state")];
  await init();
  await sign("alice", "--version", "8");
  expect((await verify(...state)).err).toContain("first use of this name");
  expect((await verify(...state)).err).toBe("");
  writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
  await sign("alice", "--version", "7");
  const { status, err } = await verify(...state);
  expect(status).toBe(5);
  expect(err).toContain("version 7 is offered, but version 8 was there already");
  // A new epoch starts anew.
  await runMainOk("policy", "set", at("policy"), "--epoch", "1");
  expect((await verify(...state)).status).toBe(0);
});

test("times are dates, or lengths of time from now", async () => {
  const before = Date.now();
  await init("--expires", "365d");
  const added = ["--names", "x", "--not-before", "2026-01-01", "--not-after", "36h"];
  await runMainOk("policy", "add-key", at("policy"), pub("bob"), ...added);
  const { keys, expires } = JSON.parse(readFileSync(at("policy"), "utf8"));
  const days = (Date.parse(expires) - before) / (24 * 3600 * 1000);
  expect(Math.round(days)).toBe(365);
  expect(keys[1].notBefore).toBe("2026-01-01T00:00:00Z");
  expect(Math.round((Date.parse(keys[1].notAfter) - before) / 3_600_000)).toBe(36);
  const set = (...more: string[]) => runMain("policy", "set", at("policy"), ...more);
  expect((await set("--expires", "soon")).err).toContain("expected a date such as 2027-09-01");
  const past = await set("--expires", "2020-01-01");
  expect(past.err).toMatch(/^warning: the policy expired 2020-01-01T00:00:00Z/);
});

test("a rule needs as many keys as it asks for, and says how to get them", async () => {
  await init();
  const set = (...more: string[]) => runMain("policy", "set", at("policy"), ...more);
  const few = await set("--rule", "prod/**=2");
  expect(few.status).toBe(5);
  expect(few.err).toMatch(/--rule prod\/\*\*: 2 of 1 key can never be met\n.*policy add-key/);
  expect((await set("--policy-threshold", "2")).err).toContain("--policy-threshold: 2 of 1 key");
  expect((await set("--rule", "prod/**=0")).status).toBe(2);
  await runMainOk("policy", "add-key", at("policy"), pub("bob"), "--names", "**", "--policy-key");
  expect((await set("--rule", "prod/**=2", "--policy-threshold", "2")).status).toBe(0);
  const both = ["--name", "y", "--key", pub("alice"), "--key", pub("bob"), "--rule", "prod/**=2"];
  expect((await runMain("policy", "init", at("other"), ...both)).status).toBe(0);
});

test("check tells of rules and names for which too few keys may sign", async () => {
  await init("--key", pub("bob"), "--names", "prod/*");
  const check = async () => (await runMainOk("policy", "check", at("policy"))).err;
  const set = (...more: string[]) => runMainOk("policy", "set", at("policy"), ...more);
  await set("--rule", "prod/a*=2", "--rule", "**/x=2");
  expect(await check()).not.toContain("needs");
  await set("--rule", "dev/**=1", "--rule", "prod/*/*=2");
  expect(await check()).toContain("dev/**: needs 1 key, and no key that can be used now may sign");
  expect(await check()).toContain("prod/*/*: needs 2 keys, and no key");
  await runMainOk("policy", "add-key", at("policy"), pub("carol"), "--names", "test/**");
  await set("--threshold", "2");
  expect(await check()).toContain("test/**: needs 2 keys, and only 1 key that can be used now");
  expect(await check()).not.toContain("warning: prod/*: ");
});

test("a key that is given twice to a new policy counts once", async () => {
  const twice = ["--name", "y", "--key", pub("alice"), "--key", pub("alice")];
  const { err } = await runMain("policy", "init", at("other"), ...twice, "--threshold", "2");
  expect(err).toContain("2 of 1 key can never be met");
  await runMainOk("policy", "init", at("other"), ...twice);
});

test("lengths of time may be written as in ISO 8601, but not in months", async () => {
  await init("--max-validity", "P1Y2W", "--max-age", "PT36H");
  const { maxValidity, maxAge } = JSON.parse(readFileSync(at("policy"), "utf8"));
  expect([maxValidity, maxAge]).toEqual(["379d", "36h"]);
  for (const text of ["P1M", "P", "PT", "P1YT", "1Y", "p1y"]) {
    const { status, err } = await runMain("policy", "set", at("policy"), "--max-age", text);
    expect([status, err]).toEqual([2, expect.stringContaining("expected a length of time")]);
  }
});

test("a policy is signed with several keys at once, and one that does not count is told", async () => {
  await init("--key", pub("bob"), "--policy-threshold", "2");
  const keys = ["alice", "bob"].flatMap((who) => ["--key", at(`${who}.key`)]);
  await runMainOk("policy", "sign", at("policy"), ...keys);
  await runMainOk("policy", "check", at("policy"));
  const { err } = await runMainOk("policy", "sign", at("policy"), "--key", at("carol.key"));
  expect(err).toMatch(/^warning: SHA256:\S+ is no policy key of this version/);
});
