import { execFileSync } from "node:child_process";
import {
  createReadStream,
  existsSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { ArchiveFiles } from "../../../src/oci/source/archive.ts";
import { openNamed, readFile, readRange } from "../../../src/oci/blob.ts";
import { fullName } from "../../../src/oci/image-name.ts";
import type { OciImage } from "../../../src/oci/image.ts";
import { readLayer } from "../../../src/oci/layer/layer.ts";
import { recogniseFile, recogniseFolder } from "../../../src/oci/source/recognise.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { openSource } from "../../../src/oci/source/open-source.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import { TestLayout, digestOf, layerTar, named, tar } from "../../support/oci.ts";
import { dockerArchive, put, under } from "../../support/image-archives.ts";
import { oracle } from "../../support/oracle.ts";
import { scratchFolder } from "../../support/scratch.ts";

const open = (source: string) => openSource(parseSource(source));

async function refusal(run: () => unknown): Promise<string> {
  try {
    await run();
    return "accepted";
  } catch (error) {
    if (error instanceof SealfsError) return `${error.name} ${error.code}`;
    throw error;
  }
}

function contents(image: OciImage): Uint8Array[] {
  return image.layers.map((layer) => {
    const blob = image.openBlob(layer);
    const bytes = readRange(blob, 1 << 28, layer.label);
    blob.close();
    return bytes;
  });
}

/** What a file or folder is recognised as. */
async function kindOf(path: string): Promise<string> {
  if (statSync(path).isDirectory()) {
    const found = recogniseFolder(path);
    return found.kind === "image" ? found.form : found.kind;
  }
  const found = await recogniseFile(openNamed(path), { label: path, path });
  if (found.kind === "image") found.files.close();
  else found.range.close();
  return found.kind === "image" ? found.form : found.kind;
}

type Entries = Parameters<typeof tar>[0];

async function write(entries: Entries, name = "archive.tar"): Promise<string> {
  const path = join(scratchFolder(), name);
  writeFileSync(path, await tar(entries));
  return path;
}

const config = (layers: readonly Uint8Array[]) =>
  JSON.stringify({
    os: "linux",
    architecture: "amd64",
    rootfs: {
      type: "layers",
      diff_ids: layers.map((layer) => digestOf(layer)),
    },
  });

describe("an archive as a set of files", () => {
  test("finds files of any size at their offsets without reading their content", async () => {
    const big = Buffer.alloc(3_000_001, "big");
    const path = await write([
      { name: "./a", content: "one" },
      { name: "empty", content: "" },
      { name: "dir/", type: "directory" },
      { name: "big", content: big },
      { name: "dir/b", content: "two" },
      { name: `${"long/".repeat(40)}name`, content: "three" },
    ]);
    const files = ArchiveFiles.open(openNamed(path), path);
    const read = (name: string) => Buffer.from(readFile(files, name, 1 << 24)).toString();
    expect(read("a")).toBe("one");
    expect(read("empty")).toBe("");
    expect(read("dir/b")).toBe("two");
    expect(read("big")).toBe(big.toString());
    expect(read(`${"long/".repeat(40)}name`)).toBe("three");
    expect(() => files.open("dir")).toThrow(/no dir in it/);
    files.close();
  });

  test("follows links inside the archive only, and not for ever", async () => {
    const link = (name: string, linkname: string) => ({
      name,
      linkname,
      type: "symlink" as const,
    });
    const path = await write([
      { name: "a/layer.tar", content: "data" },
      link("b/layer.tar", "../a/layer.tar"),
      link("c/layer.tar", "../b/layer.tar"),
      { name: "h", linkname: "a/layer.tar", type: "link" },
      link("out", "../../etc/passwd"),
      link("abs", "/etc/passwd"),
      link("x", "y"),
      link("y", "x"),
      link("gone", "nowhere"),
      { name: "fifo", type: "fifo" },
      { name: "twice", content: "1" },
      { name: "./twice", content: "2" },
      { name: "copied", content: "data" },
      { name: "/a/../copied", content: "data" },
      link("b/layer.tar", "../a/layer.tar"),
      link("gone", "elsewhere"),
    ]);
    const files = ArchiveFiles.open(openNamed(path), path);
    for (const name of ["a/layer.tar", "./b/layer.tar", "/c/layer.tar", "c/../h", "copied"]) {
      expect(Buffer.from(readFile(files, name, 100)).toString()).toBe("data");
    }
    expect(await refusal(() => files.open("out"))).toBe("FormatError MALFORMED");
    expect(await refusal(() => files.open("abs"))).toBe("FormatError MALFORMED");
    expect(await refusal(() => files.open("x"))).toBe("FormatError LIMIT");
    expect(await refusal(() => files.open("nothing"))).toBe("NotFoundError NO_FILE");
    expect(await refusal(() => files.open("../a/layer.tar"))).toBe("NotFoundError NO_FILE");
    expect(await refusal(() => files.open("fifo"))).toBe("IntegrityError WRONG_TYPE");
    expect(await refusal(() => files.open("twice"))).toBe("FormatError AMBIGUOUS");
    expect(await refusal(() => files.open("gone"))).toBe("FormatError AMBIGUOUS");
    files.close();
  });

  test("refuses an archive that is cut anywhere but between files", async () => {
    const bytes = await tar([
      { name: "a", content: Buffer.alloc(100_000) },
      { name: "b", content: "two" },
    ]);
    const path = join(scratchFolder(), "cut.tar");
    for (const length of [100, 512, 600, 90_000, 100_800, 101_000, 101_376, 101_380]) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(await refusal(() => ArchiveFiles.open(openNamed(path), path).close())).toBe(
        "FormatError TRUNCATED",
      );
    }
  });
});

