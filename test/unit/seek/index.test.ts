/** The seek index as a file: what is written is read, and what is not right is refused. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { type IndexedLayer, type IndexedPlace, encodeSeekIndex } from "../../../src/seek/encode.ts";
import { SeekHeader, SeekLayerRecord } from "../../../src/seek/format.ts";
import { rangeOf } from "../../../src/seek/place.ts";
import { planRead } from "../../../src/seek/read-plan.ts";
import { NO_POINTS, PointWriter } from "../../../src/seek/point-writer.ts";
import { SeekIndex, readSeekLayers } from "../../../src/seek/seek-index.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";

const digestOf = (name: string) => createHash("sha256").update(name).digest("hex") as VerityDigest;

/** Points 300 kB apart, each with a window of which some runs are used. */
function gzipPoints(count: number) {
  const writer = new PointWriter();
  const windows: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const used = new Uint8Array(32768);
    const window = Uint8Array.from({ length: 32768 }, (_, at) => (at * (i + 3)) % 251);
    if (i > 0)
      for (let run = 0; run < 20; run++) used.fill(1, run * 1500 + i * 7, run * 1500 + i * 9);
    if (i % 5 === 4) used.fill(1, 32000);
    writer.add(80 + i * 1_000_003, i * 300_000, { window, used });
    windows.push(window.map((byte, at) => (used[at] === 1 ? byte : 0)));
  }
  return { points: writer.finish(), windows };
}

function zstdPoints(count: number) {
  const writer = new PointWriter();
  for (let i = 0; i < count; i++) writer.add(i * 40_000, i * 70_000);
  return writer.finish();
}

const { points, windows } = gzipPoints(40);
const layers: readonly IndexedLayer[] = [
  {
    digest: `sha256:${"1".repeat(64)}`,
    compression: "gzip",
    size: 6_000_000,
    bytes: 12_000_000,
    points,
  },
  {
    digest: `sha512:${"2".repeat(128)}`,
    compression: "zstd",
    size: 400_000,
    bytes: 700_000,
    points: zstdPoints(10),
  },
  {
    digest: `sha256:${"3".repeat(64)}`,
    compression: "none",
    size: 512_000,
    bytes: 512_000,
    points: NO_POINTS,
  },
  {
    digest: `sha256:${"4".repeat(64)}`,
    compression: "zstd",
    size: 5000,
    bytes: 10_240,
    points: zstdPoints(1),
  },
];
const objects = new Map(
  ["a", "b", "c", "sparse", "hole", "nowhere"].map((name, i) => [digestOf(name), 1000 * (i + 1)]),
);
const places: readonly IndexedPlace[] = [
  { digest: digestOf("b"), layer: 0, offset: 11_996_672 },
  { digest: digestOf("a"), layer: 0, offset: 1024 },
  { digest: digestOf("c"), layer: 1, offset: 512 },
  { digest: digestOf("sparse"), layer: 2, offset: 4096, segments: [100, 50, 3000, 1000, 4000, 0] },
  { digest: digestOf("hole"), layer: 2, offset: 8192, segments: [] },
];
const bytes = encodeSeekIndex(objects, layers, places);

