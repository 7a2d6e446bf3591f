import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { readRange } from "../../../src/oci/blob.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { openSource } from "../../../src/oci/source/open-source.ts";
import {
  type BlobDescriptor,
  TestLayout,
  digestOf,
  layerTar,
  named,
  types,
} from "../../support/oci.ts";
import { scratchFolder } from "../../support/scratch.ts";

const open = (source: string, platform?: string) =>
  openSource(parseSource(source), platform ? { platform: parsePlatform(platform) } : {});

/** The code of what opening throws, with its class: `FormatError AMBIGUOUS`. */
async function refusal(source: string, platform?: string): Promise<string> {
  try {
    (await open(source, platform)).close();
    return "accepted";
  } catch (error) {
    if (error instanceof SealfsError) return `${error.name} ${error.code}`;
    throw error;
  }
}

async function oneImage(change: (layout: TestLayout, image: BlobDescriptor) => void = () => {}) {
  const layout = new TestLayout();
  const image = layout.image([await layerTar("one"), await layerTar("two")]);
  layout.index([named(image, "latest")]);
  change(layout, image);
  return layout;
}

describe("an image with two layers", () => {
  test.each(["oci:", "oci-archive:", ""])(
    "opens as %spath, with its layers where they lie",
    async (transport) => {
      const layout = await oneImage();
      const archive = transport === "oci-archive:";
      const path = archive ? await layout.archive() : layout.directory();
      const image = await open(`${transport}${path}${transport ? ":latest" : ""}`);
      expect(image.config?.platform).toEqual({
        os: "linux",
        architecture: "amd64",
        variant: undefined,
      });
      expect(image.mediaType).toBe(types.manifest);
      expect(digestOf(image.manifestBytes!)).toBe(image.manifestDigest);
      for (const [i, text] of ["one", "two"].entries()) {
        const layer = image.layers[i]!;
        const blob = image.openBlob(layer);
        const bytes = readRange(blob, 1 << 20, "layer");
        blob.close();
        expect(bytes).toEqual(new Uint8Array(gzipSync(await layerTar(text))));
        expect(digestOf(bytes)).toBe(layer.digest);
        expect(layer.diffId).toBe(digestOf(await layerTar(text)));
        expect(layer.compression).toBe("gzip");
      }
      image.close();
    },
  );

  test("opens from Docker's media types", async () => {
    const layout = new TestLayout();
    const layer = await layerTar("docker");
    const config = layout.json(
      {
        os: "linux",
        architecture: "arm64",
        variant: "v8",
        rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
      },
      types.dockerConfig,
    );
    const layers = [layout.blob(gzipSync(layer), types.dockerGzip)];
    const manifest = layout.json(
      { schemaVersion: 2, mediaType: types.dockerManifest, config, layers },
      types.dockerManifest,
    );
    const list = layout.json(
      {
        schemaVersion: 2,
        mediaType: types.dockerList,
        manifests: [
          { ...manifest, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
        ],
      },
      types.dockerList,
    );
    const image = await open(`oci:${layout.index([list]).directory()}`, "linux/arm64");
    expect(image.manifestDigest).toBe(manifest.digest);
    expect(image.layers[0]!.compression).toBe("gzip");
    image.close();
  });

  test("opens from sha512 digests", async () => {
    const layout = new TestLayout();
    const layer = await layerTar("sha512");
    const config = layout.json(
      {
        os: "linux",
        architecture: "amd64",
        rootfs: { type: "layers", diff_ids: [digestOf(layer, "sha512")] },
      },
      types.config,
      "sha512",
    );
    const layers = [layout.blob(layer, types.tar, "sha512")];
    const manifest = layout.json({ schemaVersion: 2, config, layers }, types.manifest, "sha512");
    const image = await open(`oci:${layout.index([manifest]).directory()}`);
    expect(image.manifestDigest).toMatch(/^sha512:/);
    image.close();
  });
});

test.each([
  ["null", { layers: null }],
  ["absent", { layers: undefined }],
  ["empty", { layers: [] }],
])("an image whose list of layers is %s has none", async (_, manifest) => {
  for (const diff_ids of [null, [], undefined]) {
    const layout = new TestLayout();
    const config = { rootfs: { type: "layers", diff_ids } };
    layout.index([layout.image([], { manifest, config })]);
    const image = await open(`oci:${layout.directory()}`);
    expect(image.layers).toEqual([]);
    image.close();
  }
});

describe("choosing one of several", () => {
  async function several() {
    const layout = new TestLayout();
    const make = async (text: string, platform: string) => {
      const [os, architecture, variant] = platform.split("/");
      return {
        ...layout.image([await layerTar(text)], { platform }),
        platform: { os, architecture, variant },
      };
    };
    const mips64 = await make("mips64", "linux/mips64");
    const armv6 = await make("armv6", "linux/arm/v6");
    const armv7 = await make("armv7", "linux/arm/v7");
    const attestation = {
      ...layout.json({ schemaVersion: 2 }, types.manifest),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    const index = layout.json(
      { schemaVersion: 2, mediaType: types.index, manifests: [mips64, armv6, armv7, attestation] },
      types.index,
    );
    const other = layout.image([await layerTar("other")], { platform: "linux/s390x" });
    layout.index([named(index, "multi"), named(other, "other")]);
    return { path: layout.directory(), mips64, armv6, armv7, other };
  }
  const digest = async (source: string, platform?: string) => {
    const image = await open(source, platform);
    image.close();
    return image.manifestDigest;
  };

  test("by name, position, digest and platform", async () => {
    const { path, mips64, armv6, armv7, other } = await several();
    expect(await digest(`oci:${path}:multi`, "linux/mips64")).toBe(mips64.digest);
    expect(await digest(`oci:${path}:multi`, "linux/arm")).toBe(armv7.digest);
    expect(await digest(`oci:${path}:@0`, "linux/arm/v6")).toBe(armv6.digest);
    expect(await digest(`oci:${path}:other`)).toBe(other.digest);
    expect(await digest(`oci:${path}@${other.digest}`)).toBe(other.digest);
  });

  test("without a choice, or with one that nothing meets, says what there is", async () => {
    const { path } = await several();
    await expect(open(`oci:${path}:multi`)).rejects.toMatchObject({
      code: "AMBIGUOUS",
      hint: "choose with --platform one of: linux/mips64, linux/arm/v6, linux/arm/v7",
    });
    await expect(open(`oci:${path}:none`)).rejects.toMatchObject({
      code: "NO_REF",
      hint: "it has: multi --platform linux/mips64, other",
    });
    expect(await refusal(`oci:${path}:multi`, "linux/vax")).toBe("NotFoundError NO_REF");
    expect(await refusal(`oci:${path}:other`, "linux/mips64")).toBe("NotFoundError NO_REF");
    expect(await refusal(`oci:${path}:@2`)).toBe("NotFoundError NO_REF");
    expect(await refusal(`oci:${path}@sha256:${"0".repeat(64)}`)).toBe("NotFoundError NO_REF");
  });

  test("one image under two names is one image", async () => {
    const layout = await oneImage((layout, image) => {
      layout.index([named(image, "a"), named(image, "b")]);
    });
    expect(await refusal(`oci:${layout.directory()}`)).toBe("accepted");
  });
});

describe("hostile layouts", () => {
  test("a document that is not what its descriptor says is refused before it is parsed (docs/hostile-inputs.md, 93)", async () => {
    const damage = async (name: "manifest" | "config", how: (path: string) => void) => {
      let digest = "";
      const layout = await oneImage((layout, image) => {
        const manifest = JSON.parse(
          Buffer.from(layout.files.get(`blobs/${image.digest.replace(":", "/")}`)!).toString(),
        ) as {
          config: BlobDescriptor;
        };
        digest = name === "manifest" ? image.digest : manifest.config.digest;
      });
      const path = layout.directory();
      how(join(path, "blobs", digest.replace(":", "/")));
      return refusal(`oci:${path}`);
    };
    for (const name of ["manifest", "config"] as const) {
      expect(await damage(name, (path) => truncateSync(path, 10))).toBe(
        "IntegrityError SIZE_MISMATCH",
      );
      expect(
        await damage(name, (path) => {
          writeFileSync(path, readFileSync(path, "utf8").replace("2", "3"));
        }),
      ).toBe("IntegrityError DIGEST_MISMATCH");
    }
  });

  test("a layer of another size is refused when it is opened, a missing one too (docs/hostile-inputs.md, 93)", async () => {
    const layout = await oneImage();
    const path = layout.directory();
    const image = await open(`oci:${path}`);
    const [first, second] = image.layers;
    const file = (layer: typeof first) => join(path, "blobs", layer!.digest!.replace(":", "/"));
    writeFileSync(file(first), "short");
    expect(() => image.openBlob(first!)).toThrow(/expected \d+ bytes, got 5/);
    renameSync(file(second), join(path, "away"));
    expect(() => image.openBlob(second!)).toThrow(/not there/);
    image.close();
  });

  test.each([
    ["a path", "sha256:../../../../etc/passwd", "MALFORMED"],
    ["upper case", `sha256:${"A".repeat(64)}`, "MALFORMED"],
    ["too short", `sha256:${"a".repeat(63)}`, "MALFORMED"],
    ["too long", `sha256:${"a".repeat(65)}`, "MALFORMED"],
    ["a line break", `sha256:${"a".repeat(64)}\n`, "MALFORMED"],
    ["md5", `md5:${"a".repeat(32)}`, "UNSUPPORTED"],
    ["no algorithm", "a".repeat(64), "MALFORMED"],
    ["sha512 of the length of sha256", `sha512:${"a".repeat(64)}`, "MALFORMED"],
    ["a number", 5, "MALFORMED"],
  ])("a digest that is %s (docs/hostile-inputs.md, 94)", async (_, digest, code) => {
    const layout = await oneImage((layout, image) => layout.index([{ ...image, digest }]));
    expect(await refusal(`oci:${layout.directory()}`)).toBe(`FormatError ${code}`);
  });

  test.each([
    ["layers and manifests", { manifests: [] }, "AMBIGUOUS"],
    ["the media type of an index", { mediaType: types.index }, "AMBIGUOUS"],
    ["an unknown media type", { mediaType: "text/plain" }, "AMBIGUOUS"],
    ["a name in another case", { Layers: [] }, "AMBIGUOUS"],
    ["schema version 1", { schemaVersion: 1 }, "UNSUPPORTED"],
    ["the fields of schema 1", { fsLayers: [] }, "UNSUPPORTED"],
    ["one layer in place of a list", { layers: {} }, "MALFORMED"],
    ["no layers for its diffIDs", { layers: undefined }, "MALFORMED"],
    ["no config", { config: undefined }, "MALFORMED"],
  ])("a manifest with %s (docs/hostile-inputs.md, 95)", async (_, manifest, code) => {
    const layout = new TestLayout();
    layout.index([layout.image([await layerTar("one")], { manifest })]);
    expect(await refusal(`oci:${layout.directory()}`)).toBe(`FormatError ${code}`);
  });

  test("descriptors of other media types, none, and Docker's manifest that does not name itself (docs/hostile-inputs.md, 95)", async () => {
    const refused = async (fields: Record<string, unknown>) => {
      const layout = await oneImage((layout, image) => layout.index([{ ...image, ...fields }]));
      return refusal(`oci:${layout.directory()}`);
    };
    expect(await refused({ mediaType: undefined })).toBe("FormatError MALFORMED");
    expect(await refused({ mediaType: "application/json" })).toBe("FormatError UNSUPPORTED");
    expect(
      await refused({ mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws" }),
    ).toBe("FormatError UNSUPPORTED");
    expect(await refused({ mediaType: types.index })).toBe("FormatError AMBIGUOUS");
    const layout = new TestLayout();
    const image = layout.image([], { manifest: { mediaType: undefined } });
    layout.index([{ ...image, mediaType: types.dockerManifest }]);
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError MALFORMED");
    layout.index([image]);
    expect(await refusal(`oci:${layout.directory()}`)).toBe("accepted");
  });

  test("an artifact is not an image (docs/hostile-inputs.md, 95)", async () => {
    const layout = new TestLayout();
    const config = layout.json({}, "application/vnd.oci.empty.v1+json");
    layout.index([layout.image([], { manifest: { config } })]);
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError UNSUPPORTED");
  });

  test("indexes nested four deep are read, five deep are not; wide ones end at a limit (docs/hostile-inputs.md, 96)", async () => {
    const nest = (layout: TestLayout, inner: BlobDescriptor[]) =>
      layout.json({ schemaVersion: 2, mediaType: types.index, manifests: inner }, types.index);
    for (const [depth, expected] of [
      [4, "accepted"],
      [5, "FormatError LIMIT"],
      [100, "FormatError LIMIT"],
    ] as const) {
      const layout = await oneImage((layout, image) => {
        let descriptor = image;
        for (let i = 0; i < depth; i++) descriptor = nest(layout, [descriptor]);
        layout.index([descriptor]);
      });
      expect(await refusal(`oci:${layout.directory()}`)).toBe(expected);
    }
    const wide = await oneImage((layout, image) => {
      const hundred = (descriptor: BlobDescriptor) =>
        nest(
          layout,
          Array.from({ length: 100 }, () => descriptor),
        );
      layout.index([hundred(hundred(hundred(image)))]);
    });
    expect(await refusal(`oci:${wide.directory()}`)).toBe("FormatError LIMIT");
  });

  test("two images of one name, or of one platform, are ambiguous (docs/hostile-inputs.md, 97)", async () => {
    const layout = new TestLayout();
    const one = layout.image([await layerTar("one")]);
    const two = layout.image([await layerTar("two")]);
    layout.index([named(one, "latest"), named(two, "latest")]);
    expect(await refusal(`oci:${layout.directory()}:latest`)).toBe("FormatError AMBIGUOUS");
    layout.index([named(one, "latest"), named(one, "latest")]);
    expect(await refusal(`oci:${layout.directory()}:latest`)).toBe("FormatError AMBIGUOUS");
    const platform = { os: "linux", architecture: "amd64" };
    layout.index([
      { ...one, platform },
      { ...two, platform },
    ]);
    expect(await refusal(`oci:${layout.directory()}`, "linux/amd64")).toBe("FormatError AMBIGUOUS");
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError AMBIGUOUS");
  });

  test("a configuration with another number of diffIDs, or none, or another type (docs/hostile-inputs.md, 98)", async () => {
    const refused = async (config: Record<string, unknown>) => {
      const layout = new TestLayout();
      layout.index([layout.image([await layerTar("one")], { config })]);
      return refusal(`oci:${layout.directory()}`);
    };
    const id = digestOf(await layerTar("one"));
    expect(await refused({ rootfs: { type: "layers", diff_ids: [id, id] } })).toBe(
      "FormatError MALFORMED",
    );
    expect(await refused({ rootfs: { type: "layers", diff_ids: [] } })).toBe(
      "FormatError MALFORMED",
    );
    expect(await refused({ rootfs: { type: "layers" } })).toBe("FormatError MALFORMED");
    expect(await refused({ rootfs: undefined })).toBe("FormatError MALFORMED");
    expect(await refused({ rootfs: { type: "tree", diff_ids: [id] } })).toBe(
      "FormatError UNSUPPORTED",
    );
    expect(await refused({ rootfs: { type: "layers", diff_ids: ["sha256:x"] } })).toBe(
      "FormatError MALFORMED",
    );
    expect(await refused({ RootFS: {} })).toBe("FormatError AMBIGUOUS");
    expect(await refused({ os: 5 })).toBe("FormatError MALFORMED");
    expect(await refused({ rootfs: { type: 5, diff_ids: [id] } })).toBe("FormatError MALFORMED");
  });

  test("a layer that has to be fetched from elsewhere, or is no tar (docs/hostile-inputs.md, 99)", async () => {
    const refused = async (fields: Record<string, unknown>) => {
      const layout = new TestLayout();
      const layer = await layerTar("one");
      const layers = [{ ...layout.blob(gzipSync(layer), types.gzip), ...fields }];
      layout.index([layout.image([layer], { manifest: { layers } })]);
      return refusal(`oci:${layout.directory()}`);
    };
    const urls = ["http://169.254.169.254/latest/meta-data"];
    const foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    const { digest } = new TestLayout().blob(Buffer.from("elsewhere"), types.gzip);
    expect(await refused({ urls, digest })).toBe("FormatError UNSUPPORTED");
    expect(await refused({ urls, digest, mediaType: foreign })).toBe("FormatError UNSUPPORTED");
    expect(await refused({ urls })).toBe("accepted"); // its blob is in the layout
    expect(await refused({ urls, mediaType: foreign })).toBe("accepted");
    expect(await refused({ urls: [], mediaType: foreign })).toBe("accepted");
    expect(await refused({ urls: null })).toBe("accepted");
    expect(await refused({ urls: "http://x" })).toBe("FormatError MALFORMED");
    expect(await refused({ mediaType: `${types.gzip}+encrypted` })).toBe("FormatError UNSUPPORTED");
    expect(await refused({ mediaType: "application/vnd.oci.image.layer.v1.tar+bzip2" })).toBe(
      "FormatError UNSUPPORTED",
    );
    expect(await refused({ mediaType: types.zstd })).toBe("accepted"); // found out when it is read
  });

  test.each(["index.json", "oci-layout", "blobs", "blobs/sha256", "manifest"])(
    "a symlink in place of %s is refused, and so is a fifo (docs/hostile-inputs.md, 100)",
    async (name) => {
      let manifest = "";
      const layout = await oneImage((_, image) => {
        manifest = `blobs/${image.digest.replace(":", "/")}`;
      });
      const path = layout.directory();
      const target = join(path, name === "manifest" ? manifest : name);
      renameSync(target, join(path, "elsewhere"));
      symlinkSync(join(path, "elsewhere"), target);
      expect(await refusal(`oci:${path}`)).toBe("IntegrityError WRONG_TYPE");
      await expect(open(`oci:${path}`)).rejects.toMatchObject({
        hint: `if what links lead to is meant: tar -C ${path} -chf - . | sealfs build - …`,
      });
      const followed = Readable.from([execFileSync("tar", ["-C", path, "-chf", "-", "."])]);
      (await openSource(parseSource("-"), { stdin: followed })).close();
      execFileSync("rm", [target]);
      execFileSync("mkfifo", [target]);
      expect(await refusal(`oci:${path}`)).toBe("IntegrityError WRONG_TYPE");
    },
  );

  test("a directory in place of a layer (docs/hostile-inputs.md, 100)", async () => {
    const layout = await oneImage();
    const path = layout.directory();
    const image = await open(`oci:${path}`);
    const blob = join(path, "blobs", image.layers[0]!.digest!.replace(":", "/"));
    execFileSync("rm", [blob]);
    mkdirSync(blob);
    expect(() => image.openBlob(image.layers[0]!)).toThrow(
      /expected a regular file, got a directory/,
    );
  });

  test("another layout version, none, or no layout file (docs/hostile-inputs.md, 101)", async () => {
    const refused = async (content: string | undefined) => {
      const layout = await oneImage();
      if (content === undefined) layout.files.delete("oci-layout");
      else layout.files.set("oci-layout", Buffer.from(content));
      return refusal(`oci:${layout.directory()}`);
    };
    expect(await refused('{"imageLayoutVersion":"2.0.0"}')).toBe("FormatError UNSUPPORTED");
    expect(await refused("{}")).toBe("FormatError MALFORMED");
    expect(await refused("")).toBe("FormatError TRUNCATED");
    // Others read a layout without the file, and what the index says can be checked all the same.
    expect(await refused(undefined)).toBe("accepted");
    expect(await refusal(`oci:${scratchFolder()}`)).toBe("FormatError MALFORMED");
  });

  test("documents over 4 MiB are refused, whether the descriptor says so or the file is", async () => {
    const big = " ".repeat(limits.manifestBytes);
    const layout = await oneImage((layout, image) => {
      layout.index([{ ...image, size: limits.manifestBytes + 1 }]);
    });
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError LIMIT");
    const long = await oneImage((layout) =>
      layout.files.set("index.json", Buffer.from(`{}${big}`)),
    );
    expect(await refusal(`oci:${long.directory()}`)).toBe("FormatError LIMIT");
  });

  test("more layers than the limit are refused", async () => {
    const layer = await layerTar("one");
    for (const [count, expected] of [
      [limits.layers, "accepted"],
      [limits.layers + 1, "FormatError LIMIT"],
    ] as const) {
      const layout = new TestLayout();
      layout.index([layout.image(Array.from({ length: count }, () => layer))]);
      expect(await refusal(`oci:${layout.directory()}`)).toBe(expected);
    }
  });

  const big = '"cpu":18446744073709551615';
  const lone = '"author":"\\ud800","history":[{"comment":"\\udce9"}]';
  const twice =
    '"created":"a","created":"b","config":{"Env":[],"Env":["A=b"],"Labels":{"x":"y","x":"z"}}';
  test.each([
    ["numbers over 2^53", big],
    ["lone surrogates", lone],
    ["names given twice", twice],
    ["a time that is none", '"created":5,"Author":{},"author":[]'],
    ["names in another case", '"Config":{},"container_config":null,"History":[],"history":null'],
  ])("fields that we do not use may have %s, in every document", async (_, fields) => {
    const rootfs = { type: "layers", diff_ids: [digestOf(await layerTar("one"))] };
    const body = JSON.stringify({ os: "linux", architecture: "amd64", rootfs });
    const layout = new TestLayout();
    const config = layout.json(`{${fields},${body.slice(1)}`, types.config);
    const plain = layout.image([await layerTar("one")]);
    const bytes = layout.files.get(`blobs/${plain.digest.replace(":", "/")}`)!;
    const manifest = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    // Not `config` again, which a manifest has itself.
    const unused = fields.replaceAll(/"config"/gi, '"other"');
    const text = JSON.stringify({ ...manifest, config });
    const image = layout.json(`{${unused},${text.slice(1)}`, types.manifest);
    layout.index([image]);
    const index = Buffer.from(layout.files.get("index.json")!).toString();
    layout.files.set("index.json", Buffer.from(`{${unused},${index.slice(1)}`));
    const version = Buffer.from(layout.files.get("oci-layout")!).toString();
    layout.files.set("oci-layout", Buffer.from(`{${unused},${version.slice(1)}`));
    expect(await refusal(`oci:${layout.directory()}`)).toBe("accepted");
  });

  test.each([
    ["architecture", '"architecture":"arm64"'],
    ["os", '"os":"windows"'],
    ["rootfs", '"rootfs":{}'],
    ["variant", '"variant":"v8","variant":"v7"'],
    ["variant in another case", '"Variant":"v8"'],
    ["diff_ids", '"rootfs":{"type":"layers","diff_ids":[],"diff_ids":[]}'],
  ])("a configuration that gives %s twice is refused", async (_, fields) => {
    const rootfs = { type: "layers", diff_ids: [digestOf(await layerTar("one"))] };
    const given = {
      os: "linux",
      architecture: "amd64",
      ...(fields.includes("diff") ? {} : { rootfs }),
    };
    const layout = new TestLayout();
    const config = layout.json(`{${fields},${JSON.stringify(given).slice(1)}`, types.config);
    layout.index([layout.image([await layerTar("one")], { manifest: { config } })]);
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError AMBIGUOUS");
  });

  test.each(["mediaType", "digest", "size", "platform", "annotations", "urls"])(
    "a descriptor that gives %s twice is refused",
    async (name) => {
      const layout = await oneImage((layout, image) => {
        const value = JSON.stringify(image[name] ?? null);
        const given = { ...image, [name]: image[name] ?? null };
        const entry = `{"${name}":${value},${JSON.stringify(given).slice(1)}`;
        layout.files.set("index.json", Buffer.from(`{"schemaVersion":2,"manifests":[${entry}]}`));
      });
      expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError AMBIGUOUS");
    },
  );

  test("a name given twice in any document is refused", async () => {
    const layout = await oneImage();
    layout.files.set(
      "index.json",
      Buffer.from('{"schemaVersion":2,"manifests":[],"manifests":[]}'),
    );
    expect(await refusal(`oci:${layout.directory()}`)).toBe("FormatError AMBIGUOUS");
  });
});

test("what is not there is named", async () => {
  const folder = scratchFolder();
  expect(await refusal(join(folder, "none"))).toBe("NotFoundError NO_FILE");
  expect(await refusal(`oci:${join(folder, "none")}`)).toBe("NotFoundError NO_FILE");
  expect(await refusal(`oci-archive:${join(folder, "none")}`)).toBe("NotFoundError NO_FILE");
  expect(await refusal(`oci-archive:${folder}`)).toBe("UsageError USAGE");
  expect(await refusal(folder)).toBe("UsageError USAGE"); // a tree, not an image
});
