/** What a source without a transport is found to be, in all forms in which tools write images. */
import { execFileSync, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { crc32, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openBuildSource } from "../../../src/build/build-source.ts";
import type { SealfsError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { readLayer } from "../../../src/oci/layer/layer.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { openAnySource } from "../../../src/oci/source/open-source.ts";
import { multiFrameZstd, multiMemberGzip } from "../../support/compressed-layers.ts";
import {
  type Members,
  configOf,
  dockerArchive,
  firstDockerArchive,
  folderOf,
  layoutArchive,
  layoutOf,
  oldDockerArchive,
  put,
  skopeoFolder,
  under,
} from "../../support/image-archives.ts";
import { TestLayout, digestOf, layerTar, named, tar } from "../../support/oci.ts";

const zstd = (bytes: Uint8Array) => multiFrameZstd(Buffer.from(bytes), 100_000);

let one: Buffer;
let two: Buffer;
beforeAll(async () => {
  one = await layerTar("one", "usr/one");
  two = await layerTar("two", "usr/two");
});

/** The source's kind, with the diffIDs of its layers, all of them read. */
async function found(source: string, platform?: string, stdin?: Readable) {
  const opened = await openAnySource(parseSource(source), {
    platform: platform === undefined ? undefined : parsePlatform(platform),
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (opened.kind === "dump") opened.file.close();
  if (opened.kind !== "layers") return opened.kind;
  const { image } = opened;
  try {
    const ids: string[] = [];
    for (const layer of image.layers) ids.push((await readLayer(image, layer, () => {})).diffId);
    return image.config === undefined ? "layer" : ids;
  } finally {
    image.close();
  }
}

const inColon = <T extends { readonly name: string }>(member: T): T => ({
  ...member,
  name: `x:y/${member.name}`,
});

const ids = (...layers: Buffer[]) => layers.map((layer) => digestOf(layer));

type Case = [string, (layers: Buffer[]) => Members];

const images: Case[] = [
  ["docker save of today, manifest.json at the end", (layers) => dockerArchive(layers)],
  ["nix: ./ in front", (layers) => under("./", dockerArchive(layers))],
  [
    "crane, ko, kaniko: the configuration named by its digest, layers with a suffix",
    (layers) =>
      dockerArchive(layers, {
        configName: (hex) => `sha256:${hex}`,
        layerName: (hex) => `${hex}.tar.gz`,
        stored: layers.map((layer) => gzipSync(layer)),
      }),
  ],
  ["manifest.json first", (layers) => dockerArchive(layers).toReversed()],
  ["tar of a layout", (layers) => layoutArchive(layoutOf(layers))],
  [
    "tar . of a layout",
    (layers) => [
      { name: "./", type: "directory" },
      ...under("./", layoutArchive(layoutOf(layers)).toReversed()),
    ],
  ],
  ["a layout without oci-layout", (layers) => layoutArchive(layoutOf(layers), ["oci-layout"])],
  [
    "with what macOS leaves beside files",
    (layers) => [
      { name: "._blobs", content: "x" },
      ...layoutArchive(layoutOf(layers)),
      { name: "__MACOSX/._index.json", content: "x" },
    ],
  ],
  ["skopeo's dir:", (layers) => skopeoFolder(layers)],
  ["skopeo's dir: of old", (layers) => skopeoFolder(layers, (digest) => `${digest.slice(7)}.tar`)],
  [
    "a manifest.json that is a symlink",
    (layers) => {
      const members = dockerArchive(layers);
      const { content } = members.at(-1)!;
      return [
        ...members.slice(0, -1),
        { name: "m", content: content! },
        { name: "manifest.json", type: "symlink", linkname: "m" },
      ];
    },
  ],
  [
    "a layout that GNU tar was given twice: hard links to themselves",
    (layers) => {
      const once = layoutArchive(layoutOf(layers));
      const again = once.map(({ name }) => ({ name, type: "link" as const, linkname: name }));
      return [...once, ...again];
    },
  ],
  [
    "skopeo's dir: without the file version",
    (layers) => skopeoFolder(layers).filter(({ name }) => name !== "version"),
  ],
];

const compressions: [string, (bytes: Buffer) => Uint8Array][] = [
  ["not compressed", (bytes) => bytes],
  ["gzip", (bytes) => gzipSync(bytes)],
  ["gzip of many members", (bytes) => multiMemberGzip(bytes, 1000)],
  ["zstd", zstd],
  [
    "zstd with a skippable frame in front",
    (bytes) => Buffer.concat([Buffer.from("502a4d1803000000616263", "hex"), zstd(bytes)]),
  ],
  ["gzip in zstd", (bytes) => zstd(gzipSync(bytes))],
];

describe.each(images)("%s", (_, members) => {
  test.each(compressions)("is read as the image, %s", async (_, compress) => {
    const bytes = compress(await tar(members([one, two])));
    expect(await found(put(bytes))).toEqual(ids(one, two));
    expect(await found("-", undefined, Readable.from([bytes]))).toEqual(ids(one, two));
  });
});

test("docker save from 1.10 on, whose repeated layers are symlinks", async () => {
  const bytes = await tar(oldDockerArchive([one, two]));
  for (const path of [put(bytes), put(gzipSync(bytes))]) {
    expect(await found(path)).toEqual(ids(one, two, one));
  }
});

test("named transports read compressed archives too", async () => {
  const docker = put(gzipSync(await tar(dockerArchive([one]))));
  expect(await found(`docker-archive:${docker}:app:1`)).toEqual(ids(one));
  const layout = put(zstd(gzipSync(await layoutOf([one]).archiveBytes())));
  expect(await found(`oci-archive:${layout}`)).toEqual(ids(one));
});

test("the copy of a compressed archive leaves no file behind, also when it is broken", async () => {
  const folder = folderOf([]);
  const bytes = gzipSync(await tar(dockerArchive([one, two])));
  const [whole, cut] = [put(bytes), put(bytes.subarray(0, -30))];
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = folder;
  try {
    await found(whole);
    for (const source of [cut, `docker-archive:${cut}`]) {
      await expect(found(source)).rejects.toMatchObject({ code: "TRUNCATED" });
    }
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
});

test("what is compressed has the bound of layers, and the one that is asked for", async () => {
  const big = { name: "usr/zeros", content: Buffer.alloc(100_000) };
  const sources = [
    put(gzipSync(await tar([big]))),
    put(gzipSync(await tar([...dockerArchive([one]), big]))),
  ];
  for (const source of [...sources, `docker-archive:${sources[1]}`]) {
    const refused = openAnySource(parseSource(source), { maxLayerBytes: 100_000 });
    await expect(refused).rejects.toMatchObject({ code: "LIMIT" });
    const opened = await openAnySource(parseSource(source), { maxLayerBytes: 110_000 });
    if (opened.kind === "layers") opened.image.close();
  }
});

test("reading what is compressed ends when it is told to", async () => {
  const bytes = gzipSync(await tar(dockerArchive([one])));
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  for (const source of [put(bytes), `docker-archive:${put(bytes)}`]) {
    await expect(openAnySource(parseSource(source), { signal })).rejects.toBe(reason);
  }
});

describe("folders", () => {
  test("with an OCI layout, with or without oci-layout, are images", async () => {
    const files = layoutArchive(layoutOf([one]));
    expect(await found(folderOf(files))).toEqual(ids(one));
    const without = layoutArchive(layoutOf([one]), ["oci-layout"]);
    expect(await found(folderOf(without))).toEqual(ids(one));
    expect(await found(`oci:${folderOf(without)}`)).toEqual(ids(one));
  });

  test("that skopeo has written as dir: are images, of one platform or several", async () => {
    expect(await found(folderOf(skopeoFolder([one, two])))).toEqual(ids(one, two));
    const layout = new TestLayout();
    const entry = (platform: string, layer: Buffer) => {
      const [os, architecture] = platform.split("/");
      return { ...layout.image([layer], { platform }), platform: { os, architecture } };
    };
    layout.index([entry("linux/amd64", one), entry("linux/arm64", two)]);
    const folder = folderOf(
      [...layout.files].map(([name, content]) => {
        if (name === "index.json") return { name: "manifest.json", content };
        const isManifest = Buffer.from(content).includes('"layers":[');
        return { name: name.replace(/.*\//, "") + (isManifest ? ".manifest.json" : ""), content };
      }),
    );
    expect(await found(folder, "linux/arm64")).toEqual(ids(two));
    expect(await found(folder, "linux/amd64")).toEqual(ids(one));
    await expect(found(folder, "linux/s390x")).rejects.toMatchObject({ code: "NO_REF" });
  });

  test("with an unpacked Docker archive are refused, and read when they are packed again", async () => {
    const path = folderOf(oldDockerArchive([one, two]));
    await expect(found(path)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      hint: expect.stringContaining(`tar -C ${path} -cf - . | sealfs build -`) as string,
    });
    const stdin = Readable.from([execFileSync("tar", ["-C", path, "-cf", "-", "."])]);
    expect(await found("-", undefined, stdin)).toEqual(ids(one, two, one));
  });

  test("whose blob is another than its name says are refused", async () => {
    const members = skopeoFolder([one]).map((member) =>
      String(member.content).includes("diff_ids") ? { ...member, content: "{}" } : member,
    );
    await expect(found(folderOf(members))).rejects.toMatchObject({ name: "IntegrityError" });
  });

  test("with other things are root file systems", async () => {
    const etc = { name: "etc/passwd", content: "root" };
    for (const members of [
      [],
      [etc],
      [{ name: "a.tar", content: one }],
      [etc, ...under("var/lib/images/", layoutArchive(layoutOf([one])))],
      [etc, { name: "index.json", content: '{"version":2}' }],
      [etc, { name: "manifest.json", content: '{"manifest_version":3}' }],
      [etc, { name: "\xff/\xfe/file", content: "" }],
    ]) {
      expect(await found(folderOf(members))).toBe("dir");
    }
  });
});

/** What nobody means to be signed as a root file system; all refusals name what would force it. */
const misplaced: [string, RegExp, () => Members][] = [
  [
    "docker save of before 1.10",
    /Docker 1\.10.*name its layers/s,
    () => firstDockerArchive([one, two]),
  ],
  [
    "the same without repositories",
    /Docker 1\.10/,
    () => firstDockerArchive([one]).filter(({ name }) => name !== "repositories"),
  ],
  [
    "a layout in a folder",
    /images or parts of them in the folder lay/,
    () => under("lay/", layoutArchive(layoutOf([one]))),
  ],
  [
    "a layout some folders down, and a file beside",
    /folder home\/me\/lay/,
    () => [
      { name: "README", content: "see home" },
      ...under("home/me/lay/", layoutArchive(layoutOf([one]))),
    ],
  ],
  [
    "a Docker archive in a folder",
    /folder app/,
    () => under("app/", dockerArchive([one], { layerName: (hex) => `${hex}.tar` })),
  ],
  ["skopeo's dir: in a folder", /folder img/, () => under("img/", skopeoFolder([one]))],
  [
    "a layout without index.json",
    /without index\.json/,
    () => layoutArchive(layoutOf([one]), ["index.json"]),
  ],
  [
    "blobs alone",
    /without index\.json/,
    () => layoutArchive(layoutOf([one]), ["index.json", "oci-layout"]),
  ],
  [
    "the folder blobs of a layout",
    /in the folder sha256/,
    () =>
      layoutArchive(layoutOf([one])).flatMap((member) =>
        member.name.startsWith("blobs/") ? { ...member, name: member.name.slice(6) } : [],
      ),
  ],
  [
    "a Docker archive without manifest.json",
    /without manifest\.json/,
    () =>
      dockerArchive([one], { layerName: (hex) => `${hex}.tar` }).filter(
        ({ name }) => name !== "manifest.json",
      ),
  ],
  [
    "a Docker archive whose manifest.json is cut",
    /without manifest\.json/,
    () => [
      ...dockerArchive([one], { layerName: (hex) => `${hex}.tar` }).slice(0, -1),
      { name: "manifest.json", content: '[{"Config":' },
    ],
  ],
  [
    "skopeo's dir: without manifest.json",
    /without manifest\.json/,
    () => skopeoFolder([one]).filter(({ name }) => name !== "manifest.json"),
  ],
  [
    "a layout with skopeo's manifest.json",
    /both index\.json/,
    () => [
      ...layoutArchive(layoutOf([one])),
      ...skopeoFolder([one]).filter(({ name }) => name === "manifest.json"),
    ],
  ],
  [
    "the storage of podman",
    /podman.*skopeo copy containers-storage:/s,
    () => [
      { name: "overlay/l/x", content: "" },
      { name: "overlay-images/images.json", content: "[]" },
      { name: "overlay-layers/layers.json", content: "[]" },
    ],
  ],
  [
    "the data of docker",
    /Docker daemon.*docker save/s,
    () => [
      { name: "overlay2/l/x", content: "" },
      { name: "image/overlay2/repositories.json", content: "{}" },
    ],
  ],
  [
    "the data of containerd",
    /containerd.*ctr images export/s,
    () => [{ name: "io.containerd.metadata.v1.bolt/meta.db", content: "x" }],
  ],
  [
    "the data of a registry",
    /registry.*docker:\/\//s,
    () => [
      {
        name: `docker/registry/v2/blobs/sha256/ab/ab${"c".repeat(62)}/data`,
        content: "x",
      },
    ],
  ],
  [
    "a bundle for a runtime",
    /bundle for a runtime.*rootfs/s,
    () => [
      { name: "config.json", content: '{"ociVersion":"1.0.2"}' },
      { name: "rootfs/etc/passwd", content: "" },
    ],
  ],
  [
    "a store of sealfs",
    /sealfs import/,
    () => [
      { name: "meta.json", content: "{}" },
      { name: `images/${"a".repeat(64)}`, type: "symlink", linkname: "../objects/aa/b" },
      { name: "objects/aa/b", content: "" },
    ],
  ],
  [
    "a repository of ostree",
    /ostree checkout/,
    () => [{ name: `objects/aa/${"b".repeat(62)}.commit`, content: "" }],
  ],

  [
    "the storage of podman in a folder",
    /podman/,
    () => [
      { name: "storage/overlay/l/x", content: "" },
      { name: "storage/overlay-images/images.json", content: "[]" },
    ],
  ],
  [
    "a layout in a folder, with files beside it there",
    /images or parts of them in the folder site\/img/,
    () => [
      { name: "site/README", content: "hello" },
      { name: "site/deep/er/file", content: "hello" },
      ...under("site/img/", layoutArchive(layoutOf([one]))),
    ],
  ],
  [
    "a layout in a folder without the documents of one, with files beside it",
    /images or parts of them in the folder site/,
    () => [
      { name: "site/README", content: "hello" },
      ...under("site/", layoutArchive(layoutOf([one]), ["oci-layout", "index.json"])),
    ],
  ],
  [
    "a Docker archive in a folder, with files beside it",
    /images or parts of them in the folder app/,
    () => [{ name: "app/sub/README", content: "hello" }, ...under("app/", dockerArchive([one]))],
  ],
  [
    "docker save of before 1.10 in a folder, with files beside it",
    /images or parts of them in the folder app/,
    () => [
      { name: "app/sub/README", content: "hello" },
      ...under("app/", firstDockerArchive([one])),
    ],
  ],
  [
    "a layout of links, as build systems leave it",
    /whose files are links.*tar -C DIR -chf - \./s,
    () =>
      ["oci-layout", "index.json", "blobs"].map((name) => ({
        name,
        type: "symlink" as const,
        linkname: `../elsewhere/${name}`,
      })),
  ],
  [
    "a Docker archive that lists no image",
    /without manifest\.json, or with one that lists none/,
    () => [{ name: "manifest.json", content: "[]" }],
  ],
  [
    "an App Container image",
    /App Container/,
    () => [
      { name: "manifest", content: '{"acKind":"ImageManifest","acVersion":"0.8.11"}' },
      { name: "rootfs/hello", content: "x" },
    ],
  ],
  [
    "an image of LXD",
    /a root file system in the folder rootfs.*dir:DIR\/rootfs/s,
    () => [
      { name: "metadata.yaml", content: "" },
      { name: "templates/hostname.tpl", content: "" },
      { name: "rootfs/bin", type: "symlink", linkname: "usr/bin" },
      { name: "rootfs/usr/bin/true", content: "" },
    ],
  ],
  [
    "a layer of podman's storage",
    /folder diff/,
    () => [
      { name: "link", content: "ABC" },
      { name: "diff/etc/passwd", content: "" },
    ],
  ],
];

describe.each(misplaced)("%s is refused", (_, why, members) => {
  test.each(compressions)("in an archive, %s", async (compression, compress) => {
    const bytes = compress(await tar(members()));
    const path = put(bytes);
    const refusal = await found(path).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: "FormatError", code: "UNSUPPORTED" });
    const { message, hint } = refusal as Error & { hint: string };
    expect(`${message}\n${hint}`).toMatch(why);
    const force = compression === "gzip in zstd" ? "tar:FILE" : `tar:${path}`;
    expect(hint).toContain(`${force} takes it as a root file system`);
    await expect(found("-", undefined, Readable.from([bytes]))).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  });

  test("in a folder, and taken when it is named", async () => {
    const path = folderOf(members());
    await expect(found(path)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      hint: expect.stringContaining(`dir:${path} takes it as a root file system`) as string,
    });
    expect(await found(`dir:${path}`)).toBe("dir");
    expect(await found(`tar:${put(await tar(members()))}`)).toBe("layer");
  });
});

describe("an archive", () => {
  test("in an archive is refused, whatever compresses either", async () => {
    const inner = await tar(dockerArchive([one]));
    for (const [, compress] of compressions) {
      for (const name of ["image.tar", "download", "images/app.tar.gz"]) {
        const bytes = compress(await tar([{ name, content: compress(inner) }]));
        await expect(found(put(bytes))).rejects.toMatchObject({
          code: "UNSUPPORTED",
          message: expect.stringContaining(`another archive, ${name}`) as string,
        });
      }
    }
  });

  test("of an image among other files is refused, in an archive or a folder", async () => {
    const readme = { name: "release/docs/README", content: "hello" };
    const images = [
      await tar(dockerArchive([one])),
      await tar(under("./", dockerArchive([one]))),
      await tar(dockerArchive([one], { configName: (hex) => `sha256:${hex}` })),
      await layoutOf([one]).archiveBytes(),
      await tar(oldDockerArchive([one, two])),
    ];
    for (const image of images) {
      for (const content of [image, gzipSync(image)]) {
        const members = [readme, { name: "release/image.tar", content }];
        for (const source of [put(await tar(members)), folderOf(members)]) {
          await expect(found(source)).rejects.toMatchObject({
            code: "UNSUPPORTED",
            message: expect.stringContaining("another archive, release/image.tar") as string,
          });
        }
        const system = [...members, { name: "etc/passwd", content: "root" }];
        expect(await found(put(await tar(system)))).toBe("layer");
        expect(await found(folderOf(system))).toBe("dir");
      }
    }
  });

  test("of nothing, or a file of zeros, is a layer only by its transport", async () => {
    for (const zeros of [512, 1024, 10_240, 1_000_000]) {
      const bytes = Buffer.alloc(zeros);
      for (const path of [put(bytes), put(gzipSync(bytes)), put(zstd(bytes))]) {
        await expect(found(path)).rejects.toMatchObject({
          code: "UNSUPPORTED",
          message: expect.stringContaining("without entries, or only zeros") as string,
          hint: expect.stringContaining(`tar:${path} takes it`) as string,
        });
        expect(await found(`tar:${path}`)).toBe("layer");
      }
    }
    const empty = put(gzipSync(""));
    await expect(found(empty)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(await found(`tar:${empty}`)).toBe("layer");
    expect(await found(put(await tar([{ name: "./", type: "directory" }])))).toBe("layer");
    expect(await found(folderOf([]))).toBe("dir");
  });

  test("whose manifest.json has a byte order mark is refused by name", async () => {
    const members = dockerArchive([one]).map((member) =>
      member.name === "manifest.json"
        ? { ...member, content: `\uFEFF${String(member.content)}` }
        : member,
    );
    await expect(found(put(await tar(members)))).rejects.toMatchObject({
      code: "MALFORMED",
      message: expect.stringContaining("byte order mark") as string,
    });
  });

  test("of a root file system may hold archives, layouts and documents", async () => {
    const etc = { name: "etc/passwd", content: "root" };
    for (const members of [
      [{ name: "hello", content: "world" }],
      [etc, { name: "a.tar", content: one }],
      [{ name: "a.tar", content: one }, etc],
      [{ name: "srv/notes.tar", content: "no archive" }],
      [...under("var/lib/images/", layoutArchive(layoutOf([one]))), etc],
      [etc, ...under("opt/", firstDockerArchive([one]))],
      [etc, { name: "index.json", content: '{"version":2}' }],
      [etc, { name: "manifest.json", content: '[{"Config":1}]' }],
      [etc, { name: "config.json", content: "{}" }],
      [{ name: "bin", type: "symlink" as const, linkname: "usr/bin" }],
      [{ name: "app/web/manifest.json", content: '{"name":"app"}' }],
      [{ name: "app/index.json", content: "[]" }],
      [etc, { name: "rootfs/etc/passwd", content: "root" }],
      [{ name: "overlay-images/images.json", content: "[]" }, etc],
      [etc, { name: "config.json", content: '{"ociVersion":"1.0.2"}' }],
    ]) {
      for (const compress of [(bytes: Buffer) => bytes, gzipSync]) {
        expect(await found(put(compress(await tar(members))))).toBe("layer");
      }
    }
  });

  test("that is cut anywhere is never taken for a layer", async () => {
    for (const members of [dockerArchive([one, two]), layoutArchive(layoutOf([one]))]) {
      const bytes = await tar(members);
      for (let end = 512; end < bytes.length - 1024; end += 512) {
        for (const cut of [bytes.subarray(0, end), gzipSync(bytes.subarray(0, end))]) {
          await expect(found(put(cut))).rejects.toMatchObject({ name: "FormatError" });
        }
      }
    }
  });

  test("of docker save has to describe the same image twice", async () => {
    const layout = layoutOf([one]);
    const own = { name: "manifest.json", content: "" };
    const config = [...layout.files].find(([, bytes]) => String(bytes).includes("diff_ids"))![0];
    const docker = (Config: string) =>
      JSON.stringify([{ Config, RepoTags: ["app:1"], Layers: ["l.tar"] }]);
    const archive = async (content: string, more: Members = []) =>
      put(await tar([...layoutArchive(layout), { ...own, content }, ...more]));
    expect(await found(await archive(docker(config)))).toEqual(ids(one));
    const arm = { name: "arm.json", content: configOf([two], "linux/arm64") };
    expect(await found(await archive(docker("arm.json"), [arm]))).toEqual(ids(one));
    const other = { name: "other.json", content: configOf([two]) };
    const layer = { name: "l.tar", content: two };
    const path = await archive(docker("other.json"), [other, layer]);
    await expect(found(path)).rejects.toMatchObject({ code: "AMBIGUOUS" });
    expect(await found(`oci-archive:${path}`)).toEqual(ids(one));
    expect(await found(`docker-archive:${path}`)).toEqual(ids(two));
  });

  test("of more members than an image may have is looked at to its end", async () => {
    const block = (await tar([{ name: "blobs/x", content: "" }])).subarray(0, 512);
    const many = Buffer.concat([
      ...Array.from({ length: limits.archiveMembers + 1 }, () => block),
      await tar(dockerArchive([one])),
    ]);
    await expect(found(put(many))).rejects.toMatchObject({ code: "LIMIT" });
  });

  test.each([
    ["lz4", "04224d18"],
    ["lzip", "4c5a495001"],
    ["lzop", "894c5a4f00"],
    ["lzma", "5d00008000", "xz"],
    ["compress", "1f9d90", "gzip"],
  ])(
    "compressed by %s is refused, saying how to decompress it",
    async (name, magic, tool = name) => {
      const path = put(Buffer.from(magic, "hex"));
      const inner = put(gzipSync(Buffer.from(magic, "hex")));
      for (const source of [path, `docker-archive:${path}`, `oci-archive:${path}`]) {
        await expect(found(source)).rejects.toMatchObject({
          name: "FormatError",
          code: "UNSUPPORTED",
          hint: `decompress it first: ${tool} -dc ${path} | sealfs build - …`,
        });
      }
      await expect(found(inner)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    },
  );

  test.each([
    ["xz", ["-9"]],
    ["bzip2", ["-9"]],
  ])("or a layer, compressed by %s is read by that program", async (tool, options) => {
    const compress = (bytes: Uint8Array) =>
      execFileSync(tool, ["-c", ...options], { input: bytes });
    const docker = await tar(dockerArchive([one, two]));
    const layout = await layoutOf([one]).archiveBytes();
    const path = put(compress(docker));
    expect(await found(path)).toEqual(ids(one, two));
    expect(await found("-", undefined, Readable.from([compress(docker)]))).toEqual(ids(one, two));
    expect(await found(`docker-archive:${path}`)).toEqual(ids(one, two));
    expect(await found(`oci-archive:${put(gzipSync(compress(layout)))}`)).toEqual(ids(one));
    expect(await found(put(compress(one)))).toBe("layer");
    expect(await found(`tar:${put(compress(one))},${put(two)}`)).toBe("layer");
    const cut = compress(docker).subarray(0, -20);
    const folder = put(compress(await tar(under("lay/", layoutArchive(layoutOf([one]))))));
    await expect(found(folder)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    for (const transport of ["", "tar:", "docker-archive:"]) {
      await expect(found(transport + put(cut))).rejects.toMatchObject({
        name: "FormatError",
        code: "MALFORMED",
        message: expect.stringContaining(`${tool} ended with`) as string,
      });
    }
    const big = put(compress(await tar([{ name: "usr/zeros", content: Buffer.alloc(100_000) }])));
    for (const [maxLayerBytes, fits] of [
      [100_000, false],
      [110_000, true],
    ] as const) {
      const opening = openAnySource(parseSource(big), { maxLayerBytes });
      const code = await opening.then(
        (source) => source.kind === "layers" && source.image.close(),
        (error: SealfsError) => error.code,
      );
      expect(code).toBe(fits ? undefined : "LIMIT");
    }
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(openAnySource(parseSource(path), { signal })).rejects.toBe(reason);
  });

  test("compressed by xz may ask for as much memory as the limit", async () => {
    const whole = execFileSync("xz", ["-c"], { input: one });
    /** The same with another size of the dictionary (The .xz File Format, 5.3.1). */
    const asking = (bits: number) => {
      const bytes = Buffer.from(whole);
      const end = 12 + 4 * bytes[12]!;
      bytes[bytes.indexOf(Buffer.from([0x21, 0x01]), 12) + 2] = bits;
      bytes.writeUInt32LE(crc32(bytes.subarray(12, end)), end);
      return put(bytes);
    };
    const bytesOf = (bits: number) => (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11);
    expect([bytesOf(33) < limits.xzMemory, bytesOf(34) < limits.xzMemory]).toEqual([true, false]);
    expect(await found(asking(33))).toBe("layer");
    await expect(found(asking(34))).rejects.toMatchObject({
      code: "MALFORMED",
      message: expect.stringMatching(/[Mm]emory usage limit/) as string,
    });
  });

  test("compressed by a program that is not installed is refused, saying how to decompress it", async () => {
    const before = process.env["PATH"];
    process.env["PATH"] = folderOf([]);
    try {
      const path = put(Buffer.from("fd377a585a00", "hex"));
      for (const source of [path, `docker-archive:${path}`, `tar:${path}`]) {
        await expect(found(source)).rejects.toMatchObject({
          code: "UNSUPPORTED",
          hint: `decompress it first: xz -dc ${path} | sealfs build - …`,
        });
      }
    } finally {
      process.env["PATH"] = before;
    }
  });

  test("may be compressed twice, not three times; a layer only once", async () => {
    const bytes = await tar(dockerArchive([one]));
    let path = put(gzipSync(gzipSync(gzipSync(bytes))));
    await expect(found(path)).rejects.toMatchObject({ code: "LIMIT" });
    await expect(found(`docker-archive:${path}`)).rejects.toMatchObject({ code: "LIMIT" });
    path = put(gzipSync(gzipSync(one)));
    await expect(found(path)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  test("that holds no tar when it is decompressed is refused", async () => {
    for (const content of ["hello", "/ 4096 40755 2 0 0 0 0.0 - - -\n"]) {
      await expect(found(put(gzipSync(content)))).rejects.toMatchObject({ code: "BAD_MAGIC" });
    }
  });
});

test("dir: in front of what skopeo has written is taken at its word, with a warning", async () => {
  const warningsOf = async (path: string) => {
    const source = await openBuildSource(parseSource(`dir:${path}`), {});
    source.close();
    return source.warnings;
  };
  const folder = folderOf(skopeoFolder([one]));
  expect(await warningsOf(folder)).toEqual([expect.stringContaining("without dir: it is read")]);
  expect(await warningsOf(folderOf([{ name: "etc/passwd", content: "root" }]))).toEqual([]);
});

test("a named transport for another kind of archive says how to find out", async () => {
  const hint = expect.stringContaining("sealfs finds out what it is") as string;
  const docker = put(await tar(dockerArchive([one])));
  const layout = put(await layoutOf([one]).archiveBytes());
  await expect(found(`oci-archive:${docker}`)).rejects.toMatchObject({ code: "MALFORMED", hint });
  await expect(found(`docker-archive:${layout}`)).rejects.toMatchObject({ code: "NO_FILE", hint });
  await expect(found(`oci:${layout}`)).rejects.toMatchObject({
    name: "UsageError",
    hint: `an archive of a layout: oci-archive:${layout}`,
  });
  expect(await found(`oci-archive:${layout}`)).toEqual(ids(one));
});

test("a disk image that begins with zeros is none of the things that are read", async () => {
  const disk = Buffer.alloc(8192);
  disk.writeUInt32LE(0xe0f5e1e2, 1024);
  await expect(found(put(disk))).rejects.toMatchObject({ code: "BAD_MAGIC" });
});

describe("a pipe that a path names", () => {
  /** A named pipe that a program of its own writes into. */
  function pipeOf(bytes: Uint8Array) {
    const path = join(folderOf([]), "pipe");
    execFileSync("mkfifo", [path]);
    const writer = spawn("sh", ["-c", 'exec cat "$0" > "$1"', put(bytes), path]);
    onTestFinished(() => void writer.kill());
    return path;
  }

  test("is read to its end, by every transport of files", async () => {
    const docker = await tar(dockerArchive([one, two]));
    const layout = await layoutOf([one]).archiveBytes();
    expect(await found(pipeOf(docker))).toEqual(ids(one, two));
    expect(await found(pipeOf(gzipSync(docker)))).toEqual(ids(one, two));
    expect(await found(`docker-archive:${pipeOf(docker)}:app:1`)).toEqual(ids(one, two));
    expect(await found(`oci-archive:${pipeOf(zstd(layout))}`)).toEqual(ids(one));
    expect(await found(`tar:${pipeOf(one)},${pipeOf(two)}`)).toBe("layer");
    expect(await found(`dump:${pipeOf(Buffer.from("/ 4096 40755 2 0 0 0 0.0 - - -\n"))}`)).toBe(
      "dump",
    );
    const files = await tar(under("lay/", layoutArchive(layoutOf([one]))));
    await expect(found(pipeOf(files))).rejects.toMatchObject({
      hint: expect.stringContaining("saved in a file, tar:FILE takes it") as string,
    });
  });

  test("whose other end nobody opens is waited for until a signal", async () => {
    const path = join(folderOf([]), "pipe");
    execFileSync("mkfifo", [path]);
    for (const transport of ["", "tar:", "oci-archive:", "docker-archive:", "dump:"]) {
      const interruption = new AbortController();
      const opening = openAnySource(parseSource(transport + path), {
        signal: interruption.signal,
      });
      const reason = new Error("interrupted");
      interruption.abort(reason);
      await expect(opening).rejects.toBe(reason);
    }
  });
});

test("a device is refused without reading from it", async () => {
  for (const transport of ["", "tar:", "oci-archive:", "docker-archive:", "dump:"]) {
    await expect(found(`${transport}/dev/zero`)).rejects.toMatchObject({
      name: "UsageError",
      hint: "give a file, a pipe, or - (standard input)",
    });
  }
});

test.each([
  ["squashfs", "hsqs", 0, /unsquashfs -d DIR FILE/],
  ["SIF", "SIF_MAGIC", 32, /apptainer build --sandbox/],
  ["qcow2", "QFI\xfb", 0, /mount it/],
  ["a disk image", "EFI PART", 512, /mount it/],
  ["ext4", "\x53\xef", 1080, /mount it/],
  ["btrfs", "_BHRfS_M", 65_600, /mount it/],
  ["ISO 9660", "CD001", 32_769, /mount it/],
  ["EROFS", "\xe2\xe1\xf5\xe0", 1024, /sealfs inspect/],
  ["zip", "PK\x03\x04", 0, /extract it/],
  ["cpio", "070701", 0, /extract it/],
  ["a Debian package", "!<arch>\ndebian-binary", 0, /dpkg-deb --fsys-tarfile/],
  ["RPM", "\xed\xab\xee\xdb", 0, /extract it/],
  ["a document of an image", '{"schemaVersion":2}', 0, /name its folder/],
])("a file that holds %s is refused by name", async (what, magic, offset, hint) => {
  const bytes = Buffer.alloc(70_000);
  bytes.write(magic, offset, "latin1");
  const cut = bytes.subarray(0, offset + magic.length);
  for (const content of [bytes, cut]) {
    const refused = await found(put(content, "file")).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "BAD_MAGIC" });
    const { message, hint: said } = refused as Error & { hint: string };
    expect(message).toContain(what);
    expect(said).toMatch(hint);
  }
});

describe("a path with a colon or a comma", () => {
  test("that a transport cuts short is told, with the one that works", async () => {
    const docker = put(await tar(dockerArchive([one])), "a:b,c.tar");
    const layout = folderOf(layoutArchive(layoutOf([one])).map(inColon));
    for (const [source, plain] of [
      [`docker-archive:${docker}`, docker],
      [`tar:${docker}`, docker],
      [`oci:${layout}/x:y`, `${layout}/x:y`],
    ] as const) {
      await expect(found(source)).rejects.toMatchObject({
        code: "NO_FILE",
        hint: `a colon or comma ends the path; without a transport, ${plain} is read whole`,
      });
      expect(await found(plain)).toEqual(ids(one));
    }
  });

  test("is not part of what would force a refused archive", async () => {
    const members = under("lay/", layoutArchive(layoutOf([one])));
    const path = put(await tar(members), "a,b.tar");
    await expect(found(path)).rejects.toMatchObject({
      hint: expect.stringContaining("without a comma in its name, tar:FILE takes it") as string,
    });
  });

  test("is saved under another name before an image is chosen by name", async () => {
    const layout = new TestLayout();
    const [a, b] = [layout.image([one]), layout.image([two])];
    layout.index([named(a, "a"), named(b, "b")]);
    const path = put(await layout.archiveBytes(), "a:b.tar");
    await expect(found(path)).rejects.toMatchObject({
      code: "AMBIGUOUS",
      hint: "save it as FILE, and choose with oci-archive:FILE:TAG, TAG one of: a, b",
    });
  });

  test("- behind a transport is told how to write standard input", async () => {
    for (const source of ["docker-archive:-", "tar:-", "oci-archive:-"]) {
      await expect(found(source)).rejects.toMatchObject({
        hint: "standard input is - without a transport, or /dev/stdin with one",
      });
    }
  });
});

test("a dump file on standard input is one", async () => {
  const stdin = Readable.from(["/ 4096 40755 2 0 0 0 0.0 - - -\n"]);
  expect(await found("-", undefined, stdin)).toBe("dump");
});