describe("an index that was written", () => {
  const index = SeekIndex.parse(bytes, objects);

  test("has the same layers and points", () => {
    expect(
      index.layers.map(({ digest, compression, size, bytes: plain }) => [
        digest,
        compression,
        size,
        plain,
      ]),
    ).toEqual(
      layers.map(({ digest, compression, size, bytes: plain }) => [
        digest,
        compression,
        size,
        plain,
      ]),
    );
    expect(index.layers.map(({ seekable }) => seekable)).toEqual([true, true, true, false]);
    expect(index.layers.map(({ points: { count } }) => count)).toEqual([40, 10, 0, 1]);
    expect(index.layers[0]!.points.bit(39)).toBe(80 + 39 * 1_000_003);
    expect(index.layers[1]!.points.bit(9)).toBe(9 * 40_000 * 8);
    expect(index.layers[1]!.points.out(9)).toBe(9 * 70_000);
  });

  test("has the windows, in any order of asking", () => {
    for (const point of [39, 0, 17, 16, 4, 31, 32, 4, 8, 15]) {
      const window = index.layers[0]!.points.window(point);
      const whole = Buffer.alloc(32768);
      whole.set(window, 32768 - window.length);
      expect(whole.equals(windows[point]!)).toBe(true);
    }
    expect(index.layers[0]!.points.window(0).length).toBe(0);
  });

  test("has the places", () => {
    expect(index.place(digestOf("a"))).toEqual({
      size: 1000,
      layer: 0,
      offset: 1024,
      stored: 1000,
      segments: undefined,
    });
    expect(index.place(digestOf("b"))).toMatchObject({
      layer: 0,
      offset: 11_996_672,
      stored: 2000,
    });
    expect(index.place(digestOf("sparse"))).toEqual({
      size: 4000,
      layer: 2,
      offset: 4096,
      stored: 1050,
      segments: [100, 50, 3000, 1000, 4000, 0],
    });
    expect(index.place(digestOf("hole"))).toMatchObject({ stored: 0, segments: [] });
    expect(index.place(digestOf("nowhere"))).toBeUndefined();
    expect(index.place(digestOf("unknown"))).toBeUndefined();
    expect(index.digests()).toEqual(["a", "b", "c", "sparse", "hole"].map(digestOf));
  });

  test("can be looked at without the image", () => {
    expect(readSeekLayers(bytes).map(({ places: count }) => count)).toEqual([2, 1, 2, 0]);
  });

  test("is the same bytes wherever it is written", () => {
    expect(Buffer.from(encodeSeekIndex(objects, layers, places.toReversed())).equals(bytes)).toBe(
      true,
    );
    // Changes only with the compressor, or with the format's version.
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(PINNED);
  });
});

const PINNED = "45e3e36159e89591c3043d808bcfc61d2edb2eac6ac43b1785663ddffb3b14b6";

describe("a plan", () => {
  const index = SeekIndex.parse(bytes, objects);

  test("starts at the point before, and ends at the one after", () => {
    const plan = planRead(index, digestOf("b"), { start: 500, end: 700 })!;
    expect(plan).toMatchObject({ point: 39, skip: 11_996_672 + 500 - 39 * 300_000, length: 200 });
    expect(plan.blob).toEqual({ start: Math.floor((80 + 39 * 1_000_003) / 8), end: 6_000_000 });
    expect(planRead(index, digestOf("a"))!.blob).toEqual({
      start: 10,
      end: Math.ceil(1_000_083 / 8),
    });
  });

  test("of what is stored plain takes just that", () => {
    const plan = planRead(index, digestOf("sparse"), { start: 120, end: 3100 })!;
    expect(plan.blob).toEqual({ start: 4096 + 20, end: 4096 + 150 });
    expect(plan.pieces).toEqual([
      { stored: true, length: 30 },
      { stored: false, length: 2850 },
      { stored: true, length: 100 },
    ]);
  });

  test("of a hole takes nothing", () => {
    const plan = planRead(index, digestOf("hole"), { start: 5, end: 4005 })!;
    expect(plan.blob).toEqual({ start: 0, end: 0 });
    expect(plan.pieces).toEqual([{ stored: false, length: 4000 }]);
  });

  test("beyond the object's end is a mistake", () => {
    expect(() => planRead(index, digestOf("a"), { start: 0, end: 1001 })).toThrow(RangeError);
  });

  test("any range of any sparse file is made of its own bytes", () => {
    const gaps = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 6 });
    fc.assert(
      fc.property(gaps, fc.nat(9), fc.nat(80), fc.nat(80), (list, tail, a, b) => {
        const segments: number[] = [];
        const file: number[] = []; // position in the stored bytes, or -1 in a hole
        let stored = 0;
        for (const [hole, length] of list) {
          for (let i = 0; i < hole; i++) file.push(-1);
          segments.push(file.length, length);
          for (let i = 0; i < length; i++) file.push(stored++);
        }
        for (let i = 0; i < tail; i++) file.push(-1);
        const size = file.length;
        const [start, end] = [Math.min(a, b, size), Math.min(Math.max(a, b), size)];
        const range = rangeOf({ size, layer: 0, offset: 1000, stored, segments }, start, end);
        let at = range.offset - 1000;
        const got = range.pieces.flatMap(({ stored: isStored, length }) =>
          Array.from({ length }, () => (isStored ? at++ : -1)),
        );
        expect(got).toEqual(file.slice(start, end));
        expect(range.stored).toBe(file.slice(start, end).filter((place) => place >= 0).length);
      }),
    );
  });
});

