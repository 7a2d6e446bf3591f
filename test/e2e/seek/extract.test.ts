/** Objects read at random out of layers in every form, and what sources can do instead. */
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { IntegrityError, NotFoundError } from "../../../src/errors.ts";
import type { BlobRanges } from "../../../src/oci/blob-ranges.ts";
import { type LayerOptions, readLayer } from "../../../src/oci/layer/layer.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { extract } from "../../../src/oci/layer/seek-extract.ts";
import { openSource } from "../../../src/oci/source/open-source.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import {
  estargz,
  mixedBytes,
  multiFrameZstd,
  multiMemberGzip,
  parallelGzip,
} from "../../support/compressed-layers.ts";
import { directory, empty, file, hardlink } from "../../support/layers.ts";
import { tar, types } from "../../support/oci.ts";
import { type BlobLayer, SeekBed, layoutOf } from "../../support/seek-bed.ts";
import { archive, member, pax, readTar } from "../../support/tar.ts";

const contents = [3_000_000, 700, 65, 0, 64, 200_000, 4096, 90_000, 1_000_000, 512].map(
  (size, i) => ({
    name: `file${i}`,
    content: mixedBytes(size, i + 1),
  }),
);
const plain = await tar(contents);
const places = readTar(plain).map(
  ({ path, dataOffset, size }) => [path as string, dataOffset, size] as const,
);
const stargz = estargz(plain, places, (json) =>
  Buffer.from(member({ name: "stargz.index.json" }, json)),
);
const forms: readonly (readonly [name: string, layer: BlobLayer])[] = [
  ["uncompressed", { tar: plain, blob: plain, mediaType: types.tar }],
  ["gzip", { tar: plain }],
  ["gzip -1", { tar: plain, blob: gzipSync(plain, { level: 1 }) }],
  ["gzip without compression", { tar: plain, blob: gzipSync(plain, { level: 0 }) }],
  ["pigz", { tar: plain, blob: parallelGzip(plain, 128 * 1024, true) }],
  ["pgzip", { tar: plain, blob: parallelGzip(plain, 1024 * 1024, true, 5) }],
  ["many gzip members", { tar: plain, blob: multiMemberGzip(plain, 33_333) }],
  ["eStargz", { tar: gunzipSync(stargz), blob: stargz }],
  ["many zstd frames", { tar: plain, blob: multiFrameZstd(plain, 30_000), mediaType: types.zstd }],
  ["one zstd frame", { tar: plain, blob: multiFrameZstd(plain, 1e9), mediaType: types.zstd }],
];

describe.each(forms)("%s", (form, layer) => {
  test("gives every byte, whole and at random, by both decoders", async () => {
    const bed = await SeekBed.of(layoutOf([layer]));
    expect(bed.objects.size).toBeGreaterThanOrEqual(7);
    for (const [digest, size] of bed.objects) {
      expect((await bed.read(digest, 0, size)).equals(bed.content(digest))).toBe(true);
    }
    expect(await bed.wrongReads(60)).toEqual([]);
    expect(await bed.wrongReads(20, "own")).toEqual([]);
    const [only] = bed.index.layers;
    expect(only!.seekable).toBe(form !== "one zstd frame");
    expect(bed.built.seekIndex!.size).toBeLessThan(plain.length * 0.02);
  });

  test("has the same access points by thread, and by the documented decoders", async () => {
    const image = await openSource(parseSource(`oci:${layoutOf([layer])}`));
    const pointsBy = async (options: LayerOptions) => {
      const write = () => undefined;
      return (await readLayer(image, image.layers[0]!, write, { points: true, ...options })).points;
    };
    const here = await pointsBy({ thread: "here" });
    expect(await pointsBy({ thread: "own" })).toEqual(here);
    expect(await pointsBy({ thread: "here", decoder: "documented" })).toEqual(here);
    image.close();
  });
});

