/** Objects out of layers: which are asked for together, and what comes of it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { groupObjects } from "../../../src/mirror/layer-groups.ts";
import {
  type ExtractLayer,
  type LayerBlobs,
  LayersSource,
} from "../../../src/mirror/layers-source.ts";
import type { WantedObject } from "../../../src/mirror/source.ts";
import type { BlobRanges } from "../../../src/oci/blob-ranges.ts";
import type { AccessPoints, SeekLayer } from "../../../src/seek/layer.ts";
import type { ObjectPlace } from "../../../src/seek/place.ts";
import type { Places } from "../../../src/seek/read-plan.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";

const noPoints: AccessPoints = { count: 0, bit: () => 0, out: () => 0 };

function plainLayer(number: number, size: number): SeekLayer {
  return {
    number,
    digest: `sha256:${String(number).repeat(64)}`,
    compression: "none",
    size,
    bytes: size,
    points: noPoints,
    seekable: true,
  };
}

/** Compressed two to one, with an access point every `span` uncompressed bytes. */
function spanLayer(size: number, span: number): SeekLayer {
  const count = Math.ceil(size / span);
  const points = { count, bit: (i: number) => i * span * 4, out: (i: number) => i * span };
  return { ...plainLayer(0, size), compression: "gzip", size: size / 2, points };
}

/** A blob whose every read is noted. */
function blobsOf(contents: readonly Uint8Array[]) {
  const reads: { layer: number; start: number; end: number }[] = [];
  const blobs: LayerBlobs = {
    name: "layers of a test",
    open: ({ number }): BlobRanges => ({
      size: contents[number]!.length,
      async *read(start, end) {
        reads.push({ layer: number, start, end });
        await Promise.resolve();
        for (let at = start; at < end; at += 1000) {
          yield contents[number]!.subarray(at, Math.min(end, at + 1000));
        }
      },
    }),
  };
  return { blobs, reads };
}

const extractPlain: ExtractLayer = (_, { offset, length }, blob, options) =>
  blob.read(offset, offset + length, options);

const digestOf = (i: number) => i.toString(16).padStart(64, "0") as VerityDigest;
const placedAt = (i: number, layer: number, offset: number, stored: number) => ({
  object: { digest: digestOf(i), size: stored },
  place: { size: stored, layer, offset, stored, segments: undefined } satisfies ObjectPlace,
});

describe("groups", () => {
  const layers = [plainLayer(0, 100e6), plainLayer(1, 100e6)];

  test("hold objects that lie near one another, in the order in which they lie", () => {
    const objects = [
      placedAt(1, 0, 50_000, 1000),
      placedAt(2, 0, 512, 1000),
      placedAt(3, 0, 20_000_000, 1000),
      placedAt(4, 1, 20_001_500, 1000),
      placedAt(5, 0, 2000, 1000),
    ];
    const runs = groupObjects(layers, objects);
    const digests = runs.map((run) => run.objects.map(({ object }) => object.digest));
    expect(digests).toEqual([
      [digestOf(2), digestOf(5), digestOf(1)],
      [digestOf(3)],
      [digestOf(4)],
    ]);
    expect(runs[0]).toMatchObject({ offset: 512, length: 50_488, cost: 50_488 });
  });

  test("of a layer that can only be read from its start are one", () => {
    const layer: SeekLayer = { ...spanLayer(100e6, 100e6), seekable: false };
    const runs = groupObjects([layer], [placedAt(1, 0, 512, 10), placedAt(2, 0, 99_000_000, 10)]);
    expect(runs).toHaveLength(1);
    expect(runs[0]!.cost).toBe(layer.size);
  });

  test("share a compressed span", () => {
    const layer = spanLayer(10e6, 262_144);
    const runs = groupObjects(
      [layer],
      [placedAt(1, 0, 1000, 500), placedAt(2, 0, 200_000, 500), placedAt(3, 0, 9_000_000, 500)],
    );
    expect(runs.map(({ objects }) => objects.length)).toEqual([2, 1]);
    expect(runs[0]!.cost).toBe(131_072);
  });

  test.each([
    ["bytes", 5000, 20_000, 16 * 1024 * 1024],
    ["objects", 5000, 100, 1024 * 1024],
  ])(
    "do not grow for ever by %s, however near one another the objects lie",
    (_, count, size, most) => {
      const step = Math.ceil((size + 512) / 512) * 512;
      const objects = Array.from({ length: count }, (_each, i) =>
        placedAt(i, 0, 512 + i * step, size),
      );
      const runs = groupObjects([plainLayer(0, 512 + count * step)], objects);
      expect(runs.flatMap((run) => run.objects)).toHaveLength(count);
      expect(Math.max(...runs.map(({ cost }) => cost))).toBeLessThanOrEqual(most);
      expect(Math.max(...runs.map((run) => run.objects.length))).toBeLessThanOrEqual(1024);
      expect(runs.length).toBeLessThan(10);
    },
  );

  test("never overlap, never lose an object, and never cost more than requests of their own", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(8_000_000), size: fc.integer({ min: 1, max: 90_000 }) }), {
          maxLength: 60,
        }),
        fc.constantFrom(plainLayer(0, 10e6), spanLayer(10e6, 65_536), spanLayer(10e6, 10e6)),
        (files, layer) => {
          const objects = files.map(({ at, size }, i) => placedAt(i, 0, at, size));
          const runs = groupObjects([layer], objects);
          expect(runs.flatMap((run) => run.objects).length).toBe(objects.length);
          for (const run of runs) {
            let end = run.offset;
            for (const { place } of run.objects) {
              expect(place.offset).toBeGreaterThanOrEqual(end);
              end = place.offset + place.stored;
            }
            expect(end).toBe(run.offset + run.length);
          }
          const separate = objects.flatMap((each) => groupObjects([layer], [each]));
          const sum = (all: readonly { cost: number }[]) =>
            all.reduce((total, { cost }) => total + cost, 0);
          expect(sum(runs)).toBeLessThanOrEqual(sum(separate) + 65_536 * objects.length);
        },
      ),
    );
  });
});

