import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, deflateRawSync, gzipSync } from "node:zlib";
import * as zlib from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError, SealfsError } from "../../../src/errors.ts";
import type { Decoder } from "../../../src/oci/codec/decode.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import { gunzipHandleWorks } from "../../../src/oci/codec/gunzip.ts";
import { type LayerDescriptor, NO_ANNOTATIONS, type OciImage } from "../../../src/oci/image.ts";
import {
  type LayerOptions,
  type LayerReport,
  layerChunks,
  readLayer,
} from "../../../src/oci/layer/layer.ts";
import type { Compression } from "../../../src/oci/media-types.ts";
import { isTar } from "../../../src/oci/codec/sniff.ts";
import { unzstdHandleWorks } from "../../../src/oci/codec/unzstd.ts";
import { ZstdFrames } from "../../../src/oci/codec/zstd-frames.ts";
import { digestOf, tar } from "../../support/oci.ts";
import { oracle } from "../../support/oracle.ts";
import { scratchFolder } from "../../support/scratch.ts";

const vector = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../vectors/oci/${name}`, import.meta.url)));

/** Every way of reading: they must not be told apart by what comes out. */
const ways: readonly (readonly [string, LayerOptions])[] = [
  ["here", { thread: "here" }],
  ["here, documented stream", { thread: "here", decoder: "documented" }],
  ["in a thread of its own", { thread: "own" }],
  ["in a thread of its own, documented stream", { thread: "own", decoder: "documented" }],
  ["in a thread of its own that hashes", { thread: "own", diffIdIn: "own" }],
  ["in a thread of its own, hashed here", { thread: "own", diffIdIn: "here" }],
];

interface Given {
  readonly compression?: Compression;
  readonly digest?: string;
  readonly diffId?: string;
  readonly size?: number;
}

/** A file with `blob` somewhere in it, as an image with one layer. */
function imageOf(blob: Uint8Array, given: Given = {}) {
  const path = join(scratchFolder(), "blob");
  writeFileSync(
    path,
    Buffer.concat([Buffer.alloc(777, "before"), blob, Buffer.alloc(99, "after")]),
  );
  const layer: LayerDescriptor = {
    label: "the layer",
    mediaType: undefined,
    compression: given.compression,
    digest: given.digest as OciDigest | undefined,
    size: given.size ?? blob.length,
    diffId: given.diffId as OciDigest | undefined,
    annotations: NO_ANNOTATIONS,
  };
  let open = 0;
  const image: Pick<OciImage, "openBlob"> = {
    openBlob() {
      const fd = openSync(path, "r");
      open++;
      const close = () => {
        open--;
        closeSync(fd);
      };
      return { fd, offset: 777, size: blob.length, close };
    },
  };
  return { path, layer, image, open: () => open };
}

async function read(
  blob: Uint8Array,
  given: Given,
  options: LayerOptions,
): Promise<[Buffer, LayerReport]> {
  const { layer, image, open } = imageOf(blob, given);
  const chunks: Uint8Array[] = [];
  try {
    const report = await readLayer(image, layer, (chunk) => chunks.push(chunk.slice()), options);
    return [Buffer.concat(chunks), report];
  } finally {
    expect(open()).toBe(0);
  }
}

async function refusal(blob: Uint8Array, given: Given, options: LayerOptions): Promise<string> {
  try {
    await read(blob, given, options);
    return "accepted";
  } catch (error) {
    if (error instanceof SealfsError) return `${error.name} ${error.code}`;
    throw error;
  }
}

/** What the vectors hold: see their README. */
const text = makeText();
function makeText(): Buffer {
  const lines: string[] = [];
  for (let bytes = 0, i = 0; bytes < 200_000; i++) {
    const hash = createHash("md5")
      .update(String(i % 97))
      .digest("hex");
    lines.push(`line ${i} of the text that every vector holds; ${hash}\n`);
    bytes += lines.at(-1)!.length;
  }
  return Buffer.from(lines.join("")).subarray(0, 200_000);
}

/** A gzip member with any header (RFC 1952, section 2.3). */
function member(data: Uint8Array, flags: number, fields: Uint8Array = new Uint8Array(0)): Buffer {
  const trailer = gzipSync(data).subarray(-8);
  const header = Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
  return Buffer.concat([header, fields, deflateRawSync(data), trailer]);
}

/** A gzip member of `data` that starts with a tar header: its extra field holds the checksum. */
function gzipAndTar(data: Uint8Array): Buffer {
  const length = Buffer.from([600 & 0xff, 600 >> 8]);
  const blob = member(data, 0x04, Buffer.concat([length, Buffer.alloc(600)]));
  blob.write("        ", 148, "latin1");
  const sum = blob.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  blob.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return blob;
}

/** One zstd frame of raw blocks (RFC 8878, section 3.1.1). */
function zstd(data: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  const parts: Uint8Array[] = [Buffer.from("28b52ffda0", "hex"), size];
  for (let at = 0; at < data.length; at += 1 << 16) {
    const block = data.subarray(at, at + (1 << 16));
    const header = Buffer.alloc(3);
    const isLast = at + block.length === data.length;
    header.writeUIntLE((block.length << 3) | (isLast ? 1 : 0), 0, 3);
    parts.push(header, block);
  }
  return Buffer.concat(parts);
}

test("the private handles are usable on this Node", () => {
  expect(gunzipHandleWorks()).toBe(true);
  expect(unzstdHandleWorks()).toBe("createZstdDecompress" in zlib);
});

const zeros = gzipSync(Buffer.alloc(80_000_000), { level: constants.Z_BEST_COMPRESSION });

describe.each(ways)("a layer read %s", (_, options) => {
  test.each([
    "plain.gz",
    "named.gz",
    "members.gz",
    "plain.zst",
    "no-check.zst",
    "stdin.zst",
    "frames.zst",
    "skippable.zst",
    "window-128m.zst",
  ])("%s", async (name) => {
    const blob = vector(name);
    const compression = name.endsWith(".gz") ? "gzip" : "zstd";
    const declared = { compression, digest: digestOf(blob), diffId: digestOf(text) } as const;
    for (const given of [declared, {}]) {
      const [bytes, report] = await read(blob, given, options);
      expect(bytes.equals(text)).toBe(true);
      expect(report).toEqual({ ...declared, bytes: text.length });
    }
  });

  test("uncompressed, and with digests by sha512", async () => {
    const tar = Buffer.concat([Buffer.alloc(600, "x"), text]);
    for (const algorithm of ["sha256", "sha512"]) {
      const digest = digestOf(tar, algorithm);
      for (const diffId of [digest, digestOf(tar)]) {
        const [bytes, report] = await read(tar, { compression: "none", digest, diffId }, options);
        expect(bytes.equals(tar)).toBe(true);
        expect(report).toEqual({ compression: "none", bytes: tar.length, digest, diffId });
      }
    }
  });

  test("of several megabytes, in chunks, telling how much has been read", async () => {
    const big = Buffer.concat(Array.from({ length: 100 }, () => text));
    for (const blob of [gzipSync(big), big]) {
      const { layer, image } = imageOf(blob);
      let told = 0;
      let at = 0;
      const write = (chunk: Uint8Array) => {
        expect(chunk.length).toBeLessThanOrEqual(1 << 20);
        expect(big.compare(chunk, 0, chunk.length, at, at + chunk.length)).toBe(0);
        at += chunk.length;
      };
      await readLayer(image, layer, write, { ...options, onRead: (bytes) => (told += bytes) });
      expect(at).toBe(big.length);
      expect(told).toBe(blob.length);
    }
  });

  test("gzip with every header field, and an empty member", async () => {
    const extra = Buffer.concat([Buffer.from([4, 0]), Buffer.from("SG\0\0")]);
    const name = Buffer.from("name\0");
    const comment = Buffer.from("comment\0");
    const all = Buffer.concat([extra, name, comment]);
    const blob = Buffer.concat([
      member(text, 0x01),
      member(text, 0x04, extra),
      member(text, 0x08, name),
      member(text, 0x10, comment),
      member(text, 0x1c, all),
      member(new Uint8Array(0), 0),
    ]);
    const [bytes] = await read(blob, { compression: "gzip" }, options);
    expect(bytes.equals(Buffer.concat([text, text, text, text, text]))).toBe(true);
  });

  test("gzip that is cut, damaged, or followed by something, is refused (docs/hostile-inputs.md, 90)", async () => {
    const blob = gzipSync(text);
    const damaged = (at: number) => {
      const copy = Buffer.from(blob);
      copy[at < 0 ? copy.length + at : at]! ^= 0x10;
      return copy;
    };
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [blob.subarray(0, 5), "TRUNCATED"],
      [blob.subarray(0, 1000), "TRUNCATED"],
      [blob.subarray(0, -1), "TRUNCATED"],
      [blob.subarray(0, -8), "TRUNCATED"],
      [Buffer.concat([blob, blob.subarray(0, 12)]), "TRUNCATED"],
      [damaged(-1), "BAD_CHECKSUM"],
      [damaged(-5), "BAD_CHECKSUM"],
      [member(text, 0xe0), "MALFORMED"],
      [member(text, 0x02), "MALFORMED"], // a header checksum that is not right (part of the data)
      [Buffer.concat([blob, Buffer.from("garbage")]), "MALFORMED"],
      [Buffer.concat([blob, Buffer.alloc(512)]), "MALFORMED"],
      [Buffer.concat([blob, Buffer.alloc(1)]), "MALFORMED"],
    ];
    for (const [bytes, code] of cases) {
      expect(await refusal(bytes, { compression: "gzip" }, options)).toBe(`FormatError ${code}`);
    }
    const nothing = new Uint8Array(0);
    const empty = { compression: "gzip", diffId: digestOf(nothing) } as const;
    expect((await read(nothing, empty, options))[0].length).toBe(0);
    const other = { compression: "gzip", diffId: digestOf(text) } as const;
    expect(await refusal(nothing, other, options)).toBe("IntegrityError DIGEST_MISMATCH");
  });

  test("zstd that is cut, damaged, or followed by something, is refused (docs/hostile-inputs.md, 91)", async () => {
    const blob = vector("frames.zst");
    const damaged = (at: number) => {
      const copy = Buffer.from(blob);
      copy[at < 0 ? copy.length + at : at]! ^= 0x01;
      return copy;
    };
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [blob.subarray(0, 5), /TRUNCATED/],
      [blob.subarray(0, 1000), /TRUNCATED/],
      [blob.subarray(0, -1), /TRUNCATED/],
      [blob.subarray(0, -4), /TRUNCATED/],
      [Buffer.concat([blob, blob.subarray(0, 3)]), /TRUNCATED/],
      [damaged(-1), /BAD_CHECKSUM/],
      [damaged(2000), /BAD_CHECKSUM|MALFORMED/],
      [Buffer.concat([blob, Buffer.from("garbage")]), /MALFORMED/],
      [Buffer.concat([blob, Buffer.alloc(512)]), /MALFORMED/],
      [Buffer.concat([blob, gzipSync("x")]), /MALFORMED/],
      [vector("window-256m.zst"), /LIMIT/],
      [vector("window-2g.zst"), /LIMIT/],
      [vector("dictionary.zst"), /UNSUPPORTED/],
    ];
    for (const [bytes, code] of cases) {
      expect(await refusal(bytes, { compression: "zstd" }, options)).toMatch(code);
    }
  });

  test("zstd with thousands of empty and skippable frames", async () => {
    const empty = Buffer.concat([vector("empty.zst"), Buffer.from("502a4d1800000000", "hex")]);
    const many = Buffer.concat(Array.from({ length: 5000 }, () => empty));
    const blob = Buffer.concat([many, vector("plain.zst"), many]);
    const [bytes] = await read(blob, { compression: "zstd", diffId: digestOf(text) }, options);
    expect(bytes.equals(text)).toBe(true);
    expect((await read(many, { compression: "zstd" }, options))[0].length).toBe(0);
  });

  test("bytes in another compression than the declared one are read as what they are, and checked against the diffID (docs/hostile-inputs.md, 92)", async () => {
    const layer = await tar([{ name: "file", content: text }]);
    const blobs = { none: layer, gzip: gzipSync(layer), zstd: zstd(layer) };
    const other = digestOf(text);
    for (const declared of ["none", "gzip", "zstd"] as const) {
      for (const [found, blob] of Object.entries(blobs)) {
        const diffId = digestOf(layer);
        const given = { compression: declared, digest: digestOf(blob), diffId };
        const [bytes, report] = await read(blob, given, options);
        expect(bytes.equals(layer)).toBe(true);
        expect(report).toMatchObject({ compression: found, digest: digestOf(blob), diffId });
        expect(await refusal(blob, { ...given, diffId: other }, options)).toBe(
          "IntegrityError DIGEST_MISMATCH",
        );
      }
    }
  });

  test("an empty tar is one whatever is declared; what is no layer at all is refused", async () => {
    const empty = Buffer.alloc(1024);
    for (const compression of ["none", "gzip", "zstd"] as const) {
      const [bytes] = await read(empty, { compression, diffId: digestOf(empty) }, options);
      expect(bytes.equals(empty)).toBe(true);
    }
    for (const compression of ["gzip", "zstd"] as const) {
      expect(await refusal(text, { compression }, options)).toBe("FormatError MALFORMED");
    }
    for (const compression of ["none", "gzip", "zstd", undefined] as const) {
      for (const magic of ["fd377a585a000000", "425a6839314159265359", "04224d1864404008"]) {
        const given = compression === undefined ? {} : { compression };
        const code = await refusal(Buffer.from(magic, "hex"), given, options);
        expect(code).toBe("FormatError UNSUPPORTED");
      }
    }
  });

  test("a gzip stream whose first block is a tar header too is what its media type declares", async () => {
    const layer = await tar([{ name: "file", content: text }]);
    const blob = gzipAndTar(layer);
    expect(isTar(blob)).toBe(true);
    const gzip = { compression: "gzip", diffId: digestOf(layer) } as const;
    expect((await read(blob, gzip, options))[0].equals(layer)).toBe(true);
    const none = { compression: "none", diffId: digestOf(blob) } as const;
    expect((await read(blob, none, options))[0].equals(blob)).toBe(true);
  });

  test("a bomb is refused once it is over the limit, with little memory (docs/hostile-inputs.md, 90)", async () => {
    const { layer, image } = imageOf(vector("zeros-100m.zst"));
    // What threads and decoders take by themselves is not asked for.
    await expect(readLayer(image, layer, () => {}, { ...options, bound: 1 })).rejects.toThrow();
    let most = 0;
    let bytes = 0;
    const before = process.memoryUsage().rss;
    const write = (chunk: Uint8Array) => {
      bytes += chunk.length;
      most = Math.max(most, process.memoryUsage().rss - before);
    };
    const bound = 64 << 20;
    const bounded = { ...options, bound };
    await expect(readLayer(image, layer, write, bounded)).rejects.toMatchObject({
      code: "LIMIT",
      hint: expect.stringContaining("--max-layer-size"),
    });
    expect(bytes).toBeLessThanOrEqual(bound);
    expect(bytes).toBeGreaterThan(bound - (13 << 20));
    // The ring and the decoder take up to 70 MiB; what was decoded would come on top of that.
    expect(most).toBeLessThan(100 << 20);
    expect(await refusal(zeros, {}, bounded)).toBe("FormatError LIMIT");
  });

  test("a layer of zeros is read up to the bound, to the byte", async () => {
    const blob = vector("zeros-50m.zst");
    const [whole] = await read(blob, {}, { ...options, bound: 50_000_000 });
    expect(whole.length).toBe(50_000_000);
    expect(await refusal(blob, {}, { ...options, bound: 49_999_999 })).toBe("FormatError LIMIT");
    expect((await read(vector("zeros-100m.zst"), {}, options))[0].length).toBe(100_000_000);
  });

  test("another digest, size or diffID is refused (docs/hostile-inputs.md, 93, 98)", async () => {
    const blob = gzipSync(text);
    const other = digestOf(Buffer.from("other"));
    const given = { compression: "gzip", digest: digestOf(blob), diffId: digestOf(text) } as const;
    expect(await refusal(blob, { ...given, digest: other }, options)).toBe(
      "IntegrityError DIGEST_MISMATCH",
    );
    expect(await refusal(blob, { ...given, diffId: other }, options)).toBe(
      "IntegrityError DIGEST_MISMATCH",
    );
    expect(await refusal(blob, { ...given, size: blob.length - 1 }, options)).toBe(
      "IntegrityError SIZE_MISMATCH",
    );
    expect(await refusal(text, { compression: "none", diffId: other }, options)).toBe(
      "IntegrityError DIGEST_MISMATCH",
    );
  });

  test("bytes that are broken because they are not the ones asked for are an integrity error (docs/hostile-inputs.md, 93)", async () => {
    const blob = gzipSync(text);
    const digest = digestOf(blob);
    const broken = Buffer.from(blob);
    broken[1000]! ^= 0xff;
    expect(await refusal(broken, { compression: "gzip" }, options)).toMatch(/^FormatError/);
    expect(await refusal(broken, { compression: "gzip", digest }, options)).toBe(
      "IntegrityError DIGEST_MISMATCH",
    );
    expect(
      await refusal(broken, { compression: "gzip", digest: digestOf(broken) }, options),
    ).toMatch(/^FormatError/);
  });

  test("that the reader finds wrong ends at once, and is blamed on the bytes if they are others", async () => {
    const big = gzipSync(Buffer.concat(Array.from({ length: 200 }, () => text)));
    const stop = (digest: string) => {
      const { layer, image, open } = imageOf(big, { digest });
      let calls = 0;
      const write = () => {
        calls++;
        throw new FormatError("MALFORMED", "tar: no");
      };
      return { reading: readLayer(image, layer, write, options), open, calls: () => calls };
    };
    const right = stop(digestOf(big));
    await expect(right.reading).rejects.toMatchObject({ message: "tar: no" });
    expect(right.calls()).toBe(1);
    expect(right.open()).toBe(0);
    const wrong = stop(digestOf(text));
    await expect(wrong.reading).rejects.toMatchObject({
      code: "DIGEST_MISMATCH",
      cause: { message: "tar: no" },
    });
    expect(wrong.open()).toBe(0);
  });

  test("can be left early and read again, many times", async () => {
    const big = gzipSync(Buffer.concat(Array.from({ length: 100 }, () => text)));
    const { layer, image, open } = imageOf(big);
    for (let i = 0; i < 10; i++) {
      let taken = 0;
      for await (const chunk of layerChunks(image, layer, options)) {
        taken += chunk.length;
        if (taken > i * 2_000_000) break;
      }
      expect(open()).toBe(0);
    }
  });
});

test("a file that gets shorter while it is read is an integrity error", async () => {
  const blob = Buffer.concat(Array.from({ length: 100 }, () => text));
  for (const thread of ["here", "own"] as const) {
    const { path, layer, image } = imageOf(blob, { compression: "none", digest: digestOf(blob) });
    writeFileSync(path, blob.subarray(0, 5_000_000));
    await expect(readLayer(image, layer, () => {}, { thread })).rejects.toMatchObject({
      code: "SIZE_MISMATCH",
    });
  }
});

test("threads neither keep the process alive nor leave files open", async () => {
  const path = join(scratchFolder(), "blob");
  writeFileSync(path, gzipSync(Buffer.concat(Array.from({ length: 50 }, () => text))));
  const script = `
    import { openSync, closeSync } from "node:fs";
    import { layerChunks } from ${JSON.stringify(new URL("../../../dist/oci/layer/layer.js", import.meta.url).href)};
    const openBlob = () => {
      const fd = openSync(${JSON.stringify(path)}, "r");
      return { fd, offset: 0, size: ${readFileSync(path).length}, close: () => closeSync(fd) };
    };
    const layer = { label: "l", size: ${readFileSync(path).length} };
    let chunks = 0;
    for await (const _ of layerChunks({ openBlob }, layer, { thread: "own" })) chunks++;
    for await (const _ of layerChunks({ openBlob }, layer, { thread: "own" })) break;
    console.log(chunks);
  `;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 170_000,
  });
  expect(status).toBe(0);
  expect(Number(stdout.toString())).toBeGreaterThanOrEqual(10);
  const files = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  expect(files).not.toContain(path);
});

describe("zstd framing", () => {
  test("does not depend on how it is cut into chunks", () => {
    const blob = vector("skippable.zst");
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: blob.length }), { maxLength: 30 }), (cuts) => {
        const frames = new ZstdFrames("vector");
        let from = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), blob.length]) {
          frames.push(blob.subarray(from, cut));
          from = cut;
        }
        frames.end();
        expect(frames.begun).toBe(7);
      }),
    );
  });

  test(
    "a changed byte anywhere changes nothing or is a FormatError",
    { timeout: 600_000 },
    async () => {
      const plain = vector("plain.zst");
      const runs = process.env["SLOW"] ? 500 : 25;
      for (const decoder of ["documented", "private"] satisfies Decoder[]) {
        await fc.assert(
          fc.asyncProperty(
            fc.nat(plain.length - 1),
            fc.integer({ min: 1, max: 255 }),
            async (at, bits) => {
              const copy = Buffer.from(plain);
              copy[at]! ^= bits;
              const options = { thread: "own", decoder } as const;
              const result = await refusal(copy, { compression: "zstd" }, options);
              if (result === "accepted") {
                const [bytes] = await read(copy, {}, options);
                expect(bytes.equals(text)).toBe(true);
              } else expect(result).toMatch(/^FormatError/);
            },
          ),
          { numRuns: runs },
        );
      }
    },
  );
});

test("a flipped bit anywhere in a gzip stream changes nothing or is a FormatError", async () => {
  const plain = vector("named.gz");
  const runs = process.env["SLOW"] ? 2000 : 60;
  for (const decoder of ["documented", "private"] satisfies Decoder[]) {
    await fc.assert(
      fc.asyncProperty(fc.nat(plain.length - 1), fc.nat(7), async (at, bit) => {
        const copy = Buffer.from(plain);
        copy[at]! ^= 1 << bit;
        const result = await refusal(copy, { compression: "gzip" }, { thread: "here", decoder });
        if (result === "accepted") {
          const [bytes] = await read(copy, {}, { thread: "here", decoder });
          expect(bytes.equals(text)).toBe(true);
        } else expect(result).toMatch(/^FormatError/);
      }),
      { numRuns: runs },
    );
  }
});

test.runIf(oracle("zstd"))("what the zstd command makes of a large file is read back", async () => {
  const folder = scratchFolder();
  const path = join(folder, "big");
  writeFileSync(path, readFileSync(process.execPath).subarray(0, 40_000_000));
  const diffId = digestOf(readFileSync(path));
  for (const level of ["-1", "-3", "--long=27"]) {
    execFileSync("zstd", ["-q", "-f", level, path, "-o", `${path}.zst`]);
    const [, report] = await read(readFileSync(`${path}.zst`), { diffId }, { thread: "own" });
    expect(report.bytes).toBe(40_000_000);
  }
});
