/** Building into a store: what is published, what is refused, and that nothing is left behind. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { readTree } from "../../../src/erofs/tree.ts";
import { SystemError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { layerBound } from "../../../src/oci/codec/decode.ts";
import { buildImage } from "../../../src/build/build-image.ts";
import type { BuildOptions } from "../../../src/build/build-options.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { fanOut } from "../../../src/store/layout.ts";
import { Store } from "../../../src/store/store.ts";
import { Inode } from "../../../src/tree/inode.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { listing } from "../../support/layers.ts";
import { TestLayout, digestOf, tar } from "../../support/oci.ts";
import { oracle } from "../../support/oracle.ts";
import { archive, member, pax } from "../../support/tar.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

const small = "0123456789".repeat(6);
const medium = Buffer.from("medium content ".repeat(1000));
const large = Buffer.alloc(1_600_000, "large content, cut by chunks");

const newStore = (options: Parameters<typeof Store.create>[1] = {}) =>
  Store.create(join(scratchFolder(), "store"), options);

const build = (source: string, store: Store, options: Partial<BuildOptions> = {}) =>
  buildImage(parseSource(source), { store, name: "app", durability: "none", ...options });

/** A layout with one image of these layers. */
const layoutOf = (...layers: readonly Buffer[]) => {
  const layout = new TestLayout();
  return layout.index([layout.image(layers)]).directory();
};

const base = () =>
  tar([
    { name: "etc/", type: "directory", mode: 0o755 },
    { name: "etc/small", content: small },
    { name: "etc/medium", content: medium },
    { name: "etc/empty", content: "" },
    { name: "etc/hidden", content: Buffer.from("covered by the next layer ".repeat(9)) },
    { name: "etc/large", content: large },
    { name: "etc/again", content: medium },
  ]);
const upper = () =>
  tar([
    { name: "etc/.wh.hidden", content: "" },
    { name: "etc/upper", content: Buffer.from("upper ".repeat(100)) },
  ]);

function objectNames(store: Store): string[] {
  return fanOut.flatMap((fan) =>
    readdirSync(join(store.path, "objects", fan)).map((rest) => fan + rest),
  );
}

function expectUntouched(store: Store): void {
  expect(objectNames(store)).toEqual([]);
  expect(store.images.list()).toEqual([]);
  expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
}

describe("large objects", () => {
  test.each(["dir", "layers"])(
    "of %s have their leaf hashes in the store, small ones none",
    async (kind) => {
      const store = newStore();
      const folder = scratchFolder();
      writeFileSync(join(folder, "large"), large);
      writeFileSync(join(folder, "medium"), medium);
      await build(kind === "dir" ? `dir:${folder}` : `oci:${layoutOf(await base())}`, store);
      const { digest, leaves } = leavesOf(large);
      expect(store.readLeaves(digest)).toEqual(leaves);
      expect(store.readLeaves(verityDigestOf(medium))).toBeUndefined();
      expect(readdirSync(join(store.path, "verity"))).toEqual([digest.slice(0, 2)]);
    },
  );
});

describe("names that would be whiteouts in a layer are refused", () => {
  test.each([".wh.x", ".wh..wh..opq", "below/.wh.x"])("dir: %s", async (name) => {
    const store = newStore();
    const folder = scratchFolder();
    mkdirSync(join(folder, "below"));
    writeFileSync(join(folder, name), medium);
    await expect(build(`dir:${folder}`, store)).rejects.toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringMatching(/\.wh\./) }),
    );
    expectUntouched(store);
  });

  test("dump:", async () => {
    const store = newStore();
    const file = join(scratchFolder(), "dump");
    writeFileSync(file, "/ 4096 40755 2 0 0 0 1.0 - - -\n/.wh.x 1 100644 1 0 0 0 1.0 - x -\n");
    await expect(build(`dump:${file}`, store)).rejects.toThrow(/the name of a whiteout/);
    expectUntouched(store);
  });
});

