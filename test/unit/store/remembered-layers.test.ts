/**
 * What a store remembers of layers (docs/store.md, "Remembered layers"): it comes back as it was, or
 * not at all, and only from files that nobody else can have written.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { ByteString } from "../../../src/bytes/bytestring.ts";
import { limits } from "../../../src/limits.ts";
import { checkStore } from "../../../src/store/fsck/fsck.ts";
import { collectGarbage } from "../../../src/store/gc/gc.ts";
import { LAYER_FILE_VERSION, LayerFileHeader } from "../../../src/store/layers/layer-file.ts";
import { LayerMemory, memoryReader } from "../../../src/store/layers/layer-memory.ts";
import {
  blobName,
  entriesName,
  formatImageLayers,
  imageLayersName,
} from "../../../src/store/layers/layer-names.ts";
import {
  type RememberedBlob,
  type RememberedEntries,
  decodeBlob,
  decodeEntries,
  encodeBlob,
  encodeEntries,
} from "../../../src/store/layers/remembered-layer.ts";
import { removeNames } from "../../../src/store/remove-name.ts";
import { Store } from "../../../src/store/store.ts";
import type { TarEntry } from "../../../src/tar/entry.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { entriesOf } from "../../support/layers.ts";
import { lower } from "../../support/limits.ts";
import { randomTar } from "../../support/random-tar.ts";
import { runMain } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { publish } from "../../support/store.ts";

const diffId = `sha256:${"1".repeat(64)}`;
const digest = `sha512:${"2".repeat(128)}`;

const bytesOf = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

const byteString = (maxLength: number) =>
  fc
    .uint8Array({ minLength: 1, maxLength })
    .map((bytes) => Buffer.from(bytes).toString("latin1") as ByteString);

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const size = fc.oneof(fc.nat(200), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));

/** Ascending, as a sparse file has them. */
const segments = fc
  .array(fc.tuple(fc.nat(10_000), fc.nat(10_000)), { maxLength: 4 })
  .map((pairs) => {
    let end = 0;
    return pairs.flatMap(([gap, length]) => {
      const start = end + gap;
      end = start + length;
      return [start, length];
    });
  });

