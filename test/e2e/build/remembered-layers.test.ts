/**
 * Building from what a store remembers (docs/store.md, "Remembered layers"): the same as from the
 * layers, without reading them; and reading them where memory does not say enough.
 */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { buildImage, buildImages } from "../../../src/build/build-image.ts";
import type { BuildOptions, BuildResult } from "../../../src/build/build-options.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { collectGarbage } from "../../../src/store/gc/gc.ts";
import { LayerFileHeader } from "../../../src/store/layers/layer-file.ts";
import { blobName, entriesName, imageLayersName } from "../../../src/store/layers/layer-names.ts";
import { removeNames } from "../../../src/store/remove-name.ts";
import { seekIndexPath } from "../../../src/store/seek-indexes.ts";
import { Store } from "../../../src/store/store.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { dockerArchive } from "../../support/image-archives.ts";
import { TestLayout, digestOf, tar, types } from "../../support/oci.ts";
import { type LayerOperation, membersOf, randomLayers } from "../../support/random-layers.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { damage, objectsIn } from "../../support/store.ts";
import { archive, member, pax, paxRecord } from "../../support/tar.ts";
import { alice } from "../../support/trust.ts";

const text = (of: string) => Buffer.from(`${of} `.repeat(100));
/** Larger than what is hashed in one piece. */
const large = Buffer.alloc(400_000, "large content, ");
/** A layer that reading warns of. */
const odd = () =>
  Buffer.from(
    archive(
      pax(paxRecord("size", "5")),
      Buffer.concat([member({ name: "odd", size: 6 }, "12345")]),
    ),
  );
const sparse = () => {
  const records = {
    "GNU.sparse.major": "0",
    "GNU.sparse.minor": "1",
    "GNU.sparse.name": "sparse",
    "GNU.sparse.size": "1000000",
    "GNU.sparse.map": "0,512,999488,512",
    "GNU.sparse.numblocks": "2",
  };
  return Buffer.from(archive(pax(records), member({ name: "x" }, Buffer.alloc(1024, "data"))));
};

let base: Buffer;
let upper: Buffer;
let store: Store;

beforeEach(async () => {
  base = await tar([
    { name: "usr/", type: "directory", mode: 0o755 },
    { name: "etc/", type: "directory", mode: 0o755 },
    { name: "etc/small", content: "small" },
    { name: "etc/text", content: text("text") },
    { name: "etc/hidden", content: text("hidden") },
    { name: "etc/large", content: large },
  ]);
  upper = await tar([
    { name: "etc/.wh.hidden", content: "" },
    { name: "etc/upper", content: text("upper") },
  ]);
  store = newStore();
});

// Whatever is done to its rights: root writes to it all the same.
const newStore = () => Store.create(join(scratchFolder(), "store"), { foreignOwner: true });

/** A layout of one image, and where its parts lie. */
class Bed {
  readonly layout = new TestLayout();
  readonly path: string;

  constructor(layers: readonly Uint8Array[], patch: object = {}) {
    this.path = this.layout.index([this.layout.image(layers, patch)]).directory();
  }

  get source(): string {
    return `oci:${this.path}`;
  }

  /** Makes the layers' blobs unreadable, all or those of these layers: whoever reads one fails. */
  spoil(...layers: readonly Uint8Array[]): this {
    const doomed = layers.map((layer) => digestOf(gzipSync(layer)).replace(":", "/"));
    const folder = join(this.path, "blobs/sha256");
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      const isLayer = readFileSync(file)[0] === 0x1f;
      const isMeant = doomed.length === 0 || doomed.some((each) => file.endsWith(each));
      if (isLayer && isMeant) rmSync(file);
    }
    return this;
  }
}

const build = (source: string | Bed, options: Partial<BuildOptions> = {}) =>
  buildImage(parseSource(typeof source === "string" ? source : source.source), {
    store,
    name: "app",
    durability: "none",
    ...options,
  });