describe("which places are recorded", () => {
  const big = (seed: number) => mixedBytes(1000, seed).toString("latin1");

  test("those of the finished image: nothing that is covered, removed or inline", async () => {
    const lower = archive(
      file("kept", big(1)),
      file("covered", big(2)),
      file("removed", big(3)),
      file("inline", "x".repeat(64)),
      directory("gone"),
      file("gone/inside", big(4)),
      hardlink("link", "kept"),
    );
    const upper = archive(file("covered", big(5)), empty(".wh.removed"), empty(".wh.gone"));
    const bed = await SeekBed.of(layoutOf([{ tar: lower }, { tar: upper }]));
    const digests = [1, 5].map((seed) =>
      verityDigestOf(Buffer.from(big(seed), "latin1"), "sha256"),
    );
    expect(bed.index.digests()).toEqual(digests);
    expect(digests.map((digest) => bed.index.place(digest)!.layer)).toEqual([0, 1]);
  });

  test("of what lies in several layers, one that can be entered in the middle", async () => {
    const layer = archive(file("same", big(1)));
    const slow = {
      tar: layer,
      blob: multiFrameZstd(Buffer.from(layer), 1e9),
      mediaType: types.zstd,
    };
    const bed = await SeekBed.of(layoutOf([slow, { tar: archive(file("copy", big(1))) }]));
    expect(bed.index.digests().map((digest) => bed.index.place(digest)!.layer)).toEqual([1]);
  });

  test.each(["0.1", "1.0"])("of a sparse file, its segments (format %s)", async (version) => {
    const segments = [5000, 700, 100_000, 3000, 250_000, 0];
    const data = mixedBytes(3700, 9);
    const records: [string, string][] =
      version === "1.0"
        ? [
            ["GNU.sparse.major", "1"],
            ["GNU.sparse.minor", "0"],
            ["GNU.sparse.name", "sparse"],
            ["GNU.sparse.realsize", "250000"],
          ]
        : [
            ["GNU.sparse.size", "250000"],
            ["GNU.sparse.numblocks", "3"],
            ["GNU.sparse.name", "sparse"],
            ["GNU.sparse.map", segments.join(",")],
          ];
    const map = Buffer.alloc(512);
    map.write(`3\n${segments.join("\n")}\n`);
    const body = version === "1.0" ? Buffer.concat([map, data]) : data;
    const layer = archive(pax(records), member({ name: "stored" }, body), file("next", big(2)));
    const bed = await SeekBed.of(layoutOf([{ tar: layer }]));
    const digest = [...bed.objects].find(([, size]) => size === 250_000)![0];
    expect(bed.index.place(digest)).toMatchObject({ stored: 3700, segments });
    for (const [start, end] of [
      [0, 250_000],
      [0, 5000],
      [4990, 5010],
      [5600, 101_000],
      [103_000, 250_000],
      [100_500, 100_501],
    ] as const) {
      const got = await bed.read(digest, start, end);
      expect(got.equals(bed.content(digest).subarray(start, end))).toBe(true);
    }
    expect(await bed.wrongReads(30)).toEqual([]);
  });

  test("none at all when they are not wanted, and none for a directory", async () => {
    const layout = layoutOf([{ tar: plain }]);
    await expect(SeekBed.of(layout, { seekIndex: false })).rejects.toThrow("has no seek index");
  });
});

