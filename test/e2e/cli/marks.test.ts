/** The commands karg and label: the names of an image in the composefs family. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { TestLayout, layerTar } from "../../support/oci.ts";
import { runMain } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const image = goldenImage("ext-basic.v1").bytes;

test("karg and label print the digest as others read it", async () => {
  const path = join(scratchFolder(), "app.img");
  writeFileSync(path, image);
  const [sha256, sha512] = [verityDigestOf(image), verityDigestOf(image, "sha512")];
  expect((await runMain("karg", path)).out).toBe(`composefs.digest=v1-sha256-12:${sha256}`);
  const wide = await runMain("karg", path, "--algorithm", "sha512");
  expect(wide.out).toBe(`composefs.digest=v1-sha512-12:${sha512}`);
  expect((await runMain("label", path)).out).toBe(`containers.composefs.fsverity=${sha256}`);
});

test("label --check compares with the label in the configuration of an OCI image", async () => {
  const layer = await layerTar("x".repeat(100));
  const layout = (labels?: object) => {
    const made = new TestLayout();
    const config = labels === undefined ? {} : { config: { Labels: labels } };
    return made.index([made.image([layer], { config })]).directory();
  };
  const store = join(scratchFolder(), "store");
  const plain = layout();
  const built = await runMain(
    "build",
    plain,
    "--store",
    store,
    "--name",
    "app",
    "--durability",
    "none",
  );
  const digest = built.out.trim().split(/\s/)[0]!;
  const check = (source: string) => runMain("label", "app", "--store", store, "--check", source);
  expect((await check(plain)).status).toBe(7);
  expect((await check(layout({ "containers.composefs.fsverity": "ab".repeat(32) }))).status).toBe(
    4,
  );
  const good = await check(layout({ "containers.composefs.fsverity": digest, other: "x" }));
  expect(good).toMatchObject({ status: 0, out: `containers.composefs.fsverity=${digest}` });
  expect((await check(layout({ "containers.composefs.fsverity": 7 }))).status).toBe(3);
});