describe("an OCI layout", () => {
  test("becomes an image and those objects that it refers to", async () => {
    const store = newStore();
    const source = layoutOf(await base(), await upper());
    const result = await build(`oci:${source}`, store);

    const upperDigest = verityDigestOf(Buffer.from("upper ".repeat(100)));
    const objects = [verityDigestOf(medium), verityDigestOf(large), upperDigest];
    expect(objectNames(store).sort()).toEqual([...objects, result.digest].sort());
    expect(result.objects).toEqual({
      count: 3,
      bytes: medium.length + large.length + 600,
      new: 4,
      replaced: 0,
    });
    for (const name of objectNames(store)) store.objects.verify(name as VerityDigest);
    expect(store.images.resolve("app")).toBe(result.digest);
    expect(Buffer.from(store.readImage(result.digest))).toEqual(Buffer.from(result.bytes));
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
    expect(result.profile).toBe("oci-v1");
    expect(result.layers).toHaveLength(2);
    expect(result.manifestDigest).toMatch(/^sha256:/);

    const etc = readTree(Image.open(result.bytes)).entries.get(ascii("etc")) as Inode;
    expect([...etc.entries!.keys()].sort()).toEqual([
      "again",
      "empty",
      "large",
      "medium",
      "small",
      "upper",
    ]);
    const inline = etc.entries!.get(ascii("small")) as Inode;
    expect(Buffer.from(inline.content!).toString()).toBe(small);
  });

  test("gives the same bytes again, in any store", async () => {
    const source = layoutOf(await base(), await upper());
    const store = newStore();
    const first = await build(source, store);
    const second = await build(source, store);
    const third = await build(source, newStore());
    expect(Buffer.compare(second.bytes, first.bytes)).toBe(0);
    expect(Buffer.compare(third.bytes, first.bytes)).toBe(0);
    expect(second.objects).toMatchObject({ count: 3, new: 0 });
  });

  test("gives objects named by SHA-512 in a store of that algorithm", async () => {
    const store = newStore({ algorithm: "sha512" });
    const result = await build(layoutOf(await base()), store);
    expect(result.digest).toHaveLength(128);
    expect(objectNames(store)).toContain(verityDigestOf(medium, "sha512"));
  });

  test("publishes nothing when a layer is not the one of its diffID", async () => {
    const layers = [await base(), await upper()];
    const layout = new TestLayout();
    const config = {
      rootfs: { type: "layers", diff_ids: [digestOf(layers[0]!), digestOf(Buffer.from("other"))] },
    };
    const source = layout.index([layout.image(layers, { config })]).directory();
    const store = newStore();
    await expect(build(source, store)).rejects.toMatchObject({
      name: "IntegrityError",
      code: "DIGEST_MISMATCH",
    });
    expectUntouched(store);
  });

  test.each([
    ["one byte differs", (bytes: Buffer) => bytes.fill(bytes[200]! ^ 1, 200, 201)],
    ["its end is missing", (bytes: Buffer) => bytes.subarray(0, -20)],
  ])("publishes nothing when of a layer's blob %s", async (_, spoil) => {
    const source = layoutOf(await base());
    const blobs = join(source, "blobs/sha256");
    const blob = readdirSync(blobs)
      .map((name) => join(blobs, name))
      .sort((a, b) => statSync(b).size - statSync(a).size)[0]!;
    writeFileSync(blob, spoil(readFileSync(blob)));
    const store = newStore();
    await expect(build(source, store)).rejects.toThrow();
    expectUntouched(store);
  });

  test("publishes nothing when the profile refuses an entry", async () => {
    const source = layoutOf(await tar([{ name: "a/../../x", content: medium }]));
    const store = newStore();
    await expect(build(source, store)).rejects.toMatchObject({ name: "FormatError" });
    expectUntouched(store);
  });

  test("whose layers go through symlinks is built with a warning, and when strict refused", async () => {
    const usrmerge = await tar([
      { name: "usr/lib/", type: "directory", mode: 0o755 },
      { name: "lib", type: "symlink", linkname: "usr/lib", mode: 0o777 },
    ]);
    const above = await tar([
      { name: ".wh..wh.plnk/1.2", content: large },
      { name: "lib/medium", content: medium },
      { name: "lib/large", type: "link", linkname: ".wh..wh.plnk/1.2" },
      { name: "also", type: "link", linkname: "lib/large" },
    ]);
    const source = `oci:${layoutOf(usrmerge, above)}`;
    const store = newStore();
    const { bytes, warnings, seekIndex } = await build(source, store);
    expect(seekIndex).toBeDefined();
    expect(warnings).toEqual([
      expect.stringMatching(/skipped 1 leftovers of AUFS$/),
      expect.stringMatching(
        /entry "lib\/medium" .* symlink at "lib" to "usr\/lib".* \(3 such in all\)$/,
      ),
    ]);
    const tree = readTree(Image.open(bytes));
    expect(listing(tree)).toEqual([
      `also = ${verityDigestOf(large)}`,
      "lib -> usr/lib",
      "usr/",
      "usr/lib/",
      "usr/lib/large => also",
      `usr/lib/medium = ${verityDigestOf(medium)}`,
    ]);
    const through = await tar([{ name: "lib/medium", content: medium }]);
    const refusals = [
      [source, "leftovers, strict", "without --strict it is skipped"],
      [
        `oci:${layoutOf(usrmerge, through)}`,
        "symlinks, strict",
        "without --strict it is followed inside the root",
      ],
    ] as const;
    for (const [refused, rule, hint] of refusals) {
      const message = expect.stringContaining(rule);
      await expect(build(refused, newStore(), { strict: true })).rejects.toThrow(
        expect.objectContaining({ code: "AMBIGUOUS", message, hint }),
      );
    }
  });

  test("publishes nothing when the archive in a layer ends early", async () => {
    const source = layoutOf((await base()).subarray(0, 300_000));
    const store = newStore();
    await expect(build(source, store)).rejects.toMatchObject({
      name: "FormatError",
      code: "TRUNCATED",
      message: expect.stringContaining("layer 1"),
    });
    expectUntouched(store);
  });

  test("publishes nothing when it is interrupted", async () => {
    const store = newStore();
    const controller = new AbortController();
    const building = build(layoutOf(await base()), store, {
      signal: controller.signal,
      onProgress: () => controller.abort(new SystemError("INTERRUPTED", "ended")),
    });
    await expect(building).rejects.toMatchObject({ code: "INTERRUPTED" });
    expectUntouched(store);
  });

  test("reports its progress in bytes of the blobs", async () => {
    const seen: [number, number][] = [];
    const layout = new TestLayout();
    const manifest = layout.image([await base(), await upper()]);
    const onProgress = (done: number, total: number) => void seen.push([done, total]);
    await build(layout.index([manifest]).directory(), newStore(), { onProgress });
    const [done, total] = seen.at(-1)!;
    expect(done).toBe(total);
    expect(seen.every(([, each]) => each === total)).toBe(true);
  });

  test("is compared under every profile when asked for", async () => {
    const result = await build(layoutOf(await base()), newStore(), { compareProfiles: true });
    expect(result.profiles).toEqual([
      { profile: "oci-v1", digest: result.digest },
      { profile: "composefs-oci-v1", refused: expect.stringContaining("/usr") },
    ]);
  });

  test("hands the signer the image and where it came from, and stores the bundle with it", async () => {
    const store = newStore();
    const source = layoutOf(await base());
    const result = await build(source, store, {
      sign: (built) => [
        {
          keyId: "SHA256:key",
          name: "app",
          bytes: Buffer.from(JSON.stringify([built.profile, built.source, built.bytes.length])),
        },
      ],
    });
    const [bundle] = store.readBundles(result.digest);
    expect(JSON.parse(Buffer.from(bundle!.bytes).toString())).toEqual([
      "oci-v1",
      { mediaType: expect.stringContaining("manifest"), digest: result.manifestDigest },
      result.size,
    ]);
  });

  test.each(["foo", "system.nfs4_acl", "com.apple.provenance", "user.", "trusted"])(
    "signed, names the file that has the xattr %s, which the kernel does not show",
    async (key) => {
      const layer = await tar([
        { name: "d/", type: "directory", mode: 0o755 },
        { name: "d/x", content: medium, pax: { [`SCHILY.xattr.${key}`]: "v" } },
        { name: "d/y", content: medium, pax: { "SCHILY.xattr.user.a": "v" } },
      ]);
      const source = layoutOf(layer);
      const store = newStore();
      const signed = build(source, store, { sign: () => expect.unreachable() });
      await expect(signed).rejects.toMatchObject({
        name: "FormatError",
        code: "UNSUPPORTED",
        message: expect.stringContaining(`/d/x: xattr "${key}": expected one of user.`),
        hint: "remove the attribute from the source, or build without --key",
      });
      expectUntouched(store);
      // What the hint says to do.
      await expect(build(source, newStore())).resolves.toMatchObject({ profile: "oci-v1" });
    },
  );
});