const random = fc.record({
  type: fc.constantFrom<TarEntry["type"][]>(
    ...([
      "file",
      "file",
      "directory",
      "symlink",
      "hardlink",
      "character",
      "block",
      "fifo",
    ] as const),
  ),
  path: byteString(40),
  linkPath: byteString(40),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: u32,
  gid: u32,
  size,
  mtimeSeconds: fc.oneof(fc.nat().map(BigInt), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
  mtimeNanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  rdev: u32,
  xattrs: fc.dictionary(fc.string({ minLength: 1, maxLength: 9 }), byteString(300), { maxKeys: 2 }),
  gap: fc.nat(4096),
  dataGap: fc.nat(4096),
  sizeIgnored: fc.boolean(),
  segments: fc.option(segments, { nil: undefined }),
  content: fc.uint8Array({ minLength: 64, maxLength: 64 }),
});

/** Entries as the parser makes them: what belongs to other types is empty. */
function entriesFrom(drafts: readonly (typeof random extends fc.Arbitrary<infer T> ? T : never)[]) {
  let offset = 0;
  return drafts.map(({ gap, dataGap, content, xattrs, ...draft }) => {
    const isLink = draft.type === "symlink" || draft.type === "hardlink";
    const isDevice = draft.type === "character" || draft.type === "block";
    const isFile = draft.type === "file";
    offset += gap;
    const entry: TarEntry = {
      ...draft,
      linkPath: isLink ? draft.linkPath : ("" as ByteString),
      rdev: isDevice ? draft.rdev : 0,
      size: isFile ? draft.size : 0,
      segments: isFile ? draft.segments : undefined,
      xattrs: new Map(Object.entries(xattrs) as [ByteString, ByteString][]),
      headerOffset: offset,
      dataOffset: offset + dataGap,
    };
    if (entry.size === 0) return { entry };
    if (entry.size <= 64) return { entry, content: content.subarray(0, entry.size) };
    const object = createHash("sha256").update(content).digest("hex") as VerityDigest;
    return { entry, digest: object };
  });
}

const someEntries: RememberedEntries = {
  diffId,
  entries: entriesOf(randomTar(3).bytes),
  warnings: ['tar entry "ä" at 0: odd'],
  bytes: 4096,
  expanded: 0,
};
const someBlob: RememberedBlob = {
  digest,
  size: 100,
  declared: "gzip",
  compression: "gzip",
  diffId,
  bytes: 4096,
  points: {
    count: 2,
    points: Uint8Array.of(1, 2, 3),
    pointsPlainBytes: 7,
    windows: Uint8Array.of(4, 5),
  },
};
const entriesFile = () => bytesOf(encodeEntries(someEntries, "sha256"));
const blobFile = () => bytesOf(encodeBlob(someBlob, "sha256"));

describe("a layer in a file", () => {
  test("comes back as it was, whatever its entries are", () => {
    fc.assert(
      fc.property(
        fc.array(random, { maxLength: 8 }).map(entriesFrom),
        fc.array(fc.string({ maxLength: 30 }), { maxLength: 2 }),
        size,
        size,
        (entries, warnings, bytes, expanded) => {
          const layer = { diffId, entries, warnings, bytes, expanded };
          const file = bytesOf(encodeEntries(layer, "sha256"));
          expect(decodeEntries(file, diffId, "sha256")).toEqual(layer);
        },
      ),
    );
  });

  test("comes back as a build reads it, of archives of every kind", () => {
    let read = 0;
    for (let seed = 0; seed < 300; seed++) {
      let entries;
      try {
        entries = entriesOf(randomTar(seed).bytes);
      } catch {
        continue; // refused: nothing to remember
      }
      read += 1;
      const layer = { ...someEntries, entries };
      const file = bytesOf(encodeEntries(layer, "sha256"));
      expect(decodeEntries(file, diffId, "sha256")).toEqual(layer);
    }
    expect(read).toBeGreaterThan(50);
  });

  test("with every field of a blob, declared or not", () => {
    for (const declared of [undefined, "none", "gzip", "zstd"] as const) {
      const blob = { ...someBlob, declared };
      const file = bytesOf(encodeBlob(blob, "sha512"));
      const back = decodeBlob(file, digest, "sha512");
      expect(back).toEqual({
        ...blob,
        points: {
          ...blob.points,
          points: expect.anything(),
          windows: expect.anything(),
        },
      });
      expect([...back.points.points, ...back.points.windows]).toEqual([1, 2, 3, 4, 5]);
    }
  });

  test("is of this version as long as reading gives the same and is written the same", () => {
    const hash = createHash("sha256");
    for (let seed = 0; seed < 300; seed++) {
      try {
        const entries = entriesOf(randomTar(seed).bytes);
        for (const part of encodeEntries({ ...someEntries, entries }, "sha256")) hash.update(part);
      } catch (error) {
        hash.update((error as { code: string }).code);
      }
    }
    hash.update(blobFile());
    // Where this changes, LAYER_FILE_VERSION has to: stores remember what was read before.
    expect([LAYER_FILE_VERSION, hash.digest("hex")]).toMatchInlineSnapshot(`
      [
        1,
        "d4a99098454edf58dd75bc8f323de72360c37a150734214dd170d7f2d587ee2e",
      ]
    `);
  });
});

describe("what is not the file that was written is not taken for it", () => {
  const files = { entries: entriesFile, blob: blobFile };
  const decoders = {
    entries: (file: Uint8Array) => decodeEntries(file, diffId, "sha256"),
    blob: (file: Uint8Array) => decodeBlob(file, digest, "sha256"),
  };
  const kinds = ["entries", "blob"] as const;

  test.each(kinds)("%s: any flipped bit", (kind) => {
    const file = files[kind]();
    decoders[kind](file);
    for (let bit = 0; bit < file.length * 8; bit++) {
      file[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decoders[kind](file), `bit ${bit}`).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^[A-Z_]+$/) }),
      );
      file[bit >> 3]! ^= 1 << (bit & 7);
    }
  });

  test.each(kinds)("%s: cut short, or with more behind it", (kind) => {
    const file = files[kind]();
    for (let end = 0; end < file.length; end++) {
      expect(() => decoders[kind](file.subarray(0, end)), `${end} bytes`).toThrow();
    }
    expect(() => decoders[kind](bytesOf([file, Uint8Array.of(0)]))).toThrow();
  });

  test.each(kinds)("%s: another version, with a right checksum", (kind) => {
    const file = files[kind]();
    new DataView(file.buffer).setUint32(
      LayerFileHeader.offsets.version,
      LAYER_FILE_VERSION + 1,
      true,
    );
    file.set(createHash("sha256").update(file.subarray(0, -32)).digest(), file.length - 32);
    expect(() => decoders[kind](file)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  test("one about another layer or blob, of the other kind, or with other digests", () => {
    const wrong = expect.objectContaining({ code: "MALFORMED" });
    expect(() => decodeEntries(entriesFile(), digest, "sha256")).toThrow(wrong);
    expect(() => decodeBlob(blobFile(), diffId, "sha256")).toThrow(wrong);
    expect(() => decodeBlob(entriesFile(), diffId, "sha256")).toThrow(wrong);
    expect(() => decodeEntries(entriesFile(), diffId, "sha512")).toThrow(wrong);
  });
});

describe("in a store", () => {
  let store: Store;
  const at = (...names: string[]) => join(store.path, ...names);
  const entriesPath = () => at(entriesName(diffId));
  const recalled = () => {
    const read = memoryReader(store);
    return read && new LayerMemory(read, "sha256").entries(diffId)?.bytes;
  };

  beforeEach(() => {
    store = Store.create(join(scratchFolder(), "store"));
    writeFileSync(entriesPath(), entriesFile(), { mode: 0o444 });
    writeFileSync(at(blobName(digest)), blobFile(), { mode: 0o444 });
  });

  test("is found by its diffID; its blob by its digest", () => {
    expect(recalled()).toBe(someEntries.bytes);
    const memory = new LayerMemory(memoryReader(store)!, "sha256");
    expect(memory.blob(digest)?.diffId).toBe(diffId);
    expect(memory.entries(digest)).toBeUndefined();
    expect(memory.blob(diffId)).toBeUndefined();
  });

  test.each(["", "layers", "layers/entries", "layers/blobs", "layers/images"])(
    "is not used when others can write to %j of the store",
    (name) => {
      for (const mode of [0o775, 0o757]) {
        chmodSync(at(name), mode);
        expect(memoryReader(store)).toBeUndefined();
      }
      chmodSync(at(name), 0o755);
      expect(recalled()).toBe(someEntries.bytes);
    },
  );

  test("is not used when others can write to the file, or when it is missing, a link or a folder", () => {
    chmodSync(entriesPath(), 0o464);
    expect(recalled()).toBeUndefined();
    chmodSync(entriesPath(), 0o444);
    expect(recalled()).toBe(someEntries.bytes);
    renameSync(entriesPath(), at("layers/entries/other"));
    expect(recalled()).toBeUndefined();
    symlinkSync("other", entriesPath());
    expect(recalled()).toBeUndefined();
    rmSync(entriesPath());
    mkdirSync(entriesPath());
    expect(recalled()).toBeUndefined();
  });

  test("is not used when the folder is a link, or not a folder", () => {
    renameSync(at("layers/entries"), at("layers/elsewhere"));
    symlinkSync("elsewhere", at("layers/entries"));
    expect(memoryReader(store)).toBeUndefined();
    rmSync(at("layers/entries"));
    expect(recalled()).toBeUndefined(); // and it is made
    rmdirSync(at("layers/entries"));
    writeFileSync(at("layers/entries"), "");
    expect(memoryReader(store)).toBeUndefined();
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "is not used when another user owns file or folder",
    () => {
      chownSync(entriesPath(), 1234, 1234);
      expect(recalled()).toBeUndefined();
      chownSync(entriesPath(), 0, 0);
      expect(recalled()).toBe(someEntries.bytes);
      for (const name of ["", "layers", "layers/entries"]) {
        chownSync(at(name), 1234, 1234);
        expect(memoryReader(store)).toBeUndefined();
        chownSync(at(name), 0, 0);
      }
    },
  );

  test("is read up to its limit", () => {
    lower("rememberedBytes", entriesFile().length);
    expect(recalled()).toBe(someEntries.bytes);
    lower("rememberedBytes", entriesFile().length - 1);
    expect(recalled()).toBeUndefined();
  });

  describe("gc", () => {
    const left = () => [
      ...readdirSync(at("layers/entries")),
      ...readdirSync(at("layers/blobs")),
      ...readdirSync(at("layers/images")),
    ];
    const use = (id: string) =>
      writeFileSync(
        at(imageLayersName(id as VerityDigest)),
        formatImageLayers([entriesName(diffId), blobName(digest)]),
      );

    test("keeps what images were built of that it keeps, and no object for its sake", () => {
      const kept = publish(store, "app", ["a"]);
      use(kept);
      const before = left();
      expect(collectGarbage(store).removed).toMatchObject({ layers: 0, layerBytes: 0 });
      expect(left()).toEqual(before);
      removeNames(store, ["app"]);
      const { removed } = collectGarbage(store);
      expect(removed).toMatchObject({ images: [kept], layers: 3, objects: 2 });
      expect(removed.layerBytes).toBeGreaterThan(entriesFile().length + blobFile().length);
      expect(left()).toEqual([]);
    });

    test("removes what no image was built of, but not what has other names", async () => {
      use("f".repeat(64));
      writeFileSync(at("layers/entries/notes"), "");
      const dry = await runMain("gc", "--store", store.path, "--dry-run", "--json");
      expect(JSON.parse(dry.out)).toMatchObject({ removed: { layers: 3 } });
      expect(left()).toHaveLength(4);
      expect((await runMain("gc", "--store", store.path)).status).toBe(0);
      expect(left()).toEqual(["notes"]);
    });

    test("takes a list that is damaged, or larger than its limit, for none", () => {
      const id = publish(store, "app", ["a"]);
      use(id);
      const list = readFileSync(at(imageLayersName(id)));
      lower("imageLayersBytes", list.length);
      expect(collectGarbage(store).removed.layers).toBe(0);
      lower("imageLayersBytes", list.length - 1);
      expect(collectGarbage(store, { dryRun: true }).removed.layers).toBe(2);
      lower("imageLayersBytes", limits.imageLayersBytes + 1);
      writeFileSync(at(imageLayersName(id)), list.subarray(0, -1));
      expect(collectGarbage(store).removed.layers).toBe(2);
    });
  });

  describe("fsck", () => {
    const check = async (repair = false) => {
      const { problems, good, layers } = await checkStore(store, { repair, threads: 0 });
      const told = problems.map(({ kind, path, repair: done }) => [
        `${kind}:${done ?? ""}`,
        path.slice(store.path.length + 1),
      ]);
      return { problems: told, good, layers };
    };

    test("finds nothing wrong with what is whole, or of another version", async () => {
      writeFileSync(at(imageLayersName("f".repeat(64) as VerityDigest)), formatImageLayers([]));
      expect(await check()).toEqual({ problems: [], good: true, layers: 2 });
      const file = blobFile();
      new DataView(file.buffer).setUint32(LayerFileHeader.offsets.version, 99, true);
      chmodSync(at(blobName(digest)), 0o644);
      writeFileSync(at(blobName(digest)), file);
      expect(await check()).toEqual({ problems: [], good: true, layers: 2 });
    });

    test("finds what is damaged or misplaced, and removes it", async () => {
      const damaged = entriesFile();
      damaged[damaged.length >> 1]! ^= 1;
      chmodSync(entriesPath(), 0o644);
      writeFileSync(entriesPath(), damaged);
      const misplaced = blobName(diffId);
      writeFileSync(at(misplaced), blobFile());
      writeFileSync(at("layers/entries/notes"), "x");
      const list = imageLayersName("f".repeat(64) as VerityDigest);
      writeFileSync(at(list), "sealfs layers 1\nobjects/ab\n");
      const wrong = ["layers/entries/notes", entriesName(diffId), misplaced, list];
      expect(await check()).toEqual({
        problems: wrong.map((path) => ["layer:", path]),
        good: false,
        layers: 4,
      });
      expect(await check(true)).toEqual({
        problems: wrong.map((path) => ["layer:removed", path]),
        good: true,
        layers: 4,
      });
      expect(wrong.filter((name) => existsSync(at(name)))).toEqual([]);
      expect(await check()).toEqual({ problems: [], good: true, layers: 1 });
    });

    test("misses no folder, which the next build makes; what lies in its place is moved away", async () => {
      rmSync(at("layers"), { recursive: true });
      expect(await check()).toEqual({ problems: [], good: true, layers: 0 });
      writeFileSync(at("layers"), "");
      expect((await check()).problems).toEqual([["directory:", "layers"]]);
      expect((await check(true)).good).toBe(true);
      expect(await check()).toEqual({ problems: [], good: true, layers: 0 });
      expect(statSync(at("layers")).isDirectory()).toBe(true);
    });
  });
});
