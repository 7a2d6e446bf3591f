import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import { archive, header, member, pax, readTar } from "../../support/tar.ts";

type Segment = readonly [offset: number, data: string];

const stored = (segments: readonly Segment[]) => segments.map(([, data]) => data).join("");

function expanded(size: number, segments: readonly Segment[]): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [offset, data] of segments) bytes.write(data, offset, "latin1");
  return bytes;
}

function sparse00(size: number, segments: readonly Segment[]): Uint8Array {
  const records: [string, string][] = [
    ["GNU.sparse.size", String(size)],
    ["GNU.sparse.numblocks", String(segments.length)],
  ];
  for (const [offset, data] of segments) {
    records.push(["GNU.sparse.offset", String(offset)]);
    records.push(["GNU.sparse.numbytes", String(data.length)]);
  }
  return Buffer.concat([pax(records), member({ name: "f" }, stored(segments))]);
}

function sparse01(size: number, segments: readonly Segment[]): Uint8Array {
  const records = {
    "GNU.sparse.size": String(size),
    "GNU.sparse.numblocks": String(segments.length),
    "GNU.sparse.name": "f",
    "GNU.sparse.map": segments.flatMap(([offset, data]) => [offset, data.length]).join(","),
  };
  return Buffer.concat([pax(records), member({ name: "GNUSparseFile.1/f" }, stored(segments))]);
}

function map10(segments: readonly Segment[]): string {
  const numbers = [segments.length, ...segments.flatMap(([at, data]) => [at, data.length])];
  const text = numbers.map((number) => `${number}\n`).join("");
  return text.padEnd(Math.ceil(text.length / 512) * 512, "\0");
}

function sparse10(size: number | string, content: string): Uint8Array {
  const records = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "f",
    "GNU.sparse.realsize": String(size),
  };
  return Buffer.concat([pax(records), member({ name: "GNUSparseFile.1/f" }, content)]);
}

const formats: readonly (readonly [string, typeof sparse00])[] = [
  ["0.0", sparse00],
  ["0.1", sparse01],
  ["1.0", (size, segments) => sparse10(size, map10(segments) + stored(segments))],
];

describe.each(formats)("sparse format %s", (_, make) => {
  test.each<[string, number, Segment[]]>([
    ["holes around", 5000, [[100, "data"]]],
    ["no hole", 4, [[0, "data"]]],
    ["data at the end", 4096, [[4092, "data"]]],
    [
      "adjacent segments",
      10,
      [
        [0, "12345"],
        [5, "67890"],
      ],
    ],
    [
      "an empty last segment",
      5000,
      [
        [0, "data"],
        [5000, ""],
      ],
    ],
    ["only a hole", 200_000, []],
    ["only a hole, said by an empty segment", 70_000, [[70_000, ""]]],
    ["many segments", 100_000, Array.from({ length: 200 }, (_, i) => [i * 500, "x".repeat(i)])],
    ["nothing at all", 0, []],
  ])("a file with %s is expanded", (_what, size, segments) => {
    const bytes = archive(make(size, segments), header({ name: "next" }));
    for (const chunkSize of [bytes.length, 512, 7]) {
      const [entry, next] = readTar(bytes, { chunkSize });
      const lengths = segments.flatMap(([offset, data]) => [offset, data.length]);
      expect(entry).toMatchObject({ path: "f", type: "file", size, segments: lengths });
      expect(Buffer.from(entry!.content ?? []).equals(expanded(size, segments))).toBe(true);
      expect(next!.path).toBe("next");
    }
  });

  test("without a sink the file is skipped", () => {
    const names: string[] = [];
    const parser = new TarParser({ entry: (entry) => void names.push(entry.path) });
    parser.write(archive(make(5000, [[100, "data"]]), header({ name: "next" })));
    parser.end();
    expect(names).toEqual(["f", "next"]);
  });

  test.each<[string, number, Segment[]]>([
    [
      "overlap",
      100,
      [
        [0, "12345"],
        [4, "6789"],
      ],
    ],
    [
      "descend",
      100,
      [
        [50, "12345"],
        [0, "6789"],
      ],
    ],
    ["go past the end", 100, [[98, "12345"]]],
    ["start past the end", 100, [[101, ""]]],
  ])("segments that %s are refused", (_what, size, segments) => {
    expect(() => readTar(archive(make(size, segments)))).toThrow("sparse segment");
  });

  test("10 000 segments are read, one more is refused", () => {
    const segments = (count: number) =>
      Array.from({ length: count }, (_, i): Segment => [i * 2, "x"]);
    const { sparseSegments } = limits;
    expect(readTar(archive(make(30_000, segments(sparseSegments))))[0]!.size).toBe(30_000);
    expect(() => readTar(archive(make(30_000, segments(sparseSegments + 1))))).toThrow(
      expect.objectContaining({ code: "LIMIT" }),
    );
  });
});

