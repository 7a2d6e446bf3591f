import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { FormatError, SealfsError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { DirectoryFiles, openLayout } from "../../../src/oci/source/oci-layout.ts";
import { openSource } from "../../../src/oci/source/open-source.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { type SourceReference, parseSource } from "../../../src/oci/reference.ts";
import { type BlobDescriptor, TestLayout, layerTar, named, types } from "../../support/oci.ts";
import { scratchFolder } from "../../support/scratch.ts";

const HOST = parsePlatform("linux/mips64le");

/** The digest of what is opened on a machine that is a {@link HOST}. */
async function choose(source: string, platform?: string, host = HOST): Promise<string | undefined> {
  const reference = parseSource(source) as Extract<SourceReference, { transport: "oci" }>;
  const files = new DirectoryFiles(reference.path);
  const asked = platform === undefined ? undefined : parsePlatform(platform);
  const question = { choice: reference, platform: asked, host };
  const image = await openLayout(files, question, `oci:${reference.path}`);
  image.close();
  return image.manifestDigest;
}

async function refused(source: string, platform?: string): Promise<SealfsError> {
  const error: unknown = await choose(source, platform).then(
    () => undefined,
    (reason) => reason,
  );
  if (error instanceof SealfsError) return error;
  throw new Error(`expected a refusal, got ${String(error)}`);
}

/** The choices that a hint gives, as arguments: the source and the platform. */
function choicesOf(
  hint: string,
  source: string,
  platform?: string,
): [source: string, platform: string | undefined][] {
  return hint.split("; or ").flatMap((part) => {
    const [, way, list = ""] = /^(?:.*choose with (.*?) one of|it has): (.*)$/.exec(part) ?? [];
    const before = way?.replace(/(TAG|DIGEST|INDEX), \1$/, "");
    const [transport, path] = source.split(":");
    return list.split(", ").map((item) => {
      const [name = "", other] = item.split(" --platform ");
      const isPlatform = way === "--platform" || (way === undefined && item.startsWith("linux/"));
      if (isPlatform) return [source, item];
      return [`${before ?? `${transport}:${path}:`}${name}`, other ?? platform];
    });
  });
}

/** Follows every choice of the hint that a refusal gives; what each leads to. */
async function follow(source: string, platform?: string): Promise<(string | undefined)[]> {
  const { hint } = await refused(source, platform);
  const led: (string | undefined)[] = [];
  for (const [again, other] of choicesOf(hint!, source, platform)) {
    led.push(await choose(again, other));
  }
  return led;
}

const indexOf = (layout: TestLayout, manifests: readonly unknown[]) =>
  layout.json({ schemaVersion: 2, mediaType: types.index, manifests }, types.index);

class Bed extends TestLayout {
  /** An image for a platform, which its entry names unless told otherwise. */
  async make(platform: string, fields: Record<string, unknown> = {}): Promise<BlobDescriptor> {
    const [os, architecture, variant] = platform.split("/");
    const image = this.image([await layerTar(`${platform} ${this.files.size}`)], { platform });
    return { ...image, platform: { os, architecture, variant }, ...fields };
  }

  source(manifests: readonly unknown[]): string {
    return `oci:${this.index(manifests).directory(join(scratchFolder(), "layout"))}`;
  }

  remove({ digest }: BlobDescriptor): void {
    this.files.delete(`blobs/${digest.replace(":", "/")}`);
  }
}

describe("without --platform", () => {
  test("the host's image is taken of several, and the only one whatever it is for", async () => {
    const bed = new Bed();
    const own = await bed.make("linux/mips64le");
    const other = await bed.make("linux/arm64");
    expect(await choose(bed.source([other, own]))).toBe(own.digest);
    expect(await choose(bed.source([indexOf(bed, [own, other])]))).toBe(own.digest);
    expect(await choose(bed.source([other]))).toBe(other.digest);
    const asked = await choose(bed.source([other, own]), "linux/arm64");
    expect(asked).toBe(other.digest);
  });

  test("where the host's is not among them, the hint names the others", async () => {
    const bed = new Bed();
    const images = [await bed.make("linux/arm64"), await bed.make("linux/arm/v7")];
    const source = bed.source(images);
    expect((await refused(source)).code).toBe("AMBIGUOUS");
    expect(await follow(source)).toEqual(images.map(({ digest }) => digest));
  });
});

test("what the host's processor runs too is taken by default, not where a platform is named", async () => {
  const bed = new Bed();
  const [v7, x86] = [await bed.make("linux/arm/v7"), await bed.make("linux/386")];
  const others = [await bed.make("linux/s390x"), v7, x86];
  const source = bed.source([indexOf(bed, others)]);
  for (const [host, own] of [
    ["linux/arm64", v7],
    ["linux/amd64", x86],
  ] as const) {
    expect(await choose(source, undefined, parsePlatform(host))).toBe(own.digest);
    expect((await refused(source, host)).code).toBe("NO_REF");
    expect(await follow(source, host)).toEqual(others.map(({ digest }) => digest));
  }
  const amd64 = await bed.make("linux/amd64");
  const both = bed.source([...others, amd64]);
  expect(await choose(both, undefined, parsePlatform("linux/amd64"))).toBe(amd64.digest);
});

test.each([[{}], [{ os: "linux" }], [{ os: "", architecture: "" }], [{ "os.version": "1" }]])(
  "what the platform %j of an entry leaves out, the configuration says",
  async (platform) => {
    const bed = new Bed();
    const arm = await bed.make("linux/arm64", { platform });
    const own = await bed.make("linux/mips64le", { platform });
    const other = await bed.make("linux/s390x");
    for (const order of [
      [arm, own, other],
      [other, own, arm],
    ]) {
      const source = bed.source(order);
      expect(await choose(source)).toBe(own.digest);
      expect(await choose(source, "linux/arm64")).toBe(arm.digest);
      expect((await refused(source, "linux/riscv64")).code).toBe("NO_REF");
    }
  },
);

describe("an image that is there twice", () => {
  test("in two compressions is one; podman takes the one that it marks as zstd", async () => {
    const bed = new Bed();
    const layer = await layerTar("one");
    const gzip = bed.image([layer]);
    const stored = bed.image([layer], { manifest: { layers: [bed.blob(layer, types.tar)] } });
    const zstd = { ...stored, annotations: { "io.github.containers.compression.zstd": "true" } };
    const platform = { os: "linux", architecture: "amd64" };
    const both = (second: object) => [
      { ...gzip, platform },
      { ...second, platform },
    ];
    expect(await choose(bed.source([indexOf(bed, both(zstd))]), "linux/amd64")).toBe(zstd.digest);
    expect(await choose(bed.source([indexOf(bed, both(stored))]))).toBe(gzip.digest);
    expect(await choose(bed.source(both(zstd)))).toBe(zstd.digest);
    const tagged = bed.source([named(indexOf(bed, both(zstd)), "t")]);
    expect(await choose(`${tagged}:t`, "linux/amd64")).toBe(zstd.digest);
  });

  test("with another configuration is two, and digests tell them apart", async () => {
    const bed = new Bed();
    const images = [await bed.make("linux/amd64"), await bed.make("linux/amd64")];
    const third = await bed.make("linux/arm64");
    const source = bed.source([indexOf(bed, [...images, third])]);
    for (const platform of [undefined, "linux/amd64"]) {
      expect((await refused(source, platform)).code).toBe("AMBIGUOUS");
      const led = new Set(await follow(source, platform));
      for (const { digest } of images) expect(led).toContain(digest);
    }
  });

  test("under one name is found by its digest", async () => {
    const bed = new Bed();
    const image = named(await bed.make("linux/amd64"), "t");
    const source = bed.source([image, image]);
    expect((await refused(`${source}:t`)).code).toBe("AMBIGUOUS");
    expect(await follow(`${source}:t`)).toEqual([image.digest]);
  });
});

test("an index that lists nothing has no image, whatever is asked for", async () => {
  const bed = new Bed();
  const source = bed.source([]);
  for (const asked of [source, `${source}:t`, `${source}:@0`]) {
    expect(await refused(asked)).toMatchObject({
      code: "NO_REF",
      message: expect.stringContaining("its index lists nothing") as string,
    });
  }
});

describe("nested indexes", () => {
  test("an image or an index in them is found by its digest", async () => {
    const bed = new Bed();
    const [a, b] = [await bed.make("linux/arm64"), await bed.make("linux/mips64le")];
    const inner = indexOf(bed, [a, b]);
    const source = bed.source([named(indexOf(bed, [inner]), "t")]);
    expect(await choose(`${source}@${a.digest}`)).toBe(a.digest);
    expect(await choose(`${source}:@${inner.digest}`)).toBe(b.digest);
    expect(await choose(`${source}@${inner.digest}`, "linux/arm64")).toBe(a.digest);
    const none = `${source}@sha256:${"0".repeat(64)}`;
    expect((await refused(none)).code).toBe("NO_REF");
    expect(await follow(none)).toEqual([a.digest, b.digest]);
  });

  test("names are those of containerd too, and may be shortened as elsewhere", async () => {
    const bed = new Bed();
    const other = await bed.make("linux/mips64le");
    const image = {
      ...indexOf(bed, [await bed.make("linux/mips64le")]),
      annotations: {
        "org.opencontainers.image.ref.name": "3.19",
        "io.containerd.image.name": "docker.io/library/alpine:3.19",
      },
    };
    const saved = named(other, "docker.io/library/busybox:latest");
    const source = bed.source([image, saved]);
    const digest = await choose(`${source}:3.19`);
    expect(await choose(`${source}:alpine:3.19`)).toBe(digest);
    expect(await choose(`${source}:docker.io/library/alpine:3.19`)).toBe(digest);
    expect(await choose(`${source}:busybox`)).toBe(other.digest);
    expect((await refused(`${source}:3.18`)).hint).toBe(
      "it has: 3.19, docker.io/library/busybox:latest",
    );
  });
});

describe("one odd entry", () => {
  const odd: readonly (readonly [string, unknown])[] = [
    ["with a digest by another algorithm", { digest: `blake3:${"a".repeat(64)}` }],
    ["without a size", { size: undefined }],
    ["with a size over 2^53", { size: 2 ** 60 }],
    ["of an unknown media type", { mediaType: "application/vnd.wasm.config.v1+json" }],
    ["of Docker's schema 1", { mediaType: "application/vnd.docker.distribution.manifest.v1+json" }],
    ["whose platform is a string", { platform: "linux/mips64le" }],
    ["whose annotations are a list", { annotations: [] }],
    ["with two names for its size", { Size: 5 }],
  ];

  test.each(odd)("%s does not spoil the others, and is refused alone", async (_, fields) => {
    const bed = new Bed();
    const image = await bed.make("linux/mips64le");
    const bad = { ...(await bed.make("linux/s390x")), ...(fields as object) };
    for (const entries of [[bad, image], [image, bad], [indexOf(bed, [bad, image])]]) {
      expect(await choose(bed.source(entries))).toBe(image.digest);
      expect(await choose(bed.source(entries), "linux/mips64le")).toBe(image.digest);
    }
    expect(await choose(`${bed.source([bad, image])}:@1`)).toBe(image.digest);
    expect(await refused(`${bed.source([bad, image])}:@0`)).toBeInstanceOf(FormatError);
    expect(await refused(bed.source([bad]))).toBeInstanceOf(FormatError);
  });

  test("that is null, a number or a list is refused alone", async () => {
    const bed = new Bed();
    const image = await bed.make("linux/mips64le");
    for (const bad of [null, 5, [], "x"]) {
      expect(await choose(bed.source([bad, image]))).toBe(image.digest);
      expect((await refused(bed.source([bad]))).code).toBe("MALFORMED");
    }
  });

  test.each([
    ["is missing", (bed: Bed, inner: BlobDescriptor) => bed.remove(inner)],
    [
      "is damaged",
      (bed: Bed, { digest, size }: BlobDescriptor) =>
        bed.files.set(`blobs/${digest.replace(":", "/")}`, Buffer.alloc(size, "x")),
    ],
    [
      "is no index",
      (bed: Bed, inner: BlobDescriptor) =>
        Object.assign(inner, bed.json({ schemaVersion: 2, layers: [] }, types.index)),
    ],
  ])("whose nested index %s", async (_, spoil) => {
    const bed = new Bed();
    const image = await bed.make("linux/mips64le");
    const inner = indexOf(bed, [await bed.make("linux/arm64")]);
    spoil(bed, inner);
    expect(await choose(bed.source([inner, image]))).toBe(image.digest);
    expect((await refused(bed.source([inner]))).code).not.toBe("NO_REF");
  });

  test("that is a signature or an artifact, as cosign save and oras put beside an image", async () => {
    const bed = new Bed();
    const { platform: _, ...image } = await bed.make("linux/arm64");
    const config = bed.json({ rootfs: { type: "layers", diff_ids: [] } }, types.config);
    const layers = [bed.json({}, "application/vnd.dev.cosign.simplesigning.v1+json")];
    const signature = bed.image([], { manifest: { config, layers } });
    const empty = bed.json({}, "application/vnd.oci.empty.v1+json");
    const artifact = bed.image([], { manifest: { config: empty } });
    for (const beside of [[signature], [artifact], [signature, artifact]]) {
      expect(await choose(bed.source([...beside, image]))).toBe(image.digest);
      expect(await choose(bed.source([image, ...beside]), "linux/arm64")).toBe(image.digest);
    }
  });
});

describe("the artifactType of an entry", () => {
  test.each([types.config, types.dockerConfig, types.manifest, ""])(
    "%j is an image's",
    async (artifactType) => {
      const bed = new Bed();
      const image = await bed.make("linux/mips64le", { artifactType });
      const sbom = await bed.make("linux/mips64le", { artifactType: "application/spdx+json" });
      expect(await choose(bed.source([image]))).toBe(image.digest);
      expect(await choose(bed.source([sbom, image]))).toBe(image.digest);
    },
  );

  test("of another type is looked into only where there is no image", async () => {
    const bed = new Bed();
    const typed = await bed.make("linux/arm64", { artifactType: "application/vnd.example" });
    expect(await choose(bed.source([typed]))).toBe(typed.digest);
    expect(await choose(bed.source([typed, await bed.make("linux/s390x")]))).not.toBe(typed.digest);
  });
});

describe("images that are not here", () => {
  test("give way to those that are, as docker save leaves other platforms out", async () => {
    const bed = new Bed();
    const own = await bed.make("linux/mips64le");
    const here = await bed.make("linux/arm64");
    const third = await bed.make("linux/s390x");
    bed.remove(own);
    const source = bed.source([indexOf(bed, [own, here])]);
    expect(await choose(source)).toBe(here.digest);
    const error = await refused(source, "linux/mips64le");
    expect(error.message).toMatch(/not here/);
    expect(error.hint).toBe("it has: linux/arm64");
    const several = bed.source([own, here, third]);
    expect(await follow(several)).toEqual([here.digest, third.digest]);
  });

  test("or lack their configuration or a layer", async () => {
    for (const part of ["config", "layers"] as const) {
      const bed = new Bed();
      const [own, here] = [await bed.make("linux/mips64le"), await bed.make("linux/arm64")];
      const bytes = bed.files.get(`blobs/${own.digest.replace(":", "/")}`)!;
      const manifest = JSON.parse(Buffer.from(bytes).toString()) as {
        config: BlobDescriptor;
        layers: BlobDescriptor[];
      };
      bed.remove(part === "config" ? manifest.config : manifest.layers[0]!);
      expect(await choose(bed.source([own, here]))).toBe(here.digest);
    }
  });
});

describe("the platform that an index and a configuration give", () => {
  const pair = async (entry: object | undefined, config: object) => {
    const bed = new Bed();
    const image = bed.image([await layerTar("one")], { config });
    const other = await bed.make("linux/s390x");
    return { image, source: bed.source([{ ...image, platform: entry }, other]) };
  };
  test.each([
    ["arm32v6 of 2021", "arm/v6", { architecture: "arm" }, "linux/arm/v6"],
    ["another variant", "arm/v6", { architecture: "arm", variant: "v7" }, "linux/arm/v6"],
    ["another architecture", "arm64/v8", { architecture: "amd64" }, "linux/arm64"],
    ["none at all", "arm64", { architecture: "", os: "" }, "linux/arm64"],
    ["a lower variant", "arm/v6", { architecture: "arm", variant: "v6" }, "linux/arm/v7"],
    ["an alias", "aarch64", { architecture: "aarch64" }, "linux/arm64"],
  ])("differ, and the index counts: %s", async (_, text, config, asked) => {
    const [architecture, variant] = text.split("/");
    const { image, source } = await pair({ os: "linux", architecture, variant }, config);
    expect(await choose(source, asked)).toBe(image.digest);
  });

  test.each([
    [{ architecture: "arm64", variant: "v8" }, "linux/arm64"],
    [{ architecture: "arm" }, "linux/arm/v6"],
    [{ architecture: undefined, os: undefined }, "linux/arm/v6"],
    [{ architecture: "x86_64" }, "linux/amd64"],
    [{ architecture: null, variant: null }, "linux/riscv64"],
  ])("is the configuration's where the index gives none: %j", async (config, asked) => {
    for (const entry of [undefined, {}, { os: "linux" }]) {
      const { image, source } = await pair(entry, config);
      expect(await choose(source, asked)).toBe(image.digest);
      const alone = new Bed();
      const only = alone.image([await layerTar("one")], { config });
      expect(await choose(alone.source([only]), asked)).toBe(only.digest);
    }
  });

  test("may be several for one image", async () => {
    const bed = new Bed();
    const image = bed.image([await layerTar("one")]);
    const entries = ["arm64", "amd64", "386"].map((architecture) => ({
      ...image,
      platform: { os: "linux", architecture },
    }));
    const source = bed.source([indexOf(bed, entries)]);
    for (const asked of ["linux/arm64/v8", "linux/x86_64", "linux/i386", undefined]) {
      expect(await choose(source, asked)).toBe(image.digest);
    }
    expect((await refused(source, "linux/s390x")).hint).toBe(
      "it has: linux/arm64, linux/amd64, linux/386",
    );
  });

  test("that is another one is told, with the one that there is", async () => {
    const bed = new Bed();
    const { platform: _, ...image } = await bed.make("linux/arm/v7");
    const source = bed.source([image]);
    expect((await refused(source, "linux/arm/v6")).hint).toBe("it has: linux/arm/v7");
    expect(await follow(source, "linux/arm/v6")).toEqual([image.digest]);
  });
});

describe("hints, followed, work", () => {
  test("of names, where nothing else tells images apart", async () => {
    const bed = new Bed();
    const [a, b, c] = [await bed.make("x/y"), await bed.make("x/y"), await bed.make("x/y")];
    const source = bed.source([named(a, "a"), named(b, "b:1"), named(c, "@0"), named(c, "c")]);
    const { hint } = await refused(source);
    expect(hint).toBe(`choose with ${source}:TAG, TAG one of: a, b:1, c`);
    expect(await follow(source)).toEqual([a.digest, b.digest, c.digest]);
  });

  test("of images without names, or with names that cannot be written", async () => {
    const bed = new Bed();
    const [a, b] = [await bed.make("x/y"), await bed.make("x/y")];
    for (const images of [
      [a, b],
      [named(a, ""), named(b, "@1")],
      [named(a, "t"), named(b, "t")],
    ]) {
      const source = bed.source(images);
      expect(await follow(source)).toEqual([a.digest, b.digest]);
      if (images[0]!["annotations"] === undefined) {
        expect((await refused(`${source}:t`)).hint).toMatch(/^its images have no names: choose/);
      }
    }
  });

  test("of positions, leaving out what cannot be opened", async () => {
    const bed = new Bed();
    const [a, b] = [await bed.make("x/y"), await bed.make("x/y")];
    const source = bed.source([a, { mediaType: 5 }, b]);
    expect((await refused(`${source}:@3`)).hint).toBe(
      `choose with ${source}:@INDEX, INDEX one of: 0, 2`,
    );
    expect(await follow(`${source}:@3`)).toEqual([a.digest, b.digest]);
  });

  test("of platforms, leaving out those that lead nowhere", async () => {
    const bed = new Bed();
    const good = await bed.make("linux/arm64");
    const [one, two] = [await bed.make("linux/s390x"), await bed.make("linux/s390x")];
    const damaged = await bed.make("linux/riscv64");
    bed.files.set(`blobs/${damaged.digest.replace(":", "/")}`, Buffer.alloc(damaged.size, "x"));
    const artifact = await bed.make("linux/ppc64le");
    Object.assign(artifact, bed.json({ schemaVersion: 2 }, types.manifest));
    const source = bed.source([good, one, two, damaged, artifact]);
    expect((await refused(source, "linux/386")).hint).toBe("it has: linux/arm64");
    const led = await follow(source);
    expect(new Set(led)).toEqual(new Set([good, one, two].map(({ digest }) => digest)));
  });

  test("of a bare path and an archive name the transport", async () => {
    const bed = new Bed();
    const images = [named(await bed.make("x/y"), "a"), named(await bed.make("x/y"), "b")];
    const open = (source: string) => openSource(parseSource(source));
    const path = bed.source(images).slice("oci:".length);
    const archive = await bed.archive();
    for (const source of [path, archive, `oci-archive:${archive}`]) {
      const error = (await open(source).catch((reason: unknown) => reason)) as SealfsError;
      const choices = choicesOf(error.hint!, source);
      expect(choices).toHaveLength(2);
      for (const [i, [again]] of choices.entries()) {
        const image = await open(again);
        image.close();
        expect(image.manifestDigest).toBe(images[i]!.digest);
      }
    }
  });

  test("of standard input, once it is saved", async () => {
    const bed = new Bed();
    const images = [named(await bed.make("x/y"), "a"), named(await bed.make("x/y"), "b")];
    bed.source(images);
    const bytes = await bed.archiveBytes();
    const stdin = { stdin: Readable.from([bytes]) };
    const opening = openSource(parseSource("-"), stdin);
    const error = (await opening.catch((reason: unknown) => reason)) as SealfsError;
    expect(error.hint).toBe(
      "save it as FILE, and choose with oci-archive:FILE:TAG, TAG one of: a, b",
    );
    const file = join(scratchFolder(), "FILE");
    writeFileSync(file, bytes);
    for (const [again] of choicesOf(error.hint!, "-")) {
      (await openSource(parseSource(again.replace("FILE", file)))).close();
    }
  });
});

test("a hint names a platform where a name alone is not enough", async () => {
  const bed = new Bed();
  const [a, b] = [await bed.make("linux/arm64"), await bed.make("linux/s390x")];
  const source = bed.source([named(indexOf(bed, [a, b]), "multi"), named(b, "one")]);
  expect((await refused(`${source}:none`)).hint).toBe("it has: multi --platform linux/arm64, one");
  expect(await follow(`${source}:none`)).toEqual([a.digest, b.digest]);
});

test("an index may list as many entries as the limit, in all that is looked at", async () => {
  const bed = new Bed();
  const image = await bed.make("linux/arm64");
  const many = (count: number) =>
    indexOf(
      bed,
      Array.from({ length: count }, () => image),
    );
  const { indexEntries } = limits;
  expect(await choose(bed.source([many(indexEntries - 1)]))).toBe(image.digest);
  expect((await refused(bed.source([many(indexEntries)]))).code).toBe("LIMIT");
});
