/** A store of every version of the format is kept, and still works; a newer one is refused. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { STORE_VERSION } from "../../../src/store/meta.ts";
import { Store } from "../../../src/store/store.ts";
import { runMain } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const kept = fileURLToPath(new URL("../../vectors/stores", import.meta.url));
const versions = Array.from({ length: STORE_VERSION }, (_, i) => i + 1);

function unpack(version: number): string {
  const path = join(scratchFolder(), "store");
  mkdirSync(path);
  execFileSync("tar", ["-C", path, "-xzf", join(kept, `v${version}.tar.gz`)]);
  return path;
}

test("of each version there is one", () => {
  const files = readdirSync(kept).filter((name) => name.endsWith(".tar.gz"));
  expect(files.sort()).toEqual(versions.map((version) => `v${version}.tar.gz`).sort());
});

test.each(versions)(
  "version %i: image, signature, objects, leaf hashes and bundles are read",
  async (version) => {
    const path = unpack(version);
    expect(JSON.parse(readFileSync(join(path, "meta.json"), "utf8"))).toMatchObject({ version });
    const result = await checkStore(Store.open(path), { threads: 0 });
    expect(result).toMatchObject({
      images: 1,
      objects: 3,
      bundles: 1,
      leafCaches: 1,
      problems: [],
    });
    const key = ["--key", join(kept, `v${version}.pub`), "--state", "none"];
    const verified = await runMain("verify", `kept:${version}`, "--store", path, ...key);
    expect([verified.status, verified.err]).toEqual([0, expect.any(String)]);
    const cat = await runMain("cat", `kept:${version}`, "/etc/object", "--store", path);
    expect(cat.out).toBe("an object of the kept store\n".repeat(200).slice(0, 5000));
  },
);

test.each(versions)(
  "version %i: is written to, cleaned up, exported and repaired",
  async (version) => {
    const path = unpack(version);
    const source = scratchFolder();
    writeFileSync(join(source, "new"), "something new ".repeat(100));
    for (const args of [
      ["build", `dir:${source}`, "--store", path, "--name", "new"],
      ["rm", "new", "--store", path],
      ["gc", "--store", path],
      ["fsck", "--repair", "--threads", "0", "--store", path],
      ["export", `kept:${version}`, "--store", path],
    ]) {
      expect([args[0], (await runMain(...args)).status]).toEqual([args[0], 0]);
    }
    expect(
      Store.open(path)
        .images.refs()
        .map(({ name }) => name),
    ).toEqual([`kept:${version}`]);
  },
);

test.each([STORE_VERSION + 1, 99, 0])(
  "version %i is refused, and stays as it is",
  async (version) => {
    const path = unpack(STORE_VERSION);
    const meta = join(path, "meta.json");
    writeFileSync(
      meta,
      readFileSync(meta, "utf8").replace(`"version": ${STORE_VERSION}`, `"version": ${version}`),
    );
    for (const args of [["images"], ["gc"], ["fsck", "--repair"], ["build", "dir:/dev/null/.."]]) {
      const { status, err } = await runMain(...args, "--store", path);
      expect(status).toBeGreaterThan(0);
      if (args[0] !== "build") expect(err).toMatch(/expected format version 1/);
    }
    expect(readFileSync(meta, "utf8")).toContain(`"version": ${version}`);
  },
);
