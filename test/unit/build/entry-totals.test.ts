/** The entries of all layers of an image are bounded together: they are in memory until they are merged. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KnownLayers } from "../../../src/build/known-layers.ts";
import { readLayers } from "../../../src/build/layers.ts";
import { limits } from "../../../src/limits.ts";
import { openNamed } from "../../../src/oci/blob.ts";
import { imageOfLayers } from "../../../src/oci/source/layer-files.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { archive, header } from "../../support/tar.ts";

/** Reads two layers that have this number of entries together, each named "file". */
async function read(entries: number): Promise<number> {
  const folder = scratchFolder();
  const first = Math.floor(entries / 2);
  const paths = [first, entries - first].map((count, i) => {
    const path = join(folder, `${i}.tar`);
    writeFileSync(path, archive(...Array.from({ length: count }, () => header({ name: "file" }))));
    return path;
  });
  const image = imageOfLayers(paths.map(openNamed), paths);
  const transaction = Transaction.begin(Store.create(join(folder, "store")));
  const known = new KnownLayers(transaction, false, false);
  try {
    const layers = await readLayers(image, transaction, { known }, {});
    return layers.reduce((sum, layer) => sum + layer.entries.length, 0);
  } finally {
    transaction.close();
    image.close();
  }
}

test("as many entries as the limit are read, not one more", async () => {
  lower("inodes", 11);
  expect(await read(limits.inodes)).toBe(limits.inodes);
  await expect(read(limits.inodes + 1)).rejects.toMatchObject({ code: "LIMIT" });
});

test("as many bytes of their names as the limit are read, not one more", async () => {
  lower("pathsBytes", 11 * "file".length);
  expect(await read(11)).toBe(11);
  await expect(read(12)).rejects.toMatchObject({
    code: "LIMIT",
    message: expect.stringContaining("expected at most 44 bytes of paths and link targets"),
  });
});
