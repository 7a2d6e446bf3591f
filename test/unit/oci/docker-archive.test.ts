import { beforeAll, describe, expect, test } from "vitest";
import { openSource } from "../../../src/oci/source/open-source.ts";
import { readLayer } from "../../../src/oci/layer/layer.ts";
import { memberName } from "../../../src/oci/source/member-name.ts";
import type { SealfsError } from "../../../src/errors.ts";
import { formatPlatform, parsePlatform } from "../../../src/platform/platform.ts";
import { hostPlatform } from "../../../src/sys/host-platform.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import {
  type Members,
  configOf,
  dockerArchive,
  hexOf,
  put,
  under,
} from "../../support/image-archives.ts";
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

describe("of several images in a Docker archive", () => {
  const [own, other, third] = [formatPlatform(hostPlatform()), "linux/mips64le", "linux/ppc64"];

  /** An archive of an image for each platform, all of one layer, and their ids. */
  async function archiveOf(platforms: readonly string[], tagOf: (i: number) => string) {
    const configs = platforms.map((platform) => configOf([layer], platform));
    const manifest = configs.map((config, i) => ({
      Config: `${hexOf(config)}.json`,
      RepoTags: [tagOf(i)],
      Layers: ["l.tar"],
    }));
    const members: Members = [
      ...configs.map((content) => ({ name: `${hexOf(content)}.json`, content })),
      { name: "l.tar", content: layer },
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ];
    return { members, path: put(await tar(members)), ids: configs.map((each) => digestOf(each)) };
  }

  async function idOf(source: string, platform?: string): Promise<string | undefined> {
    const asked = platform === undefined ? {} : { platform: parsePlatform(platform) };
    const image = await openSource(parseSource(source), asked);
    image.close();
    return image.configDigest;
  }

  test.each([
    ["of one name, as docker save --platform writes them", () => "app:1"],
    ["of names of their own", (i: number) => `app-${i}:1`],
  ])("%s, the one for the platform is taken, by default the host's", async (_, tagOf) => {
    const { path, ids } = await archiveOf([other, own, third], tagOf);
    for (const source of [path, `docker-archive:${path}`]) {
      expect(await idOf(source)).toBe(ids[1]);
      expect(await idOf(source, own)).toBe(ids[1]);
      expect(await idOf(source, "linux/mips64el")).toBe(ids[0]);
      const refused = await idOf(source, "linux/s390x").catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "NO_REF" });
      const platforms = /^it has: (.*)$/.exec((refused as SealfsError).hint!)![1]!.split(", ");
      const led = await Promise.all(platforms.map((platform) => idOf(source, platform)));
      expect(led).toEqual(ids);
    }
  });

  test("of other platforms than the host's, the hint names platforms that work", async () => {
    const { path, ids } = await archiveOf([other, third], () => "app:1");
    for (const source of [path, `docker-archive:${path}:app:1`]) {
      const refused = (await idOf(source).catch((error: unknown) => error)) as SealfsError;
      expect(refused.code).toBe("AMBIGUOUS");
      const list = /^choose with --platform one of: (.*)$/.exec(refused.hint!)![1]!;
      const led = await Promise.all(list.split(", ").map((platform) => idOf(source, platform)));
      expect(led).toEqual(ids);
    }
  });

  test("a name or position that is not there is answered by those that are", async () => {
    const { path, ids } = await archiveOf([own], () => "app:1");
    for (const choice of [":none", ":@7", `@sha256:${"0".repeat(64)}`]) {
      const source = `docker-archive:${path}`;
      await expect(idOf(source + choice)).rejects.toMatchObject({
        code: "NO_REF",
        hint: `choose with ${source}:TAG, TAG one of: app:1`,
      });
      expect(await idOf(`${source}:app:1`)).toBe(ids[0]);
    }
  });

  test("those that are listed but not there give way", async () => {
    const { members, ids } = await archiveOf([own, other], () => "app:1");
    const path = put(await tar(members.slice(1)));
    expect(await idOf(path)).toBe(ids[1]);
    await expect(idOf(path, own)).rejects.toMatchObject({
      code: "NO_REF",
      hint: `it has: ${other}`,
    });
  });

  test("of one platform, names or positions tell them apart", async () => {
    const { path, ids } = await archiveOf([other, other], (i) => `app-${i}:1`);
    expect(ids[0]).toBe(ids[1]);
    expect(await idOf(path)).toBe(ids[0]); // the same configuration and layers
    const mixed = await archiveOf([other, `${other}/r2`, third], () => "app:1");
    await expect(idOf(`docker-archive:${mixed.path}:app:1`)).rejects.toMatchObject({
      code: "AMBIGUOUS",
      hint: `choose with --platform one of: ${other}, ${other}/r2, ${third}`,
    });
    expect(await idOf(mixed.path, `${other}/r2`)).toBe(mixed.ids[1]);
    expect(await idOf(`docker-archive:${mixed.path}:@1`)).toBe(mixed.ids[1]);
  });
});