describe("a source of layers", () => {
  // Three files, one of them sparse: 10 000 bytes, of which [2000,3000) and [9000,10000) are stored.
  const layer = Buffer.alloc(40_000, 0x2e);
  const first = Buffer.alloc(5000, "first ");
  const last = Buffer.alloc(7000, "last ");
  layer.set(first, 512);
  const stored = Buffer.alloc(2000, "stored");
  layer.set(stored, 6656);
  layer.set(last, 20_992);
  const sparse = Buffer.alloc(10_000);
  sparse.set(stored.subarray(0, 1000), 2000);
  sparse.set(stored.subarray(1000), 9000);
  const wantedOf = (content: Uint8Array): WantedObject => ({
    digest: verityDigestOf(content),
    size: content.length,
  });
  const places = new Map<VerityDigest, ObjectPlace>([
    [
      verityDigestOf(first),
      { size: 5000, layer: 0, offset: 512, stored: 5000, segments: undefined },
    ],
    [
      verityDigestOf(sparse),
      { size: 10_000, layer: 0, offset: 6656, stored: 2000, segments: [2000, 1000, 9000, 1000] },
    ],
    [
      verityDigestOf(last),
      { size: 7000, layer: 0, offset: 20_992, stored: 7000, segments: undefined },
    ],
  ]);
  const index: Places = { layers: [plainLayer(0, 40_000)], place: (digest) => places.get(digest) };
  const open = (content = layer) => {
    const { blobs, reads } = blobsOf([content]);
    return { source: new LayersSource(blobs, index, extractPlain), reads };
  };
  const readAll = async (stream: AsyncIterable<Uint8Array>) => {
    const parts: Uint8Array[] = [];
    for await (const chunk of stream) parts.push(Buffer.from(chunk));
    return Buffer.concat(parts);
  };

  test.each([
    ["a file", first],
    ["a sparse file", sparse],
  ])("gives any range of %s", async (_, content) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(content.length), async (a, b) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) };
        const { source } = open();
        const got = await readAll(source.read(wantedOf(content), range, {}));
        expect(got.equals(content.subarray(range.start, range.end))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("gives a group in one read of the blob", async () => {
    const { source, reads } = open();
    const [group, ...others] = source.groups([first, sparse, last].map(wantedOf));
    expect(others).toEqual([]);
    const got = new Map<VerityDigest, Buffer>();
    const ended: VerityDigest[] = [];
    for await (const { object, chunk, isLast } of group!.read({})) {
      got.set(object.digest, Buffer.concat([got.get(object.digest) ?? Buffer.of(), chunk]));
      if (isLast) ended.push(object.digest);
    }
    expect(reads).toEqual([{ layer: 0, start: 512, end: 27_992 }]);
    expect(group!.cost).toBe(27_480);
    expect(source.received()).toBe(27_480);
    for (const content of [first, sparse, last]) {
      expect(got.get(verityDigestOf(content))!.equals(content)).toBe(true);
    }
    expect(ended).toEqual([first, sparse, last].map((content) => verityDigestOf(content)));
  });

  test("knows what it costs, and what it does not have", () => {
    const { source } = open();
    expect(source.cost(wantedOf(first))).toBe(5000);
    expect(source.cost(wantedOf(first), { start: 100, end: 300 })).toBe(200);
    expect(source.cost(wantedOf(sparse), { start: 0, end: 2000 })).toBe(0);
    expect(source.cost(wantedOf(Buffer.from("another")))).toBeUndefined();
    expect(source.cost({ digest: verityDigestOf(first), size: 4999 })).toBeUndefined();
  });

  test("says when the layer ends early", async () => {
    const { source } = open(layer.subarray(0, 22_000));
    const read = readAll(source.read(wantedOf(last), { start: 0, end: 7000 }, {}));
    await expect(read).rejects.toMatchObject({ code: "CUT_SHORT" });
  });
});
