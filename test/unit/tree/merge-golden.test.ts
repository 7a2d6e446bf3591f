/** A tree as a layer and as a dump file: both must give the same. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { writeImage } from "../../../src/erofs/writer.ts";
import type { TarEntry } from "../../../src/tar/entry.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import { treeDifferences } from "../../../src/tree/compare.ts";
import { parseDump } from "../../../src/tree/dump-reader.ts";
import { mergeLayers } from "../../../src/tree/merge.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { VerityHasher } from "../../../src/verity/hasher.ts";

const vector = (name: string) =>
  brotliDecompressSync(readFileSync(new URL(`../../vectors/layers/${name}`, import.meta.url)));

test("a layer gives the tree, and the image, that its dump file gives", () => {
  const entries: { entry: TarEntry; content?: Uint8Array; digest?: VerityDigest }[] = [];
  const parser = new TarParser({
    entry(entry) {
      const made: (typeof entries)[number] = { entry };
      entries.push(made);
      const hasher = new VerityHasher("sha256");
      const small: Uint8Array[] = [];
      return {
        write(chunk) {
          if (entry.size > 64) hasher.update(chunk);
          else small.push(chunk.slice());
        },
        end() {
          if (entry.size > 64) made.digest = hasher.digest();
          else made.content = Buffer.concat(small);
        },
      };
    },
  });
  parser.write(vector("tree1.tar.br"));
  parser.end();
  expect(entries).toHaveLength(351);

  const merged = mergeLayers([{ label: "layer 1", entries }], "oci-v1");
  const expected = parseDump(vector("tree1.dump.br"));
  // Tar archives have no sockets.
  const dev = expected.entries.get(ascii("dev")) as typeof expected;
  expect(dev.entries.delete(ascii("sock"))).toBe(true);

  expect([...treeDifferences(merged, expected)]).toEqual([]);
  expect(Buffer.from(writeImage(merged)).equals(writeImage(expected))).toBe(true);
});