describe("docker archives", () => {
  test("as skopeo and old docker save write them, with links between layers", async () => {
    const [one, two] = [await layerTar("one"), await layerTar("two")];
    const text = config([one, two, one]);
    const hex = digestOf(Buffer.from(text)).slice("sha256:".length);
    const manifest = [
      {
        Config: `${hex}.json`,
        RepoTags: ["busybox:latest"],
        Layers: ["1/layer.tar", "2.tar", "3/layer.tar"],
      },
    ];
    const path = await write([
      { name: "1/", type: "directory" },
      { name: "1/layer.tar", content: one },
      { name: "2.tar", content: gzipSync(two) },
      { name: "3/layer.tar", linkname: "../1/layer.tar", type: "symlink" },
      { name: `${hex}.json`, content: text },
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ]);
    expect(await kindOf(path)).toBe("docker");
    for (const source of [
      path,
      `docker-archive:${path}:busybox`,
      `docker-archive:${path}:docker.io/library/busybox`,
    ]) {
      const image = await open(source);
      expect(contents(image)).toEqual(
        [one, gzipSync(two), one].map((bytes) => new Uint8Array(bytes)),
      );
      expect(image.manifestDigest).toBeUndefined();
      expect(image.configDigest).toBe(`sha256:${hex}`);
      expect(image.layers.map(({ diffId }) => diffId)).toEqual(
        [one, two, one].map((layer) => digestOf(layer)),
      );
      image.close();
    }
    expect(await refusal(() => open(`docker-archive:${path}:busybox:1`))).toBe(
      "NotFoundError NO_REF",
    );
  });

  test("with several images, by tag or position", async () => {
    const layer = await layerTar("one");
    const image = (name: string, tags: string[] | null) => ({
      Config: name,
      RepoTags: tags,
      Layers: ["l.tar"],
    });
    const path = await write([
      { name: "l.tar", content: layer },
      { name: "a.json", content: config([layer]) },
      { name: "b.json", content: `${config([layer])} ` },
      {
        name: "manifest.json",
        content: JSON.stringify([image("a.json", ["x/a:1", "x/a:2"]), image("b.json", null)]),
      },
    ]);
    const idOf = async (choice: string) => {
      const opened = await open(`docker-archive:${path}${choice}`);
      opened.close();
      return opened.configDigest;
    };
    expect(await idOf(":x/a:2")).toBe(digestOf(Buffer.from(config([layer]))));
    expect(await idOf(":@0")).toBe(await idOf(":x/a:1"));
    expect(await idOf(":@1")).toBe(digestOf(Buffer.from(`${config([layer])} `)));
    expect(await refusal(() => idOf(""))).toBe("FormatError AMBIGUOUS");
    expect(await refusal(() => idOf(":@2"))).toBe("NotFoundError NO_REF");
  });

  test("as crane writes them, with a configuration named by its digest", async () => {
    const layer = await layerTar("crane");
    const id = digestOf(Buffer.from(config([layer])));
    const manifest = [{ Config: id, RepoTags: ["a/b:c"], Layers: ["layer.tar.gz"] }];
    const path = await write([
      { name: id, content: config([layer]) },
      { name: "layer.tar.gz", content: gzipSync(layer) },
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ]);
    for (const choice of ["", ":a/b:c", `@${id}`]) {
      const image = await open(`docker-archive:${path}${choice}`);
      const report = await readLayer(image, image.layers[0]!, () => {});
      expect(report.diffId).toBe(digestOf(layer));
      image.close();
    }
    expect(await refusal(() => open(`docker-archive:${path}@${digestOf(layer)}`))).toBe(
      "NotFoundError NO_REF",
    );
  });

  test("whose configuration is not what its name says, or has another number of layers", async () => {
    const layer = await layerTar("one");
    const make = (name: string, text: string, layers: string[]) =>
      write([
        { name: "l.tar", content: layer },
        { name, content: text },
        {
          name: "manifest.json",
          content: JSON.stringify([{ Config: name, RepoTags: null, Layers: layers }]),
        },
      ]);
    const wrong = await make(`${"0".repeat(64)}.json`, config([layer]), ["l.tar"]);
    expect(await refusal(() => open(wrong))).toBe("IntegrityError DIGEST_MISMATCH");
    const short = await make("c.json", config([layer, layer]), ["l.tar"]);
    expect(await refusal(() => open(short))).toBe("FormatError MALFORMED");
    const gone = await make("c.json", config([layer]), ["none.tar"]);
    expect(await refusal(() => open(gone))).toBe("NotFoundError NO_FILE");
    const outside = await make("c.json", config([layer]), ["../../etc/passwd"]);
    expect(await refusal(() => open(outside))).toBe("NotFoundError NO_FILE");
  });

  test("names are completed as docker completes them", () => {
    expect(fullName("busybox")).toBe("docker.io/library/busybox:latest");
    expect(fullName("a/b:c")).toBe("docker.io/a/b:c");
    expect(fullName("localhost/a")).toBe("localhost/a:latest");
    expect(fullName("host:5000/a")).toBe("host:5000/a:latest");
    expect(fullName("quay.io/a/b:1")).toBe("quay.io/a/b:1");
    expect(fullName("index.docker.io/a/b")).toBe("docker.io/a/b:latest");
  });
});

