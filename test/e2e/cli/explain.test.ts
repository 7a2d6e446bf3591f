/** The command explain: why two images have different digests. */
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { writeImage } from "../../../src/erofs/writer.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { runMain } from "../../support/run.ts";
import { imageOf } from "../../support/small-image.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (file: string) => join(folder, file);
beforeEach(() => {
  folder = scratchFolder();
});

const site = fileURLToPath(new URL("../../../examples/site.oci.tar", import.meta.url));
const lines = [
  "/ 4096 40755 3 0 0 0 1.0 - - -",
  "/d 4096 40755 2 0 0 0 1.0 - - -",
  "/d/f 5 100644 1 0 0 0 1.0 - hello -",
  "/d/g 5 100644 1 0 0 0 1.0 - hello -",
];

/** Explains the difference between the image of `lines` and that of other lines. */
async function explain(other: readonly string[], ...options: string[]) {
  writeFileSync(at("a.img"), imageOf(...lines));
  writeFileSync(at("b.dump"), `${other.join("\n")}\n`);
  const { status, out, err } = await runMain(
    "explain",
    at("a.img"),
    `dump:${at("b.dump")}`,
    ...options,
  );
  expect({ status, err }).toEqual({ status: 0, err: "" });
  return out;
}
const changed = (from: RegExp, to: string) => lines.map((line) => line.replace(from, to));

test("says that two images are the same", async () => {
  expect(await explain(lines)).toContain("the same image, byte for byte");
});

test.each<[string, readonly string[], string, number]>([
  ["root", changed(/^(\/ .*) 1\.0 /, "$1 7.0 "), "the root directory's own owner, mode or time", 1],
  ["directory times", changed(/^(\/d .*) 1\.0 /, "$1 7.0 "), "times of directories only", 1],
  ["all times", changed(/^(\/d.*) 1\.0 /, "$1 0.0 "), "every differing time is 0.000000000", 3],
  ["parts of a second", changed(/^(\/d.*) 1\.0 /, "$1 1.5 "), "times differ below the second", 3],
  [
    "owners",
    changed(/^(\/d.*?) 0 0 0 1\.0 /, "$1 1000 1000 0 1.0 "),
    "0:0 is 1000:1000 throughout",
    3,
  ],
  ["permissions", changed(/100644/, "100600"), "permissions", 2],
  ["contents", changed(/g 5 (.*)hello/, "g 5 $1world"), "files have other bytes", 1],
  ["SELinux labels", changed(/(hello -)/, "$1 security.selinux=x"), "SELinux labels", 2],
  ["xattrs", changed(/(hello -)/, "$1 user.origin=x"), "extended attributes (user.*)", 2],
  ["a missing file", lines.slice(0, 3), "files that one side does not have", 1],
  ["a directory", [...lines, "/e 4096 40755 2 0 0 0 1.0 - - -"], "directories that one side", 1],
])("tells %s, with the likely cause and the number", async (_, other, cause, count) => {
  const { count: all, causes, same } = JSON.parse(await explain(other, "--json"));
  expect(same).toBe(false);
  expect(causes[0].cause).toContain(cause);
  expect(causes[0].differences).toBe(count);
  expect(all).toBeGreaterThanOrEqual(count);
});

test("tells every path field by field, or the first", async () => {
  const many = (mode: string) => [
    "/ 4096 40755 2 0 0 0 1.0 - - -",
    ...Array.from(
      { length: 60 },
      (_, i) => `/f${String(i).padStart(2, "0")} 0 ${mode} 1 0 0 0 1.0 - - -`,
    ),
  ];
  writeFileSync(at("a.img"), imageOf(...many("100644")));
  writeFileSync(at("b.img"), imageOf(...many("100755")));
  const short = await runMain("explain", at("a.img"), at("b.img"));
  expect(short.out).toContain("f00: mode: left has 0644, right 0755");
  expect(short.out).toContain("and 20 more");
  const long = await runMain("explain", at("a.img"), at("b.img"), "--all");
  expect(long.out).toContain("f59: mode");
});

test("the same tree under two format versions", async () => {
  const tree = () => parseDump(Buffer.from(`${lines.join("\n")}\n`));
  writeFileSync(at("0.img"), writeImage(tree(), { minVersion: 0, maxVersion: 0 }));
  writeFileSync(at("1.img"), writeImage(tree(), { minVersion: 1, maxVersion: 1 }));
  const { out } = await runMain("explain", at("0.img"), at("1.img"));
  expect(out).toContain("format versions 0 and 1");
});

test("two profiles of one source", async () => {
  const { out } = await runMain(
    "explain",
    site,
    "--profile",
    "oci-v1",
    "--profile",
    "composefs-oci-v1",
  );
  expect(out).toContain(
    'srv/www/index.html: xattr user.origin: left has "sealfs example", right none',
  );
});

test("a name in a store and the source it was built from", async () => {
  await runMain("build", site, "--store", at("store"), "--name", "site:1", "--durability", "none");
  const same = await runMain("explain", "site:1", site, "--store", at("store"));
  expect(same.out).toContain("the same image, byte for byte");
});

test("two directories that differ by a time", async () => {
  for (const side of ["a", "b"]) {
    mkdirSync(at(side));
    writeFileSync(join(at(side), "file"), "x".repeat(100));
    utimesSync(join(at(side), "file"), 1, side === "a" ? 1 : 2);
    utimesSync(at(side), 1, 1);
  }
  const { out } = await runMain("explain", at("a"), at("b"));
  expect(out).toContain("file: mtime: left has 1.000000000, right 2.000000000");
  expect(out).toContain("1 differences");
});

test("wrong arguments are told", async () => {
  expect((await runMain("explain", site)).status).toBe(2);
  expect((await runMain("explain", site, "--profile", "a", "--profile", "b")).status).toBe(2);
  expect((await runMain("explain", at("none"), site)).status).toBe(7);
  writeFileSync(at("a.img"), imageOf(...lines));
  expect((await runMain("explain", at("a.img"), site, "--profile", "oci-v1")).status).toBe(2);
});