/** All that must not depend on what was remembered. */
const made = ({ objects: { count, bytes }, ...result }: BuildResult) => ({
  ...result,
  objects: { count, bytes },
  layersRemembered: undefined,
});

const seekIndexOf = ({ digest, seekIndex }: BuildResult, of = store) =>
  seekIndex && readFileSync(join(of.path, seekIndexPath(digest, seekIndex)));

describe("an image whose layers are known", () => {
  test("is built again without a blob, the same with all that belongs to it", async () => {
    const bed = new Bed([base, odd(), sparse(), upper]);
    const first = await build(bed);
    expect(first.layersRemembered).toBe(0);
    expect(first.warnings).toHaveLength(1);
    const again = await build(bed.spoil());
    expect(again.layersRemembered).toBe(4);
    expect(made(again)).toEqual(made(first));
    expect(again.objects.new).toBe(0);
    expect(readFileSync(store.objects.path(again.digest))).toEqual(Buffer.from(first.bytes));
  });

  test("is read when the caller wants it to be, and remembered anew", async () => {
    const bed = new Bed([base]);
    await build(bed);
    rmSync(join(store.path, entriesName(digestOf(base))));
    const anew = await build(bed, { cache: false });
    expect(anew.layersRemembered).toBe(0);
    expect((await build(bed.spoil())).layersRemembered).toBe(1);
    await expect(build(bed, { cache: false })).rejects.toThrow(/blobs\/sha256/);
  });

  test("of other profiles, options and format versions too", async () => {
    const bed = new Bed([base, upper]);
    const other = { profile: "composefs-oci-v1", xattrs: "composefs", formatVersion: 1 } as const;
    const direct = await build(bed, { ...other, store: newStore() });
    await build(bed, { compareProfiles: true });
    const remembered = await build(bed.spoil(), other);
    expect(remembered.layersRemembered).toBe(2);
    expect(made(remembered)).toEqual(made(direct));
  });

  test("tells no progress, as nothing is to be read; a new layer counts alone", async () => {
    await build(new Bed([base]));
    const steps: [number, number][] = [];
    const onProgress = (done: number, total: number) => void steps.push([done, total]);
    await build(new Bed([base]), { onProgress });
    expect(steps).toEqual([]);
    await build(new Bed([base, upper]).spoil(base), { onProgress });
    const size = gzipSync(upper).length;
    expect(steps.at(-1)).toEqual([size, size]);
  });

  test("ends when it is told to", async () => {
    const bed = new Bed([base]);
    await build(bed);
    const reason = new Error("enough");
    await expect(build(bed, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("counts entries of known and of new layers against the same limits", async () => {
    await build(new Bed([base]));
    const paths = ["usr/", "etc/", "etc/small", "etc/text", "etc/hidden", "etc/large"];
    const bytes = [...paths, "etc/.wh.hidden", "etc/upper"].join("").length;
    lower("pathsBytes", bytes - 1);
    await expect(build(new Bed([base, upper]))).rejects.toMatchObject({ code: "LIMIT" });
    lower("pathsBytes", bytes);
    expect((await build(new Bed([base, upper]))).layersRemembered).toBe(1);
  });
});

describe("only what is unknown is read", () => {
  test("of a changed image", async () => {
    await build(new Bed([base, upper]));
    const changed = await tar([{ name: "etc/changed", content: text("changed") }]);
    const bed = new Bed([base, changed, upper]).spoil(base, upper);
    const second = await build(bed);
    expect(second.layersRemembered).toBe(2);
    const direct = await build(new Bed([base, changed, upper]), { store: newStore() });
    expect(made(second)).toEqual({ ...made(direct), layers: second.layers });
  });

  test("when an image needs what an earlier one hid: that layer, and not the others", async () => {
    await build(new Bed([base, upper]));
    const hidden = verityDigestOf(text("hidden"));
    expect(store.objects.has(hidden)).toBe(false);
    const bed = new Bed([base, await tar([{ name: "x", content: "y" }])]);
    const second = await build(bed);
    expect(second.layersRemembered).toBe(0);
    expect(store.objects.has(hidden)).toBe(true);
    expect(made(second)).toEqual(made(await build(bed, { store: newStore() })));
    // An image that goes on hiding it does without it.
    expect((await build(new Bed([base, upper]).spoil())).layersRemembered).toBe(2);
  });

  test("when the store lost an object, or has another size of it", async () => {
    const bed = new Bed([base, upper]);
    const first = await build(bed);
    const path = store.objects.path(verityDigestOf(text("upper")));
    rmSync(path);
    const second = await build(bed.spoil(base));
    expect(second.layersRemembered).toBe(1);
    expect(second.objects).toMatchObject({ new: 1, replaced: 0 });
    chmodSync(path, 0o644);
    writeFileSync(path, "short");
    const third = await build(bed);
    expect(third.objects).toMatchObject({ new: 1, replaced: 1 });
    expect(made(third)).toEqual(made(first));
    expect(readFileSync(path)).toEqual(text("upper"));
  });

  test("an object that is damaged is found by reading only", async () => {
    const bed = new Bed([base]);
    await build(bed);
    damage(store, verityDigestOf(large));
    expect((await build(bed)).objects.replaced).toBe(0);
    expect((await build(bed, { cache: false })).objects.replaced).toBe(1);
    store.objects.verify(verityDigestOf(large));
  });
});

describe("a layer is read where reading could give something else", () => {
  test("strict, when reading has warned: it is refused as before", async () => {
    const bed = new Bed([odd()]);
    await build(bed);
    const direct = build(bed, { strict: true, store: newStore() }).catch((error: unknown) => error);
    const error = await build(bed, { strict: true }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "AMBIGUOUS" });
    expect((error as Error).message).toBe(((await direct) as Error).message);
    const plain = new Bed([base]);
    await build(plain);
    expect((await build(plain.spoil(), { strict: true })).layersRemembered).toBe(1);
  });

  test.each([
    ["bytes", () => base],
    ["bytes with sparse files expanded", sparse],
  ])("within the caller's bound of %s", async (_, layer) => {
    const bed = new Bed([layer()]);
    await build(bed);
    const most = layer() === base ? base.length : 1_000_512 + 1024;
    const refusal = (maxLayerBytes: number, options: Partial<BuildOptions> = {}) =>
      build(bed, { maxLayerBytes, ...options }).then(
        ({ layersRemembered }) => layersRemembered,
        (error: Error) => error.message,
      );
    for (const bound of [most - 1024, most, most + 4096]) {
      const expected = await refusal(bound, { store: newStore() });
      expect(await refusal(bound)).toEqual(expected === 0 ? 1 : expected);
    }
    expect(await refusal(1024)).toMatch(/expected at most/);
  });

  test("for a seek index, when none was wanted before", async () => {
    const bed = new Bed([base]);
    const first = await build(bed, { seekIndex: false });
    expect(first.seekIndex).toBeUndefined();
    const second = await build(bed);
    expect(second.layersRemembered).toBe(0);
    expect(second.seekIndex).toBeDefined();
    expect((await build(bed.spoil())).seekIndex).toEqual(second.seekIndex);
    expect((await build(bed, { seekIndex: false })).layersRemembered).toBe(1);
  });

  test("in another compression, for a seek index; without one its entries serve", async () => {
    await build(new Bed([base]));
    const layout = new TestLayout();
    const blob = gzipSync(base, { level: 1 });
    const config = layout.image([base], {
      manifest: { layers: [layout.blob(blob, types.gzip)] },
    });
    const source = `oci:${layout.index([config]).directory()}`;
    expect((await build(source, { seekIndex: false })).layersRemembered).toBe(1);
    const other = await build(source);
    expect(other.layersRemembered).toBe(0);
    expect(made(other)).toEqual(made(await build(source, { store: newStore() })));
    expect((await build(source)).layersRemembered).toBe(1);
  });

  test("when its descriptor says another size or compression, or another diffID", async () => {
    const bed = new Bed([base]);
    await build(bed);
    const blob = gzipSync(base);
    const says = (fields: object, config: object = {}) => {
      const layout = new TestLayout();
      const layers = [{ ...layout.blob(blob, types.gzip), ...fields }];
      return `oci:${layout.index([layout.image([base], { manifest: { layers }, config })]).directory()}`;
    };
    await expect(build(says({ size: blob.length + 1 }))).rejects.toMatchObject({
      code: "SIZE_MISMATCH",
    });
    const diffIds = { rootfs: { type: "layers", diff_ids: [digestOf(upper)] } };
    await build(new Bed([upper]));
    await expect(build(says({}, diffIds))).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    const plain = await build(says({ mediaType: types.tar }));
    expect(plain.layersRemembered).toBe(0);
    expect((await build(says({ mediaType: types.zstd }))).layersRemembered).toBe(0);
  });

  test.each(["damaged", "cut short", "of another version", "writable by others"])(
    "when its memory is %s; that is written again",
    async (how) => {
      const bed = new Bed([base, upper]);
      const first = await build(bed);
      const names = [entriesName(digestOf(base)), blobName(digestOf(gzipSync(base)))];
      for (const name of names) {
        const path = join(store.path, name);
        const bytes = readFileSync(path);
        const good = Buffer.from(bytes);
        if (how === "damaged") bytes[bytes.length >> 1]! ^= 1;
        if (how === "of another version") bytes[LayerFileHeader.offsets.version]! += 1;
        chmodSync(path, how === "writable by others" ? 0o666 : 0o644);
        writeFileSync(path, how === "cut short" ? bytes.subarray(0, 40) : bytes);
        const second = await build(bed);
        expect(second.layersRemembered).toBe(1);
        expect(made(second)).toEqual(made(first));
        expect(readFileSync(path)).toEqual(good);
        expect((await build(bed)).layersRemembered).toBe(2);
      }
    },
  );
});

describe("what is remembered", () => {
  const remembered = () =>
    ["entries", "blobs", "images"].map((each) => readdirSync(join(store.path, "layers", each)));

  test("is by diffID, by digest, and by image", async () => {
    const { digest } = await build(new Bed([base, upper]));
    const layers = [base, upper];
    expect(remembered()).toEqual([
      layers.map((layer) => digestOf(layer).replace(":", "-")).sort(),
      layers.map((layer) => digestOf(gzipSync(layer)).replace(":", "-")).sort(),
      [digest],
    ]);
    const names = layers.flatMap((layer) => [
      entriesName(digestOf(layer)),
      blobName(digestOf(gzipSync(layer))),
    ]);
    expect(readFileSync(join(store.path, imageLayersName(digest)), "latin1")).toBe(
      ["sealfs layers 1", ...names.sort(), ""].join("\n"),
    );
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
  });

  test("is nothing of a build that fails", async () => {
    const bad = await tar([{ name: "a/../../b", content: "x" }]);
    await expect(build(new Bed([base, bad]))).rejects.toThrow();
    expect(remembered()).toEqual([[], [], []]);
  });

  test("goes with the last image that was built of it, and stays till then", async () => {
    await build(new Bed([base]), { name: "one" });
    await build(new Bed([base, upper]), { name: "two" });
    removeNames(store, ["one"]);
    collectGarbage(store);
    expect(remembered().map(({ length }) => length)).toEqual([2, 2, 1]);
    expect((await build(new Bed([base, upper]).spoil(), { name: "two" })).layersRemembered).toBe(2);
    removeNames(store, ["two"]);
    collectGarbage(store);
    expect(remembered()).toEqual([[], [], []]);
    expect(objectsIn(store)).toEqual([]);
  });

  test.each(["", "layers", "layers/entries"])(
    "is neither used nor written where others can write to %j",
    async (name) => {
      const bed = new Bed([base]);
      await build(bed);
      chmodSync(join(store.path, name), 0o777);
      const before = remembered();
      const second = await build(new Bed([base, upper]));
      expect(second.layersRemembered).toBe(0);
      expect(remembered()).toEqual(before);
    },
  );

  test("is nothing too large, and then nothing is missing", async () => {
    lower("rememberedBytes", 10);
    const bed = new Bed([base]);
    const first = await build(bed);
    expect(remembered()).toEqual([[], [], []]);
    expect(made(await build(bed))).toEqual(made(first));
  });

  test("is made in a store that has no folder for it", async () => {
    rmSync(join(store.path, "layers"), { recursive: true });
    const bed = new Bed([base]);
    await build(bed);
    expect(existsSync(join(store.path, "layers/images"))).toBe(true);
    expect((await build(bed.spoil())).layersRemembered).toBe(1);
  });
});

describe("local archives", () => {
  test("oci-archive: a blob that is damaged later is not noticed, its manifest is", async () => {
    const layout = new TestLayout();
    const path = await layout.index([layout.image([base])]).archive();
    const first = await build(`oci-archive:${path}`);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(gzipSync(base));
    bytes[at + 100]! ^= 1;
    writeFileSync(path, bytes);
    expect(made(await build(`oci-archive:${path}`))).toEqual(made(first));
    await expect(build(`oci-archive:${path}`, { cache: false })).rejects.toThrow(/digest|checksum/);
    const manifest = bytes.indexOf("rootfs");
    bytes[manifest]! ^= 1;
    writeFileSync(path, bytes);
    await expect(build(`oci-archive:${path}`)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  test("docker-archive: layers without a digest are known by their diffID", async () => {
    const path = join(scratchFolder(), "image.tar");
    writeFileSync(path, await tar(dockerArchive([base, upper])));
    const first = await build(`docker-archive:${path}`);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text("upper"));
    bytes[at] = 0x55;
    writeFileSync(path, bytes);
    const again = await build(`docker-archive:${path}`);
    expect(again.layersRemembered).toBe(2);
    expect(made(again)).toEqual(made(first));
    // The entries serve for a layout of the same layers, but for its seek index.
    expect((await build(new Bed([base, upper]), { seekIndex: false })).layersRemembered).toBe(2);
    expect((await build(new Bed([base, upper]))).layersRemembered).toBe(0);
  });

  test("docker-archive: a compressed layer without a digest is read for a seek index", async () => {
    const path = join(scratchFolder(), "image.tar");
    writeFileSync(path, await tar(dockerArchive([base], { stored: [gzipSync(base)] })));
    const first = await build(`docker-archive:${path}`);
    const again = await build(`docker-archive:${path}`);
    expect(again.layersRemembered).toBe(0);
    expect(made(again)).toEqual(made(first));
    const without = await build(`docker-archive:${path}`, { seekIndex: false });
    expect(without.layersRemembered).toBe(1);
  });

  test("layer tars have nothing that they could be known by", async () => {
    const path = join(scratchFolder(), "layer.tar");
    writeFileSync(path, base);
    await build(`tar:${path}`);
    expect((await build(`tar:${path}`)).layersRemembered).toBe(0);
    expect(readdirSync(join(store.path, "layers/entries"))).toEqual([]);
  });
});

describe("images of several platforms", () => {
  const platforms = ["linux/s390x", "linux/riscv64"];
  const layoutOf = async () => {
    const layout = new TestLayout();
    const images = await Promise.all(
      platforms.map(async (platform) => {
        const own = await tar([{ name: "own", content: text(platform) }]);
        const [os, architecture] = platform.split("/");
        return { ...layout.image([base, own], { platform }), platform: { os, architecture } };
      }),
    );
    return layout.index(images).directory();
  };
  const buildAll = (path: string, options: Partial<BuildOptions> = {}) =>
    buildImages(parseSource(`oci:${path}`), platforms.map(parsePlatform), {
      store,
      name: "app",
      durability: "none",
      ...options,
    });
  const counts = (results: readonly BuildResult[]) =>
    results.map(({ layersRemembered }) => layersRemembered);

  test("read what they share once, also where nothing may be remembered or used", async () => {
    const path = await layoutOf();
    const first = await buildAll(path);
    expect(counts(first)).toEqual([0, 1]);
    expect(counts(await buildAll(path, { cache: false }))).toEqual([0, 1]);
    expect(counts(await buildAll(path))).toEqual([2, 2]);
    const open = newStore();
    chmodSync(join(open.path, "layers"), 0o777);
    const elsewhere = await buildAll(path, { store: open });
    expect(counts(elsewhere)).toEqual([0, 1]);
    expect(elsewhere.map(made)).toEqual(first.map(made));
    expect(readdirSync(join(open.path, "layers/entries"))).toEqual([]);
  });
});

/** Random layers with what the random operations do not have. */
const layers = fc
  .record({
    random: randomLayers,
    extra: fc.subarray([0, 1, 2]),
    repeated: fc.boolean(),
  })
  .map(({ random, extra, repeated }) => [
    ...random.map((layer: readonly LayerOperation[]) => Buffer.from(archive(...membersOf(layer)))),
    ...extra.map(
      (which) => [odd(), sparse(), Buffer.from(archive(member({ name: "big" }, large)))][which]!,
    ),
    ...(repeated ? [Buffer.from(archive(...membersOf(random[0]!)))] : []),
  ]);

const options = fc.record({
  profile: fc.constantFrom("oci-v1" as const, "composefs-oci-v1" as const),
  strict: fc.boolean(),
  seekIndex: fc.boolean(),
  formatVersion: fc.constantFrom(0 as const, 1 as const, "auto" as const),
  compareProfiles: fc.boolean(),
  maxLayerBytes: fc.constantFrom(undefined, 3000, 20_000, 2_000_000),
});

/** What a build gives, or why it refuses. */
async function outcome(source: Bed, into: Store, chosen: Partial<BuildOptions>) {
  const statements: string[] = [];
  try {
    const result = await build(source, {
      ...chosen,
      store: into,
      sign: ({ bytes, seekIndex, profile, source: of, platform }) => {
        const { bundle, keyId } = signImage(bytes, {
          name: "app",
          key: alice,
          version: 1,
          created: new Date("2026-09-01T00:00:00Z"),
          expires: new Date("2027-09-01T00:00:00Z"),
          seekIndex,
          profile,
          source: of,
          platform,
        });
        statements.push(Buffer.from(bundle).toString());
        return [{ keyId, bytes: bundle, name: "app" }];
      },
    });
    return { ...made(result), statements, index: seekIndexOf(result, into) };
  } catch (error) {
    // Which of two layers that are read at the same time fails first is left to chance.
    const { code, message } = error as Error & { code?: string };
    return { code, message: message.replace(/layer \d+ of \d+ \(.*?\)/, "layer") };
  }
}

test("whatever was built before, a build from memory gives what a build without gives", async () => {
  const folder = scratchFolder();
  const fresh = () => Store.create(join(mkdtempSync(join(folder, "s-")), "store"));
  let remembered = 0;
  await fc.assert(
    fc.asyncProperty(layers, options, options, fc.nat(), async (tars, before, now, drop) => {
      const bed = new Bed(tars);
      const used = fresh();
      await outcome(bed, used, before);
      // Another image of some of the layers: what it hides or shows differs.
      await outcome(new Bed(tars.filter((_, place) => ((drop >> place) & 1) === 0)), used, before);
      const again = await outcome(bed, used, now);
      expect(again).toEqual(await outcome(bed, fresh(), { ...now, cache: false }));
      expect(await outcome(bed, used, { ...now, cache: false })).toEqual(again);
      if (!("digest" in again)) return;
      const result = await build(bed.spoil(), { ...now, store: used });
      expect(result.layersRemembered).toBe(tars.length);
      expect(result.digest).toBe(again.digest);
      remembered += 1;
      rmSync(used.path, { recursive: true });
    }),
    { numRuns: process.env["SLOW"] ? 200 : 12 },
  );
  expect(remembered).toBeGreaterThan(0);
});