describe("a bare path and standard input", () => {
  test("are recognised by what is there", async () => {
    const folder = scratchFolder();
    const layer = await layerTar("one");
    const put = (name: string, bytes: Uint8Array | string) => {
      writeFileSync(join(folder, name), bytes);
      return kindOf(join(folder, name));
    };
    const layout = new TestLayout();
    layout.index([named(layout.image([layer]), "latest")]);
    expect(await put("image", await layout.archiveBytes())).toBe("oci");
    expect(await put("layer", layer)).toBe("tar");
    expect(await put("layer.gz", gzipSync(layer))).toBe("tar");
    expect(await refusal(() => put("empty-layer", Buffer.alloc(1024)))).toBe(
      "FormatError UNSUPPORTED",
    );
    expect(await put("tree", "/ 4096 40755 2 0 0 0 0.0 - - -\n")).toBe("dump");
    expect(await put("rootfs", await tar([{ name: "manifest.json", content: "{}" }]))).toBe("tar");
    expect(await kindOf(folder)).toBe("dir");
    expect(await kindOf(layout.directory())).toBe("oci");
    expect(await refusal(() => put("text", "hello"))).toBe("FormatError BAD_MAGIC");
    expect(await refusal(() => put("none", ""))).toBe("FormatError BAD_MAGIC");
  });

  test("an archive on a pipe, on a redirected file, and a layer tar, leave no file behind", async () => {
    const layer = await layerTar("piped");
    const layout = new TestLayout();
    layout.index([layout.image([layer])]);
    const path = await layout.archive();
    const folder = scratchFolder();
    const before = process.env["TMPDIR"];
    process.env["TMPDIR"] = folder;
    try {
      const bytes = await layout.archiveBytes();
      const pieces = Array.from({ length: 20 }, (_, i) =>
        bytes.subarray((bytes.length * i) / 20, (bytes.length * (i + 1)) / 20),
      );
      const inputs = [Readable.from(pieces), createReadStream(path, { fd: openSync(path, "r") })];
      for (const stdin of inputs) {
        const image = await openSource({ transport: "stdin" }, { stdin });
        expect(contents(image)).toEqual([new Uint8Array(gzipSync(layer))]);
        expect(readdirSync(folder)).toEqual([]);
        image.close();
      }
      const image = await openSource({ transport: "stdin" }, { stdin: Readable.from([layer]) });
      expect(contents(image)).toEqual([new Uint8Array(layer)]);
      image.close();
      expect(
        await refusal(() => openSource({ transport: "stdin" }, { stdin: Readable.from(["x"]) })),
      ).toBe("FormatError BAD_MAGIC");
    } finally {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
    }
  });
});

