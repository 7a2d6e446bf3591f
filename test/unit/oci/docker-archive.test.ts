import { beforeAll, describe, expect, test } from "vitest";
import { openSource } from "../../../src/oci/source/open-source.ts";
import { readLayer } from "../../../src/oci/layer/layer.ts";
import { memberName } from "../../../src/oci/source/member-name.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { type Members, dockerArchive, put, under } from "../../support/image-archives.ts";
import { digestOf, layerTar, tar } from "../../support/oci.ts";
import { bytes } from "../../support/tar.ts";

/** The diffIDs of the layers, all of them read. */
async function layersOf(source: string): Promise<string[]> {
  const image = await openSource(parseSource(source));
  try {
    const ids: string[] = [];
    for (const layer of image.layers) ids.push((await readLayer(image, layer, () => {})).diffId);
    return ids;
  } finally {
    image.close();
  }
}

let layer: Buffer;
beforeAll(async () => {
  layer = await layerTar("one");
});

describe("names in a Docker archive", () => {
  test.each([
    ["./a", "a"],
    ["/a", "a"],
    ["//a//b/", "a/b"],
    ["a/./b", "a/b"],
    ["a/x/../b", "a/b"],
    ["./", ""],
    ["/..", ""],
    ["../a", "../a"],
    ["a/../../b", "../b"],
    ["a/...", "a/..."],
    [".a/b.", ".a/b."],
  ])("%s is the same as %s", (name, clean) => {
    expect(memberName(bytes(name))).toBe(clean);
  });

  const file = (hex: string) => `${hex}.tar`;
  test.each<[string, (layers: Buffer[]) => Members]>([
    ["have ./ in front", (layers) => under("./", dockerArchive(layers))],
    ["have / in front", (layers) => under("/", dockerArchive(layers))],
    [
      "have / in front, in manifest.json too",
      (layers) => dockerArchive(layers, { layerName: (hex) => `/${file(hex)}` }),
    ],
    [
      "have ./ in front in manifest.json only",
      (layers) => dockerArchive(layers, { layerName: file, layerEntry: (hex) => `./${file(hex)}` }),
    ],
    [
      "of layers are found by way of ..",
      (layers) =>
        dockerArchive(layers, { layerName: file, layerEntry: (hex) => `a/../${file(hex)}` }),
    ],
    [
      "of the configuration have ./ in front in manifest.json only",
      (layers) => dockerArchive(layers, { configEntry: (hex) => `./${hex}.json` }),
    ],
    [
      "come twice, with the same content",
      (layers) => [...dockerArchive(layers), ...under("./", dockerArchive(layers))],
    ],
  ])("that %s", async (_, members) => {
    const path = put(await tar(members([layer])));
    expect(await layersOf(`docker-archive:${path}`)).toEqual([digestOf(layer)]);
    expect(await layersOf(path)).toEqual([digestOf(layer)]);
  });

  test("do not hide what the configuration's name says of it", async () => {
    const members = dockerArchive([layer], { configName: () => `/./${"0".repeat(64)}.json` });
    const path = put(await tar(members));
    await expect(openSource(parseSource(path))).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  test.each(["manifest.json", "layer.tar"])(
    "that come twice with different content are refused: %s",
    async (name) => {
      const members = dockerArchive([layer], { layerName: () => "layer.tar" });
      for (const twice of [
        [...members, { name, content: "other" }],
        [{ name: `./${name}`, content: "other" }, ...members],
      ]) {
        const path = put(await tar(twice));
        await expect(layersOf(`docker-archive:${path}`)).rejects.toMatchObject({
          name: "FormatError",
          code: "AMBIGUOUS",
        });
      }
    },
  );
});
