/** Objects of other tools, read where they lie; and paths that are no store. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { takeLease } from "../../../src/store/leases.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { oracle } from "../../support/oracle.ts";
import { runMain } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const content = Buffer.from("content of more than nothing ".repeat(20));

let root: string;
let source: string;

beforeEach(() => {
  root = scratchFolder();
  source = join(root, "source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), content);
});

const all = (path: string) =>
  readdirSync(path, { recursive: true, encoding: "utf8" }).sort().join("\n");

/** Where each of the other tools would have put the object. */
const makers: [string, (path: string, algorithm: "sha256" | "sha512") => void][] = [
  ["an object directory of mkcomposefs", (path, algorithm) => addObject(path, algorithm)],
  [
    "a repository of composefs-rs",
    (path, algorithm) => {
      for (const folder of ["images", "streams"])
        mkdirSync(join(path, folder), { recursive: true });
      addObject(join(path, "objects"), algorithm);
    },
  ],
];

function addObject(objects: string, algorithm: "sha256" | "sha512"): void {
  const digest = verityDigestOf(content, algorithm);
  mkdirSync(join(objects, digest.slice(0, 2)), { recursive: true });
  writeFileSync(join(objects, digest.slice(0, 2), digest.slice(2)), content);
}

describe.each(makers)("%s", (name, make) => {
  test.each(["sha256", "sha512"] as const)(
    "with %s gives objects, and stays as it is",
    async (algorithm) => {
      const path = join(root, "foreign");
      make(path, algorithm);
      const before = all(path);
      const digest = verityDigestOf(content, algorithm);
      const store = Store.open(path);
      expect(store.algorithm).toBe(algorithm);
      store.objects.verify(digest);

      const refused = expect.objectContaining({
        name: "SystemError",
        code: "READ_ONLY",
        message: expect.stringContaining(name),
      });
      expect(() => Transaction.begin(store)).toThrow(refused);
      expect(store.writeLeaves(digest, Buffer.alloc(32))).toBe(false);
      expect(takeLease(store, digest, () => [digest])).toBeUndefined();
      expect((await checkStore(store, { threads: 0 })).problems).toEqual([]);
      const gc = await runMain("gc", "--store", path);
      expect(gc.status).toBe(1);
      expect(gc.err).toContain(name);
      expect(all(path)).toBe(before);
    },
  );

  test("is an additional store for those who read images", async () => {
    const own = join(root, "own");
    await runMain("build", `dir:${source}`, "--store", own, "--name", "app");
    const path = join(root, "foreign");
    make(path, "sha256");
    rmSync(Store.open(own).objects.path(verityDigestOf(content))); // the other one has it
    expect((await runMain("cat", "app", "/file", "--store", own)).status).not.toBe(0);
    const both = await runMain("cat", "app", "/file", "--store", own, "--store", path);
    expect(both.out).toBe(content.toString());
    expect((await runMain("check", "app", "--store", own, "--store", path)).status).toBe(0);
    const repaired = await runMain("fsck", "--repair", "--from", path, "--store", own);
    expect(repaired.status).toBe(0);
    Store.open(own).objects.verify(verityDigestOf(content));
  });

  test("whose object is wrong is found out", async () => {
    const path = join(root, "foreign");
    make(path, "sha256");
    const digest = verityDigestOf(content);
    writeFileSync(Store.open(path).objects.path(digest), "something else");
    const { problems } = await checkStore(Store.open(path), { threads: 0 });
    expect(problems).toMatchObject([{ kind: "object", digest }]);
  });
});

test("a later repository of composefs-rs, with meta.json, is only read too", () => {
  const path = join(root, "repository");
  makers[1]![1](path, "sha512");
  const features = { compatible: [], "read-only-compatible": [], incompatible: [] };
  writeFileSync(
    join(path, "meta.json"),
    JSON.stringify({ version: 1, algorithm: "fsverity-sha512-12", features }),
  );
  const store = Store.open(path);
  store.objects.verify(verityDigestOf(content, "sha512"));
  expect(store.foreign).toBe("composefs-rs");
  expect(() => Transaction.begin(store)).toThrow(/composefs-rs, which is only read/);
});

test.skipIf(oracle("mkcomposefs") === undefined)(
  "what mkcomposefs --digest-store made is read",
  () => {
    const path = join(root, "digests");
    execFileSync(oracle("mkcomposefs")!, [`--digest-store=${path}`, source, join(root, "image")]);
    const stores = Stores.open([path]);
    expect(stores.first.foreign).toBe("digest-store");
    stores.first.objects.verify(verityDigestOf(content));
  },
);

test("the objects of one of our stores can be given alone", () => {
  const own = Store.create(join(root, "own"));
  const transaction = Transaction.begin(own, { durability: "none" });
  transaction.put(verityDigestOf(content), content);
  transaction.publish();
  transaction.close();
  renameSync(join(own.path, "objects"), join(root, "objects"));
  Store.open(join(root, "objects")).objects.verify(verityDigestOf(content));
});

test("a repository of ostree is named, with what to do", () => {
  for (const folder of ["objects/ab", "refs/heads"])
    mkdirSync(join(root, "ostree", folder), { recursive: true });
  writeFileSync(join(root, "ostree/config"), "[core]\nrepo_version=1\nmode=bare\n");
  expect(() => Store.open(join(root, "ostree"))).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED", hint: expect.stringMatching(/--reflink/) }),
  );
});

describe("a store that is no directory", () => {
  test.each([
    ["a file", (path: string) => writeFileSync(path, "")],
    ["below a file", (path: string) => writeFileSync(join(path, ".."), "")],
  ])("(%s) is a wrong argument", async (_, make) => {
    const path = join(root, "x", "store");
    if (_ === "a file") mkdirSync(join(root, "x"));
    make(path);
    for (const args of [
      ["build", `dir:${source}`, "--store", path],
      ["images", "--store", path],
      ["import", join(root, "none.tar"), "--unverified", "--store", path],
    ]) {
      const { status, err } = await runMain(...args);
      if (args[0] === "import") continue;
      expect([args[0], status]).toEqual([args[0], 2]);
      expect(err).toMatch(/expected a directory/);
    }
    expect(readFileSync(_ === "a file" ? path : join(root, "x"), "utf8")).toBe("");
  });
});

describe("a source that is not there leaves no store behind:", () => {
  test.each([
    ["dir:nowhere", 7],
    ["dir:FILE", 3],
    ["dump:nowhere", 7],
    ["oci:nowhere", 7],
    ["oci-archive:nowhere", 7],
    ["docker-archive:nowhere", 7],
    ["tar:nowhere", 7],
    ["nowhere", 7],
  ])("%s", async (text, status) => {
    const store = join(root, "store");
    const named = text
      .replace("nowhere", join(root, "nowhere"))
      .replace("FILE", join(source, "file"));
    const result = await runMain("build", named, "--store", store);
    expect([result.status, result.err]).toEqual([status, expect.any(String)]);
    expect(readdirSync(root)).toEqual(["source"]);
  });
});
