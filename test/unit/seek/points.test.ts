/** Access points of gzip streams: where they are, and that decoding can start there. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { gunzipOwn } from "../../../src/oci/codec/gunzip-own.ts";
import { gunzipHandle } from "../../../src/oci/codec/gunzip.ts";
import { gunzipPointsWorks } from "../../../src/oci/codec/gunzip-points.ts";
import { gunzipFrom } from "../../../src/oci/codec/seek-gunzip.ts";
import type { DecoderInput } from "../../../src/oci/codec/zlib-handle.ts";
import { PointFinder } from "../../../src/seek/point-finder.ts";
import { mixedBytes, multiMemberGzip, parallelGzip } from "../../support/compressed-layers.ts";

interface Point {
  readonly bit: number;
  readonly out: number;
  readonly window: Buffer;
}

/** Gives the stream in pieces. */
class Pieces implements DecoderInput {
  readonly #bytes: Uint8Array;
  readonly #step: number;
  taken = 0;
  constructor(bytes: Uint8Array, step: number) {
    this.#bytes = bytes;
    this.#step = step;
  }
  get size() {
    return this.#bytes.length;
  }
  get atEnd() {
    return this.taken === this.size;
  }
  *chunks() {
    while (!this.atEnd) {
      const start = this.taken;
      this.taken = Math.min(this.size, start + this.#step);
      yield this.#bytes.subarray(start, this.taken);
    }
  }
}

const SPAN = 100_000;

/** A point with its window's digest: comparing the bytes one by one takes seconds. */
const described = ({ bit, out, window }: Point) =>
  `${bit} ${out} ${createHash("sha256").update(window).digest("hex")}`;

function pointsOf(packed: Buffer, way: "zlib" | "own", step: number, room = 1 << 20) {
  const points: Point[] = [];
  const finder = new PointFinder(({ bit, out, window, used }) => {
    points.push({ bit, out, window: Buffer.from(window.map((byte, i) => (used[i] ? byte : 0))) });
  }, SPAN);
  const parts: Buffer[] = [];
  const buffer = new Uint8Array(room);
  const input = new Pieces(packed, step);
  const chunks =
    way === "zlib"
      ? gunzipHandle(input, () => buffer, "test", finder)
      : gunzipOwn(input, "test", finder);
  for (const chunk of chunks) parts.push(Buffer.from(chunk));
  return { points, bytes: Buffer.concat(parts) };
}

const bytes = mixedBytes(1_500_000);
const forms: readonly (readonly [name: string, packed: Buffer])[] = [
  ["gzip -1", gzipSync(bytes, { level: 1 })],
  ["gzip -6", gzipSync(bytes, { level: 6 })],
  ["gzip -9", gzipSync(bytes, { level: 9 })],
  ["gzip without compression", gzipSync(bytes, { level: 0 })],
  ["small blocks", gzipSync(bytes, { memLevel: 1 })],
  ["blocks of 128 KiB as of pigz", parallelGzip(bytes, 128 * 1024, true)],
  ["independent blocks as of pigz -i", parallelGzip(bytes, 128 * 1024, false)],
  ["blocks of 1 MiB as of pgzip", parallelGzip(bytes, 1024 * 1024, true, 5)],
  ["members of 10 kB", multiMemberGzip(bytes, 10_000)],
  ["members of 400 kB", multiMemberGzip(bytes, 400_000)],
];

test("zlib stops at the ends of blocks on this Node", () => {
  expect(gunzipPointsWorks()).toBe(true);
});

describe.each(forms)("%s", (_name, packed) => {
  const { points, bytes: output } = pointsOf(packed, "zlib", 1 << 20);

  test("is decompressed, and has points all along", () => {
    expect(output.equals(bytes)).toBe(true);
    expect(points[0]!.out).toBe(0);
    const outs = [...points.map(({ out }) => out), bytes.length];
    for (const [i, out] of outs.slice(1).entries()) {
      expect(out - outs[i]!).toBeGreaterThan(i < outs.length - 2 ? SPAN : 0);
      expect(out - outs[i]!).toBeLessThan(3 * SPAN);
    }
  });

  test("has the same points by our own inflater, and however it is cut", () => {
    for (const [way, step, room] of [
      ["own", 1 << 20, 0],
      ["own", 4099, 0],
      ["zlib", 4099, 10_007],
      ["zlib", 333, 1 << 20],
    ] as const) {
      const other = pointsOf(packed, way, step, room);
      expect(other.bytes.equals(bytes)).toBe(true);
      expect(other.points.map(described)).toEqual(points.map(described));
    }
  });

  test.each(["zlib", "own"] as const)(
    "is decompressed from each point on by %s",
    async (decoder) => {
      for (const { bit, out, window } of points) {
        const rest = packed.subarray(bit >> 3);
        const pieces = async function* () {
          for (let at = 0; at < rest.length; at += 50_001) yield rest.subarray(at, at + 50_001);
        };
        const length = Math.min(bytes.length - out, 2 * SPAN);
        const parts: Buffer[] = [];
        for await (const chunk of gunzipFrom(pieces(), bit & 7, window, length, decoder)) {
          parts.push(Buffer.from(chunk));
        }
        expect(Buffer.concat(parts).equals(bytes.subarray(out, out + length))).toBe(true);
      }
    },
  );
});

test("every bit of a byte was tried: the points lie at all of them", () => {
  const phases = forms.flatMap(([, packed]) =>
    pointsOf(packed, "zlib", 1 << 20).points.map(({ bit }) => bit & 7),
  );
  expect([...new Set(phases)].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test("few bytes of the windows are kept, none where nothing before is referred to", () => {
  const [, packed] = forms[1]!;
  const { points } = pointsOf(packed, "zlib", 1 << 20);
  const kept = points.reduce((sum, { window }) => sum + window.filter((b) => b !== 0).length, 0);
  expect(kept).toBeLessThan((points.length * 32768) / 4);
  const [, independent] = forms[6]!;
  const empty = pointsOf(independent, "zlib", 1 << 20).points.filter(({ window }) =>
    window.every((byte) => byte === 0),
  );
  expect(empty.length).toBeGreaterThan(5);
});

test("our own gunzip finds the same faults as zlib's", () => {
  const good = gzipSync(bytes.subarray(0, 200_000));
  const flip = (at: number) => {
    const copy = Buffer.from(good);
    copy[at]! ^= 1;
    return copy;
  };
  const cases = [
    flip(0),
    flip(good.length - 8),
    flip(good.length - 4),
    good.subarray(0, -1),
    good.subarray(0, 5),
    good.subarray(0, 1000),
    Buffer.concat([good, Buffer.alloc(3)]),
    Buffer.concat([good, Buffer.from("junk")]),
  ];
  for (const packed of cases) {
    const codes = (["zlib", "own"] as const).map((way) => {
      try {
        pointsOf(packed, way, 1000);
        return "none";
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
    expect(codes[0]).toBe(codes[1]);
    expect(codes[0]).not.toBe("none");
  }
});