describe("a source that gives other bytes than were indexed", () => {
  /** A blob of which `change` says what comes instead of a range. */
  const lying = (
    blob: BlobRanges,
    change: (bytes: Buffer) => Iterable<Uint8Array>,
  ): BlobRanges => ({
    size: blob.size,
    async *read(start, end, options) {
      const parts: Uint8Array[] = [];
      for await (const part of blob.read(start, end, options)) parts.push(part);
      yield* change(Buffer.concat(parts));
    },
  });

  describe.each(
    forms.filter(([name]) =>
      ["uncompressed", "gzip", "eStargz", "many zstd frames"].includes(name),
    ),
  )("%s", (form, layer) => {
    test.each([
      ["nothing", () => []],
      ["half of them", (bytes: Buffer) => [bytes.subarray(0, bytes.length >> 1)]],
      ["zeros", (bytes: Buffer) => [Buffer.alloc(bytes.length)]],
      ["ones", (bytes: Buffer) => [Buffer.alloc(bytes.length, 0xff)]],
      ["others", (bytes: Buffer) => [mixedBytes(bytes.length, 99)]],
    ])(
      "%s: too few bytes are an IntegrityError, and there are never too many",
      async (_what, change) => {
        const bed = await SeekBed.of(layoutOf([layer]));
        const [digest, size] = [...bed.objects].find(([, bytes]) => bytes === 200_000)!;
        for (const decoder of [undefined, "own"] as const) {
          try {
            const got = await bed.read(
              digest,
              100,
              size,
              lying(bed.blobOf(digest), change),
              decoder,
            );
            expect(got.length).toBe(size - 100);
            expect(form === "uncompressed" || form === "gzip" || got.length > 0).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(IntegrityError);
          }
        }
      },
    );

    test("flipped bits give wrong bytes or an IntegrityError; surplus is not looked at", async () => {
      const bed = await SeekBed.of(layoutOf([layer]));
      const [digest] = [...bed.objects].find(([, bytes]) => bytes === 90_000)!;
      let wrong = 0;
      for (let i = 0; i < 40; i++) {
        const flip = (bytes: Buffer) => {
          bytes[Math.floor((bytes.length * i) / 40)]! ^= 1 << (i & 7);
          return [bytes];
        };
        try {
          const got = await bed.read(digest, 1000, 60_000, lying(bed.blobOf(digest), flip));
          expect(got.length).toBe(59_000);
          if (!got.equals(bed.content(digest).subarray(1000, 60_000))) wrong++;
        } catch (error) {
          expect(error).toBeInstanceOf(IntegrityError);
          wrong++;
        }
      }
      expect(wrong).toBeGreaterThan(0);
      const more = (bytes: Buffer) => [bytes, Buffer.alloc(1e6), Buffer.alloc(1e6)];
      const got = await bed.read(digest, 0, 90_000, lying(bed.blobOf(digest), more));
      expect(got.equals(bed.content(digest))).toBe(true);
    });
  });

  test("a bomb ends at the byte that was asked for", async () => {
    const zeros = await tar([
      { name: "zeros", content: Buffer.alloc(20_000_000) },
      { name: "last", content: mixedBytes(1000) },
    ]);
    const bed = await SeekBed.of(layoutOf([{ tar: zeros }]));
    const [digest] = [...bed.objects].find(([, size]) => size === 1000)!;
    expect((await bed.read(digest, 0, 1000)).equals(bed.content(digest))).toBe(true);
    const bomb = gzipSync(Buffer.alloc(50_000_000)).subarray(10);
    let taken = 0;
    const source: BlobRanges = {
      size: 1e9,
      async *read() {
        for (let i = 0; i < 1000; i++) {
          taken++;
          yield bomb;
        }
      },
    };
    await expect(bed.read(digest, 0, 1000, source)).resolves.toHaveLength(1000);
    expect(taken).toBeLessThan(10);
  });

  test("what the source throws is thrown, and a signal ends the reading", async () => {
    const bed = await SeekBed.of(layoutOf([{ tar: plain }]));
    const [digest, size] = [...bed.objects].find(([, bytes]) => bytes === 3_000_000)!;
    const blob = bed.blobOf(digest);
    const broken: BlobRanges = {
      size: blob.size,
      // oxlint-disable-next-line require-yield
      async *read() {
        throw new NotFoundError("NO_FILE", "gone");
      },
    };
    await expect(bed.read(digest, 0, size, broken)).rejects.toThrow("gone");
    const controller = new AbortController();
    const reading = async () => {
      const { signal } = controller;
      for await (const part of extract(bed.index, digest, { start: 0, end: size }, blob, {
        signal,
      })) {
        expect(part.length).toBeGreaterThan(0);
        controller.abort(new Error("enough"));
      }
    };
    await expect(reading()).rejects.toThrow("enough");
  });
});
