/** From images back to trees, and without Node's own things. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { dumpImage, readTree } from "../../../src/erofs/tree.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import { goldenImage, goldenImages } from "../../support/golden-images.ts";
import { dumpOfTree } from "../../support/dump.ts";
import { scratchFolder } from "../../support/scratch.ts";

// What their dump files said is not in the image, so that the tree cannot say it either.
const unlike = new Set([
  "hardlink-dirs", // the order of inodes: which name of a file came first
  "hardlink-forward",
  "special-size", // the size of a fifo made its inode larger
  "whiteout-preescaped.v1", // a whiteout escaped by hand marks no directory opaque
]);

test.each(goldenImages())("writing the tree of $name gives the image again", ({ name, bytes }) => {
  const image = Image.open(bytes);
  const version = image.header.composefsVersion as 0 | 1;
  const again = writeImage(readTree(image), { minVersion: version, maxVersion: version });
  const expected = !unlike.has(name) && !unlike.has(name.split(".")[0]!);
  expect(Buffer.compare(again, bytes) === 0).toBe(expected);
});

test.each(goldenImages())("$name dumps alike with and without a tree between", ({ bytes }) => {
  const direct = Buffer.concat([...dumpImage(Image.open(bytes))]).toString("latin1");
  expect(direct === dumpOfTree(readTree(Image.open(bytes)))).toBe(true);
});

test("images are read, checked and dumped where there is no Buffer, as in a browser", () => {
  const directory = scratchFolder();
  const golden = goldenImage("acl-access.v1");
  const file = join(directory, "image");
  writeFileSync(file, golden.bytes);
  const module = fileURLToPath(new URL("../../../dist/erofs/index.js", import.meta.url));
  const script = `
    import { readFileSync, writeSync } from "node:fs";
    const bytes = Uint8Array.from(readFileSync(${JSON.stringify(file)}));
    delete globalThis.Buffer;
    const { Image, checkImage, dumpImage } = await import(${JSON.stringify(module)});
    if (checkImage(bytes) !== undefined) throw new Error("refused");
    for (const chunk of dumpImage(Image.open(bytes))) writeSync(1, chunk);
  `;
  const options = { encoding: "latin1" } as const;
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], options);
  expect(printed).toBe(golden.dump);
});