/** Reads all of an index; gives a FormatError's code. */
function codeOf(file: Uint8Array, of = objects): string {
  try {
    const index = SeekIndex.parse(file, of);
    for (const layer of index.layers) {
      for (let point = 0; point < layer.points.count; point++) {
        expect(layer.points.window(point).length).toBeLessThanOrEqual(32768);
        expect(layer.points.out(point)).toBeLessThanOrEqual(layer.bytes);
        expect(layer.points.bit(point)).toBeLessThanOrEqual(layer.size * 8);
      }
    }
    for (const digest of index.digests()) {
      const { layer, offset, stored, size } = index.place(digest)!;
      expect(size).toBe(of.get(digest));
      expect(stored).toBeLessThanOrEqual(size);
      expect(offset + stored).toBeLessThanOrEqual(index.layers[layer]!.bytes);
    }
    return "good";
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as FormatError).code;
  }
}

/** The index with another value in its header or in the record of its first layer. */
function patched(what: "header" | "layer", fields: Record<string, unknown>): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const layout = what === "header" ? SeekHeader : SeekLayerRecord;
  const at = what === "header" ? 0 : SeekHeader.size;
  layout.encodeInto(copy, at, { ...layout.decode(copy, at), ...fields } as never);
  return copy;
}

describe("an index that is not right is refused", () => {
  test.each([
    ["another magic number", { magic: Buffer.from("sealseeK") }, "BAD_MAGIC"],
    ["another version", { version: 2 }, "UNSUPPORTED"],
    ["too many layers", { layers: limits.layers + 1 }, "LIMIT"],
    ["more layers than there are", { layers: limits.layers }, "TRUNCATED"],
    ["another number of objects", { objects: 7 }, "MALFORMED"],
    ["too many objects", { objects: limits.inodes + 1 }, "LIMIT"],
    ["too many bytes of places", { placesPlainBytes: limits.seekPlacesBytes + 1 }, "LIMIT"],
    [
      "places that cannot come of so few bytes",
      { placesPlainBytes: limits.seekPlacesBytes },
      "MALFORMED",
    ],
    ["places beyond the end", { placesBytes: 0xffffffff }, "TRUNCATED"],
  ])("%s", (_what, fields, code) => {
    expect(codeOf(patched("header", fields))).toBe(code);
  });

  test.each([
    ["an unknown compression", { compression: 3 }, "UNSUPPORTED"],
    ["an unknown digest", { digestAlgorithm: 0 }, "UNSUPPORTED"],
    ["too many points", { points: limits.seekPoints + 1 }, "LIMIT"],
    ["more points than bytes", { points: 100_000 }, "MALFORMED"],
    ["a layer too large", { bytes: BigInt(limits.layerBytes) + 1n }, "LIMIT"],
    ["a layer larger than a number", { size: 2n ** 63n }, "LIMIT"],
    ["points beyond the blob", { size: 1000n }, "OUT_OF_RANGE"],
    ["points or places beyond the layer", { bytes: 11_000_000n }, "OUT_OF_RANGE"],
    ["windows beyond the end", { windowsBytes: 10_000_000n }, "TRUNCATED"],
    ["windows that are too short", { windowsBytes: 1n }, "OUT_OF_RANGE"],
    ["a plain layer with points", { compression: 0, size: 12_000_000n }, "MALFORMED"],
    ["more places than objects", { places: 7 }, "MALFORMED"],
  ])("%s", (_what, fields, code) => {
    expect(codeOf(patched("layer", fields))).toBe(code);
  });

  test("one that is cut, wherever that is, or goes on", () => {
    for (let end = 0; end < bytes.length; end += end < 700 ? 1 : 37) {
      expect(codeOf(bytes.subarray(0, end))).not.toBe("good");
    }
    expect(codeOf(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe("MALFORMED");
  });

  test("flipped bits give other places and windows within bounds, or a FormatError", () => {
    const outcomes = new Set<string>();
    // The header and the layers first; SLOW=1 flips each of their bits.
    const [here, further] = process.env["SLOW"] === "1" ? [1, 151] : [7, 1009];
    for (let bit = 0; bit < bytes.length * 8; bit += bit < 4000 ? here : further) {
      const copy = Uint8Array.from(bytes);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      outcomes.add(codeOf(copy));
    }
    expect(outcomes.has("good")).toBe(true);
    expect(outcomes.size).toBeGreaterThan(4);
  });

  test("any bytes, also behind a good header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(400), (junk, keep) => {
        expect(codeOf(junk)).not.toBe("good");
        codeOf(Buffer.concat([bytes.subarray(0, keep), junk]));
      }),
    );
  });
});