/** Whether a layer has a sparse file in it. */
function hasSparse(layer: Uint8Array): boolean {
  let found = false;
  const parser = new TarParser({
    entry(entry) {
      found ||= entry.segments !== undefined;
      return undefined;
    },
  });
  parser.write(layer);
  return found;
}

const bed = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "sealfs-bed",
  "images",
);

describe("images by other tools", () => {
  const images = ["busybox", "odd", "minbase"].filter((name) => existsSync(join(bed, name)));

  test.runIf(images.length > 0)(
    "the same image in every form has the same diffIDs (test bed)",
    async () => {
      for (const name of images) {
        const forms = [
          "none",
          "gzip",
          "zstd",
          "zstdchunked",
          `${name}-gzip.oci.tar`,
          `${name}.docker.tar`,
        ];
        const ids = new Map<string, readonly string[]>();
        for (const form of forms) {
          const path = join(bed, name, form);
          if (!existsSync(path)) continue;
          const image = await open(path);
          ids.set(
            form,
            image.layers.map(({ diffId }) => diffId!),
          );
          for (const layer of image.layers) image.openBlob(layer).close();
          image.close();
        }
        expect(ids.size).toBeGreaterThan(2);
        for (const list of ids.values()) expect(list).toEqual(ids.get("none"));
      }
    },
  );

  test.runIf(images.length > 0)(
    "every layer of them is read, in whatever form (test bed)",
    async () => {
      for (const name of images.filter((image) => image !== "minbase" || process.env["SLOW"])) {
        const plain = await open(join(bed, name, "none"));
        const sparse = contents(plain).flatMap((layer, at) => (hasSparse(layer) ? [at] : []));
        plain.close();
        for (const form of readdirSync(join(bed, name))) {
          const image = await open(join(bed, name, form));
          const wrong: number[] = [];
          for (const [at, layer] of image.layers.entries()) {
            let bytes = 0;
            const result = await refusal(async () => {
              const report = await readLayer(image, layer, (chunk) => (bytes += chunk.length));
              expect(report).toMatchObject({ bytes, diffId: layer.diffId });
            });
            if (result === "accepted") continue;
            expect(result).toBe("IntegrityError DIGEST_MISMATCH");
            wrong.push(at);
          }
          image.close();
          // In this conversion skopeo expands sparse files and leaves the diffIDs as they were.
          expect(wrong).toEqual(form === "zstdchunked" ? sparse : []);
        }
      }
    },
  );

  test.runIf(oracle("skopeo"))(
    "skopeo reads our notation as we do, and we read what it writes",
    async () => {
      const folder = scratchFolder();
      const layout = new TestLayout();
      const layer = await tar([
        { name: "etc/", type: "directory" },
        { name: "etc/a", content: "one" },
      ]);
      layout.index([named(layout.image([layer]), "host:5000/a/b:1.0")]);
      const from = `oci:${layout.directory()}:host:5000/a/b:1.0`;
      for (const to of [
        `oci:${folder}/layout:x:y`,
        `oci-archive:${folder}/oci.tar:x:y`,
        `docker-archive:${folder}/docker.tar:a/b:tag`,
      ]) {
        execFileSync(oracle("skopeo")!, ["copy", "-q", "--insecure-policy", from, to]);
        const image = await open(to);
        expect(image.layers.map(({ diffId }) => diffId)).toEqual([digestOf(layer)]);
        image.close();
      }
      const to = `${folder}/skopeo`;
      execFileSync(oracle("skopeo")!, ["copy", "-q", "--insecure-policy", from, `dir:${to}`]);
      const image = await open(to);
      expect(image.layers.map(({ diffId }) => diffId)).toEqual([digestOf(layer)]);
      image.close();
    },
  );

  test.runIf(oracle("skopeo"))(
    "skopeo reads the compressed archives and the names that we read",
    async () => {
      const layer = await layerTar("one", "usr/one");
      const layout = new TestLayout();
      layout.index([named(layout.image([layer]), "t")]).files.delete("oci-layout");
      const file = (hex: string) => `${hex}.tar`;
      const names = {
        layerName: file,
        layerEntry: (hex: string) => `./a/../${file(hex)}`,
      };
      const slash = { layerName: (hex: string) => `/${file(hex)}` };
      const twice = [...dockerArchive([layer]), ...under("./", dockerArchive([layer]))];
      const sources = [
        `oci:${layout.directory()}:t`,
        `oci-archive:${put(gzipSync(await layout.archiveBytes()))}:t`,
        `docker-archive:${put(gzipSync(gzipSync(await tar(twice))))}`,
        `docker-archive:${put(await tar(dockerArchive([layer], slash)))}`,
        `docker-archive:${put(await tar(dockerArchive([layer], names)))}`,
      ];
      for (const source of sources) {
        const to = `oci:${scratchFolder()}/copy:t`;
        execFileSync(oracle("skopeo")!, ["copy", "-q", "--insecure-policy", source, to]);
        for (const image of [await open(source), await open(to)]) {
          expect(image.layers.map(({ diffId }) => diffId)).toEqual([digestOf(layer)]);
          image.close();
        }
      }
    },
  );
});