test("the stored data starts after a map in the content", () => {
  const [entry] = readTar(archive(sparse10(10, `${map10([[0, "data"]])}data`)));
  expect(entry).toMatchObject({ headerOffset: 1024, dataOffset: 1024 + 512 + 512 });
});

test.each([
  ["8 EiB", "9223372036854775807", "OUT_OF_RANGE"],
  ["more than a layer may have", String(limits.layerBytes + 1), "LIMIT"],
])("a file of %s is refused", (_, size, code) => {
  expect(() => readTar(archive(sparse10(size, map10([]))))).toThrow(
    expect.objectContaining({ code }),
  );
});

test("all sparse files together are limited", () => {
  const half = sparse10(limits.layerBytes / 2, map10([]));
  let entries = 0;
  const parser = new TarParser({ entry: () => void entries++ });
  parser.write(half);
  expect(() => parser.write(half)).toThrow(
    expect.objectContaining({ code: "LIMIT", hint: expect.stringContaining("--max-layer-size") }),
  );
  expect(entries).toBe(1);
});

test("the archive and the holes of its sparse files have one bound, which can be set", () => {
  const map = map10([[0, "data"]]);
  const bytes = archive(
    sparse10(1_000_000, `${map}data`),
    member({ name: "after" }, "x".repeat(512)),
  );
  // The second header ends behind those of the first file, its map and its block of data.
  const expanded = 512 * 7 + (1_000_000 - map.length - 4);
  const taken = expanded - 512;
  expect(readTar(bytes, { maxBytes: expanded })).toHaveLength(2);
  expect(() => readTar(bytes, { maxBytes: expanded - 1 })).toThrow(`got ${expanded}`);
  expect(() => readTar(bytes, { maxBytes: taken - 2000 })).toThrow(
    expect.objectContaining({ code: "LIMIT" }),
  );
  expect(readTar(archive(member({}, "x".repeat(9999))), { maxBytes: 1 })).toHaveLength(1);
});

test.each([
  ["more stored than mapped", `${map10([[0, "data"]])}data and more`],
  ["less stored than mapped", `${map10([[0, "data"]])}dat`],
  ["a map that does not end", "5\n0\n1\n"],
  ["no map", "x".repeat(600)],
  ["an empty line", "1\n\n0\n0\n".padEnd(512, "\0")],
  ["a negative number", "1\n-1\n0\n".padEnd(512, "\0")],
  ["a number of many digits", `${"0".repeat(400)}1\n0\n0\n`.padEnd(512, "\0")],
  ["no content at all", ""],
])("a map in the content is refused with %s", (_, content) => {
  expect(() => readTar(archive(sparse10(100, content)))).toThrow(FormatError);
});

test.each<[string, Record<string, string>, string]>([
  ["another version", { "GNU.sparse.major": "2", "GNU.sparse.minor": "0" }, "got 2.0"],
  ["half a version", { "GNU.sparse.major": "1" }, "got 1.?"],
  ["no size", { "GNU.sparse.numblocks": "0", "GNU.sparse.map": "" }, "file's size, got none"],
  ["no count", { "GNU.sparse.size": "0", "GNU.sparse.map": "" }, "number of segments, got none"],
  ["a wrong count", { "GNU.sparse.size": "9", "GNU.sparse.numblocks": "2" }, "expected 2 segments"],
  [
    "an odd map",
    { "GNU.sparse.size": "9", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "1" },
    "expected 1 segments",
  ],
  [
    "lengths before offsets",
    { "GNU.sparse.size": "9", "GNU.sparse.numbytes": "1" },
    "offset and length in turn",
  ],
  ["two sizes", { "GNU.sparse.size": "9", "GNU.sparse.realsize": "9" }, "expected one size"],
  [
    "two maps",
    {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.realsize": "9",
      "GNU.sparse.map": "0,1",
    },
    "map in the content only",
  ],
  [
    "a map of both kinds",
    { "GNU.sparse.offset": "0", "GNU.sparse.numbytes": "1", "GNU.sparse.map": "0,1" },
    "expected one map",
  ],
  ["an unknown record", { "GNU.sparse.other": "1" }, "unknown sparse record"],
  ["star's records", { "SCHILY.realsize": "9" }, "star's sparse files"],
])("sparse records with %s are refused", (_, records, message) => {
  expect(() => readTar(archive(pax(records), member({}, "")))).toThrow(message);
});

test("sparse records on anything but a file are refused", () => {
  const records = { "GNU.sparse.size": "9", "GNU.sparse.numblocks": "0" };
  expect(() => readTar(archive(pax(records), header({ type: "5" })))).toThrow("a sparse file");
});