describe("layer tars", () => {
  test("are layers in the order given, without a manifest", async () => {
    const folder = scratchFolder();
    const paths = [join(folder, "base.tar"), join(folder, "upper.tar")];
    writeFileSync(paths[0]!, await base());
    writeFileSync(paths[1]!, await upper());
    const store = newStore();
    const result = await build(`tar:${paths.join(",")}`, store);
    const asImage = await build(layoutOf(await base(), await upper()), newStore());
    expect(result.digest).toBe(asImage.digest);
    expect(result.manifestDigest).toBeUndefined();
  });
});

describe("layers of zeros", () => {
  const size = 64 * 1024 * 1024;
  const content = Buffer.alloc(size);
  content.fill("first", 0, 4096);
  content.fill("last", 40 * 4096, 41 * 4096);

  /** The file as a sparse entry with the two blocks that are not zeros. */
  const sparse = (realSize = size) => {
    const map = `3\n0\n4096\n${40 * 4096}\n4096\n${realSize}\n0\n`.padEnd(512, "\0");
    const stored = Buffer.concat([
      content.subarray(0, 4096),
      content.subarray(40 * 4096, 41 * 4096),
    ]);
    return archive(
      pax({
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "log",
        "GNU.sparse.realsize": String(realSize),
      }),
      member({ name: "GNUSparseFile.0/log" }, Buffer.concat([Buffer.from(map), stored])),
    );
  };
  const layers: Record<string, () => Buffer> = {
    sparse: () => Buffer.from(sparse()),
    gzip: () => gzipSync(archive(member({ name: "log" }, content))),
  };

  test.each(["sparse", "gzip"])("(%s) become objects with holes", async (kind) => {
    const store = newStore();
    const file = join(scratchFolder(), "layer.tar");
    writeFileSync(file, layers[kind]!());
    await build(`tar:${file}`, store, { maxLayerBytes: size + 8192 });
    const name = verityDigestOf(content);
    const path = store.objects.path(name);
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).blocks * 512).toBeLessThanOrEqual(3 * 4096);
    await expect(build(`tar:${file}`, newStore(), { maxLayerBytes: size })).rejects.toMatchObject({
      code: "LIMIT",
      hint: expect.stringContaining("--max-layer-size"),
    });
  });

  test("are bounded by bytes, not by what their blobs have, and sparse entries as well", async () => {
    const file = join(scratchFolder(), "layer.tar");
    writeFileSync(file, sparse(6 * 1024 ** 3));
    const store = newStore();
    await expect(build(`tar:${file}`, store)).rejects.toMatchObject({ code: "LIMIT" });
    expectUntouched(store);
    expect(layerBound(10_000)).toBe(limits.layerFloor);
    expect(layerBound(1024 ** 3)).toBe(limits.layerBytes);
    expect(layerBound(100_000_000)).toBe(100_000_000 * limits.layerRatio);
    expect(layerBound(10_000, 5)).toBe(5);
  });
});