describe("hints about a Docker archive, followed, work", () => {
  async function archiveOf(tags: readonly (readonly string[] | null)[]) {
    const layer = await layerTar("one");
    const config = (i: number) =>
      JSON.stringify({
        os: "linux",
        architecture: "amd64",
        author: `nobody ${i}`,
        rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
      });
    const path = join(scratchFolder(), "images.tar");
    const manifest = tags.map((RepoTags, i) => ({
      Config: `${i}.json`,
      RepoTags,
      Layers: ["l"],
    }));
    const bytes = await tar([
      ...tags.map((_, i) => ({ name: `${i}.json`, content: config(i) })),
      { name: "l", content: layer },
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ]);
    writeFileSync(path, bytes);
    return { path, ids: tags.map((_, i) => digestOf(Buffer.from(config(i)))) };
  }
  const hintOf = async (source: string, stdin?: Readable) => {
    const opening = openSource(parseSource(source), stdin === undefined ? {} : { stdin });
    const error = (await opening.catch((reason: unknown) => reason)) as SealfsError;
    return error.hint ?? String(error);
  };

  test.each([
    ["names", [["a:1"], ["b:1", "b:2"]]],
    ["positions, where some have no name", [["a:1"], null]],
    ["positions, where two have one name", [["a:1"], ["a:1"]]],
  ])("by %s", async (_, tags) => {
    const { path, ids } = await archiveOf(tags);
    const sources = [path, `docker-archive:${path}`, `docker-archive:${path}:none`];
    for (const source of [...sources, `docker-archive:${path}:@7`, "-"]) {
      const hint = await hintOf(source, createReadStream(path));
      const [, first, before, list] =
        /^(save it as FILE, and )?choose with (.*:@?)(?:TAG|INDEX), \w+ one of: (.*)$/.exec(hint)!;
      expect(first !== undefined).toBe(source === "-");
      const led = [];
      for (const choice of list!.split(", ")) {
        const image = await open(`${before!.replace(/:FILE:/, `:${path}:`)}${choice}`);
        image.close();
        led.push(image.configDigest);
      }
      expect([...new Set(led)]).toEqual(ids);
    }
  });
});
