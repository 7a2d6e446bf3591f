/** Mounting by policy: thresholds, revocations and versions hold for mounts as for verify. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sealfs, sealfsOk } from "../support/run.ts";
import { isMounted, noMount } from "../support/mount-bed.ts";
import { scratchFolder } from "../support/scratch.ts";

const reason = noMount();
beforeEach((context) => context.skip(reason !== undefined, reason));

const site = fileURLToPath(new URL("../../examples/site.oci.tar", import.meta.url));
const name = "registry.example/site:1";
let cwd: string;
const ok = (...args: string[]) => sealfsOk(args, { cwd });

beforeAll(() => {
  cwd = scratchFolder();
  mkdirSync(join(cwd, "mnt"));
  mkdirSync(join(cwd, "old"));
  for (const who of ["alice", "bob"]) ok("keygen", "-o", who);
  ok("build", site, "--store", "store", "--name", name, "--durability", "none");
  ok("policy", "init", "policy", "--name", "fleet", "--key", "alice.pub", "--key", "bob.pub");
  ok("policy", "set", "policy", "--rule", "registry.example/**=2");
});
afterAll(() => {
  sealfs(["umount", "mnt"], { cwd });
});

const mount = () =>
  sealfs(["mount", name, "mnt", "--store", "store", "--policy", "policy", "--state", "state"], {
    cwd,
  });
const sign = (who: string, ...more: string[]) =>
  ok("sign", name, "--store", "store", "--key", `${who}.key`, ...more);

/** Refused with this exit status and word, and nothing mounted. */
function refused(word: string): void {
  const { status, stderr } = mount();
  expect({ status, stderr }).toMatchObject({ status: 5 });
  expect(stderr).toContain(word);
  expect(isMounted(join(cwd, "mnt"))).toBe(false);
}

test("a mount needs the policy's threshold, never an older version, and no revoked key", () => {
  sign("alice", "--version", "2");
  refused("needs 2 keys, signed by 1");
  sign("bob", "--add");
  expect(mount()).toMatchObject({ status: 0 });
  expect(readdirSync(join(cwd, "mnt"))).toContain("srv");
  ok("umount", "mnt");

  rmSync(join(cwd, "store/bundles"), { recursive: true });
  mkdirSync(join(cwd, "store/bundles"));
  ok("build", "dir:old", "--store", "store", "--name", name, "--durability", "none");
  sign("alice", "--version", "1");
  sign("bob", "--add");
  refused("version 1 is offered, but version 2 was there already");

  sign("alice", "--version", "3");
  sign("bob", "--add");
  expect(mount()).toMatchObject({ status: 0 });
  ok("umount", "mnt");
  ok("policy", "revoke", "policy", "bob.pub", "--reason", "left");
  refused("needs 2 keys, signed by 1");
});