describe("a directory", () => {
  const makeFolder = () => {
    const folder = join(scratchFolder(), "root");
    mkdirSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "small"), small);
    writeFileSync(join(folder, "sub/medium"), medium);
    writeFileSync(join(folder, "sub/large"), large);
    writeFileSync(join(folder, "empty"), "");
    symlinkSync("sub/medium", join(folder, "link"));
    return folder;
  };
  const mkcomposefs = oracle("mkcomposefs");

  test.skipIf(mkcomposefs === undefined)(
    "gives the image of mkcomposefs, and objects that both use (skipped without mkcomposefs)",
    async () => {
      const folder = makeFolder();
      const store = newStore();
      const image = join(scratchFolder(), "image");
      // mkcomposefs fills the store first; what it has put there is found and kept.
      execFileSync(mkcomposefs!, [`--digest-store=${store.objects.directory}`, folder, image]);
      const before = objectNames(store).map(
        (name) => statSync(store.objects.path(name as VerityDigest)).ino,
      );
      const result = await build(`dir:${folder}`, store);
      expect(Buffer.compare(result.bytes, readFileSync(image))).toBe(0);
      expect(result.objects).toMatchObject({ count: 2, new: 1 });
      const after = objectNames(store)
        .filter((name) => name !== result.digest)
        .map((name) => statSync(store.objects.path(name as VerityDigest)).ino);
      expect(after).toEqual(before);
    },
  );

  test("keeps the names of one file together", async () => {
    const folder = makeFolder();
    execFileSync("ln", [join(folder, "sub/medium"), join(folder, "second-name")]);
    const result = await build(`dir:${folder}`, newStore());
    const image = Image.open(result.bytes);
    const root = image.inode(image.rootNid);
    const nid = image.lookup(root, ascii("second-name"))!.nid;
    const sub = image.inode(image.lookup(root, ascii("sub"))!.nid);
    expect(image.lookup(sub, ascii("medium"))!.nid).toBe(nid);
    expect(image.inode(nid).nlink).toBe(2);
  });

  test("has no profile", async () => {
    const options = { profile: "oci-v1" as const };
    await expect(build(`dir:${makeFolder()}`, newStore(), options)).rejects.toMatchObject({
      name: "UsageError",
    });
  });
});

