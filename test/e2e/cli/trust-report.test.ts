/** The command trust: what is known about an image, accepted or not. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { readPublicKey } from "../../../src/keys/key-files.ts";
import { deadlinesOf } from "../../../src/policy/trust-report.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { runMain } from "../../support/run.ts";
import {
  alice,
  bundleOf,
  envelopeOf,
  name,
  now,
  plainStatement,
  policyWith,
  testKey,
  verifyBundle,
} from "../../support/trust.ts";
import { formatEnvelope } from "../../../src/trust/bundle.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (file: string) => join(folder, file);
beforeEach(async () => {
  folder = scratchFolder();
  for (const who of ["alice", "bob"]) await runMain("keygen", "-o", at(who));
  writeFileSync(at("app.img"), goldenImage("ext-basic.v1").bytes);
  const made = ["--created", "2026-09-01", "--expires", "2036-08-29", "--version", "7"];
  await runMain("sign", at("app.img"), "--name", "team/app:1", "--key", at("alice.key"), ...made);
});

const trust = (...more: string[]) =>
  runMain("trust", at("app.img"), "--name", "team/app:1", ...more);
const id = (who: string) => readPublicKey(at(`${who}.pub`)).id;

test("plain keys: who signed, until when, and that any key would do", async () => {
  const { status, out } = await trust("--key", at("alice.pub"));
  expect(status).toBe(0);
  expect(out).toContain(`signed by   ${id("alice")}`);
  expect(out).toContain("keys        1 signed, 1 needed");
  expect(out).toContain("rule        plain keys");
  expect(out).toContain("memory      none");
  expect(out).toContain("ends        2036-08-29T00:00:00Z: the statement expires");
});

test("a policy: the patterns, the threshold and the memory, also as JSON, and nothing is changed", async () => {
  const keys = ["--key", at("alice.pub"), "--key", at("bob.pub")];
  await runMain("policy", "init", at("policy"), "--name", "fleet", ...keys, "--names", "team/**");
  await runMain("policy", "set", at("policy"), "--rule", "team/app:*=2", "--expires", "2030-01-01");
  await runMain("sign", at("app.img"), "--add", "--key", at("bob.key"));
  const options = ["--policy", at("policy"), "--state", at("state")];
  const { out } = await trust(...options);
  expect(out).toContain("trusted     yes");
  expect(out).toContain(`${id("bob")} (by team/**)`);
  expect(out).toContain("keys        2 signed, 2 needed (for team/app:*)");
  expect(out).toContain("policy      fleet, version 1, epoch 0, not signed");
  expect(out).toContain("memory      nothing seen yet");
  expect(out).toContain("ends        2030-01-01T00:00:00Z: the policy expires");
  expect((await trust(...options)).out).toBe(out);
  await runMain("verify", at("app.img"), "--name", "team/app:1", ...options);
  const report = JSON.parse((await trust(...options, "--json")).out);
  expect(report).toMatchObject({
    ok: true,
    asked: "team/app:1",
    threshold: { needed: 2, pattern: "team/app:*" },
    memory: { version: 7, epoch: 0, place: at("state") },
    statement: { version: 7, created: "2026-09-01T00:00:00Z" },
  });
});

test("a refusal is part of the report, and the exit status", async () => {
  const stranger = await trust("--key", at("bob.pub"));
  expect(stranger.status).toBe(5);
  expect(stranger.out).toContain("trusted     NO, UNTRUSTED_KEY");
  const renamed = await runMain(
    "trust",
    at("app.img"),
    "--name",
    "other",
    "--key",
    at("alice.pub"),
  );
  expect(renamed.out).toContain("NO, WRONG_NAME");
  writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
  const swapped = await trust("--key", at("alice.pub"), "--json");
  expect(JSON.parse(swapped.out)).toMatchObject({ ok: false, refusal: { code: "WRONG_IMAGE" } });
  rmSync(at("app.img.bundle.json"));
  expect((await trust("--key", at("alice.pub"))).out).toContain("NO, NO_BUNDLE");
});

test("an older version than the one remembered is told", async () => {
  const options = ["--key", at("alice.pub"), "--state", at("state")];
  const old = [at("app.img"), at("app.img.bundle.json")].map((path) => readFileSync(path));
  writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
  await runMain("sign", at("app.img"), "--name", "team/app:1", "--key", at("alice.key"));
  await runMain("verify", at("app.img"), "--name", "team/app:1", ...options);
  writeFileSync(at("app.img"), old[0]!);
  writeFileSync(at("app.img.bundle.json"), old[1]!);
  const { out, status } = await trust(...options);
  expect(status).toBe(5);
  expect(out).toContain("NO, ROLLBACK");
  expect(out).toMatch(/memory {6}version \d{10}, epoch 0, since/);
});

test("the first deadline is that of the key without which too few are left", () => {
  const bob = testKey(3);
  const payload = JSON.stringify(plainStatement());
  const both = formatEnvelope(envelopeOf(payload, [alice, bob]));
  const policy = (threshold: number) =>
    policyWith((p) => {
      p.threshold = threshold;
      p.keys[0].notAfter = "2026-11-01T00:00:00Z";
      p.keys[1].notAfter = "2026-12-01T00:00:00Z";
      p.maxAge = "180d";
    });
  const ends = (threshold: number, file = both) =>
    deadlinesOf(verifyBundle(file, policy(threshold), { name, now }), policy(threshold));
  expect(ends(2).map(({ when }) => when)).toEqual([
    "2026-11-01T00:00:00Z",
    "2027-02-28T00:00:00Z",
    "2027-09-01T00:00:00Z",
  ]);
  expect(ends(1)[0]?.when).toBe("2026-12-01T00:00:00Z");
  expect(ends(1, bundleOf(payload))[0]?.what).toContain(alice.publicKey.id);
});