describe("a dump file", () => {
  const digest = verityDigestOf(medium);
  const dumpFile = () => {
    const path = join(scratchFolder(), "dump");
    const line = `/file ${medium.length} 100644 1 0 0 0 0.0 ${digest.slice(0, 2)}/${digest.slice(2)} - ${digest}\n`;
    writeFileSync(path, `/ 0 40755 2 0 0 0 0.0 - - -\n${line}`);
    return `dump:${path}`;
  };

  test("is refused when the store lacks its objects, unless that is allowed", async () => {
    const store = newStore();
    await expect(build(dumpFile(), store)).rejects.toMatchObject({ code: "NO_OBJECT" });
    expectUntouched(store);
    const result = await build(dumpFile(), store, { allowMissing: true });
    expect(result.objects).toMatchObject({ count: 1, new: 1 });
  });

  test("is refused when an object of the store is damaged", async () => {
    const store = newStore();
    writeFileSync(store.objects.path(digest), "damaged");
    await expect(build(dumpFile(), store)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    writeFileSync(store.objects.path(digest), medium);
    await build(dumpFile(), store);
    expect(existsSync(store.objects.path(digest))).toBe(true);
  });
});

test("a damaged object is replaced by building again", async () => {
  const store = newStore();
  const source = layoutOf(await base());
  await build(source, store);
  const path = store.objects.path(verityDigestOf(large));
  execFileSync("chmod", ["u+w", path]);
  writeFileSync(path, "");
  const result = await build(source, store);
  expect(result.objects).toMatchObject({ new: 1, replaced: 1 });
  store.objects.verify(verityDigestOf(large));
});
