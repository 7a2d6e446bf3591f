import { createHash, hash as hashOf } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type VerityAlgorithm,
  VerityHasher,
  blockHash,
  digestOfLeaves,
  hashBlockInto,
  leavesSize,
  nodeHash,
  objectPath,
  parseVerityDigest,
  portableHash,
  verifyBlocks,
  verifyLeaves,
  verityDigestOf,
} from "../../../src/verity/index.ts";
import { FormatError, IntegrityError } from "../../../src/errors.ts";

interface Vector {
  size: number;
  data: "counter" | "zeros";
  sha256: string;
  sha512?: string;
}
const vectors = (
  JSON.parse(
    readFileSync(new URL("../../vectors/fsverity/fsverity.json", import.meta.url), "utf8"),
  ) as {
    vectors: Vector[];
  }
).vectors;

const algorithms = ["sha256", "sha512"] as const;
const runs = process.env["SLOW"] ? 1000 : 100;

/** sha256("fsv:0"), sha256("fsv:1"), ... as far as the largest vector needs. */
const counter = Buffer.alloc(Math.max(...vectors.map(({ size }) => size)) + 32);
for (let i = 0; i * 32 < counter.length - 32; i++) {
  counter.write(hashOf("sha256", `fsv:${i}`, "hex"), i * 32, "hex");
}
const dataOf = ({ size, data }: Vector) =>
  data === "zeros" ? new Uint8Array(size) : counter.subarray(0, size);

const bytesOf = (size: number) =>
  Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("digest", () => {
  test.each(vectors)("agrees with fsverity-utils on $size bytes", (vector) => {
    const data = dataOf(vector);
    expect(verityDigestOf(data)).toBe(vector.sha256);
    if (vector.sha512) expect(verityDigestOf(data, "sha512")).toBe(vector.sha512);
  });

  test.each(vectors.filter(({ size }) => size <= 1 << 20))(
    "the portable implementation agrees with fsverity-utils on $size bytes",
    (vector) => {
      const data = dataOf(vector);
      for (const algorithm of algorithms) {
        const hasher = new VerityHasher(algorithm, { hash: portableHash(algorithm) });
        const digest = hasher.update(data).digest();
        if (vector[algorithm]) expect(digest).toBe(vector[algorithm]);
      }
    },
  );

  test("both implementations agree on any message", () => {
    for (const algorithm of algorithms) {
      const node = nodeHash(algorithm)!;
      const portable = portableHash(algorithm);
      expect(blockHash(algorithm).size).toBe(portable.size);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 5000 }), (message) => {
          const out = new Uint8Array(node.size + 3);
          node.hashInto(message, out, 2);
          expect(portable.hash(message)).toBe(node.hash(message));
          const other = new Uint8Array(node.size + 3);
          portable.hashInto(message, other, 2);
          expect(other).toEqual(out);
        }),
        { numRuns: runs },
      );
    }
  });

  test("chunking does not matter", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 12 }),
        fc.constantFrom(...algorithms),
        fc.boolean(),
        (sizes, algorithm, keepLeaves) => {
          const whole = bytesOf(sizes.reduce((sum, size) => sum + size, 0));
          const hasher = new VerityHasher(algorithm, { keepLeaves });
          let at = 0;
          for (const size of sizes) {
            const chunk = whole.slice(at, (at += size));
            hasher.update(chunk);
            chunk.fill(0xee); // the hasher must not look at a chunk again
          }
          expect(hasher.bytes).toBe(whole.length);
          expect(hasher.digest()).toBe(verityDigestOf(whole, algorithm));
        },
      ),
      { numRuns: runs },
    );
  });

  // A level of sha256 holds 128 hashes a block: 512 KiB, 64 MiB; of sha512 64: 256 KiB, 16 MiB, which
  // takes seconds.
  test.each([
    ["sha256", 4096],
    ["sha256", 128 * 4096],
    ["sha256", 2 * 128 * 4096],
    ["sha512", 4096],
    ["sha512", 64 * 4096],
    ...(process.env["SLOW"] ? [["sha512", 64 * 64 * 4096] as const] : []),
  ] as const)(
    "%s with and without leaves agrees with a plain computation around %i bytes",
    (algorithm, edge) => {
      for (const size of [edge - 1, edge, edge + 1]) {
        const data = bytesOf(size);
        const keeping = new VerityHasher(algorithm, { keepLeaves: true }).update(data);
        const digest = keeping.digest();
        expect(digest).toBe(plainDigest(data, algorithm));
        expect(verityDigestOf(data, algorithm)).toBe(digest);
        expect(digestOfLeaves(keeping.leaves(), size, algorithm)).toBe(digest);
      }
    },
  );

  test("nothing can be added after the digest", () => {
    const hasher = new VerityHasher().update(bytesOf(10));
    expect(hasher.digest()).toBe(hasher.digest());
    expect(() => hasher.update(bytesOf(1))).toThrow(TypeError);
    expect(() => hasher.leaves()).toThrow(TypeError);
  });

  test("a digest is lower-case hex of the right length", () => {
    const digest = verityDigestOf(bytesOf(1));
    expect(parseVerityDigest(digest)).toBe(digest);
    expect(objectPath(digest)).toBe(`${digest.slice(0, 2)}/${digest.slice(2)}`);
    for (const bad of ["", digest.toUpperCase(), digest.slice(1), `${digest}0`, `${digest}\n`]) {
      expect(thrownBy(() => parseVerityDigest(bad))).toBeInstanceOf(FormatError);
    }
  });
});

describe("blocks and leaves", () => {
  test.each(algorithms)("a changed byte is found in its %s block and nowhere else", (algorithm) => {
    const size = 5 * 4096 + 17;
    const data = bytesOf(size);
    const hasher = new VerityHasher(algorithm, { keepLeaves: true }).update(data);
    const digest = hasher.digest();
    const leaves = hasher.leaves();
    verifyLeaves(leaves, size, digest);
    expect(leaves.length).toBe(leavesSize(size, algorithm));
    expect(verifyBlocks(data, 0, leaves, algorithm)).toBe(-1);
    expect(verifyBlocks(data.subarray(2 * 4096, 4 * 4096), 2, leaves, algorithm)).toBe(-1);
    for (const at of [0, 4095, 4096, 3 * 4096 + 5, size - 1]) {
      data[at]! ^= 0x80;
      expect(verifyBlocks(data, 0, leaves, algorithm)).toBe(Math.floor(at / 4096));
      data[at]! ^= 0x80;
    }
    expect(verifyBlocks(data.subarray(4096, 8192), 0, leaves, algorithm)).toBe(0);
    expect(verifyBlocks(data.subarray(4096, 8192), 6, leaves, algorithm)).toBe(6);
  });

  test("a leaf of another place, a missing leaf, a surplus leaf and another size are refused", () => {
    const size = 300 * 4096 - 1;
    const hasher = new VerityHasher("sha256", { keepLeaves: true }).update(bytesOf(size));
    const digest = hasher.digest();
    const leaves = hasher.leaves();
    const swapped = leaves.slice();
    swapped.set(leaves.subarray(0, 32), 32);
    swapped.set(leaves.subarray(32, 64), 0);
    const cases: [Uint8Array, number][] = [
      [swapped, size],
      [leaves.subarray(32), size],
      [leaves.subarray(0, leaves.length - 1), size],
      [new Uint8Array([...leaves, ...new Uint8Array(32)]), size],
      [leaves, size - 1],
      [leaves, size + 1],
      [leaves, size + 2],
      [new Uint8Array(0), 0],
    ];
    for (const [wrong, wrongSize] of cases) {
      const error = thrownBy(() => verifyLeaves(wrong, wrongSize, digest));
      expect(error).toBeInstanceOf(IntegrityError);
    }
    for (let at = 0; at < leaves.length; at += 997) {
      const flipped = leaves.slice();
      flipped[at]! ^= 1;
      expect(thrownBy(() => verifyLeaves(flipped, size, digest))).toBeInstanceOf(IntegrityError);
    }
    expect(thrownBy(() => digestOfLeaves(leaves, 1, "sha256"))).toBeInstanceOf(FormatError);
  });

  test("a leaf hash is the hash of the padded block", () => {
    const out = new Uint8Array(32 + 64);
    hashBlockInto(bytesOf(100), "sha256", out, 0);
    hashBlockInto(bytesOf(4096), "sha512", out, 32);
    const padded = Buffer.alloc(4096);
    padded.set(bytesOf(100));
    expect(Buffer.from(out.subarray(0, 32))).toEqual(createHash("sha256").update(padded).digest());
    expect(Buffer.from(out.subarray(32))).toEqual(
      createHash("sha512").update(bytesOf(4096)).digest(),
    );
  });

  test("memory of a long stream stays constant without leaves", () => {
    const hasher = new VerityHasher();
    const chunk = new Uint8Array(1 << 20);
    for (let i = 0; i < 80; i++) hasher.update(chunk);
    const keeping = new VerityHasher("sha256", { keepLeaves: true });
    for (let i = 0; i < 80; i++) keeping.update(chunk);
    expect(hasher.digest()).toBe(keeping.digest());
    expect(() => hasher.leaves()).toThrow(TypeError);
  });
});

/** A second, whole-file computation, level by level. */
function plainDigest(data: Uint8Array, algorithm: VerityAlgorithm): string {
  const hash = (bytes: Uint8Array) => createHash(algorithm).update(bytes).digest();
  let level = data;
  do {
    const hashes: Buffer[] = [];
    for (let at = 0; at < level.length; at += 4096) {
      const block = Buffer.alloc(4096);
      block.set(level.subarray(at, at + 4096));
      hashes.push(hash(block));
    }
    level = Buffer.concat(hashes);
  } while (level.length > (algorithm === "sha256" ? 32 : 64));
  const descriptor = Buffer.alloc(256);
  descriptor.set([1, algorithm === "sha256" ? 1 : 2, 12]);
  descriptor.writeBigUInt64LE(BigInt(data.length), 8);
  descriptor.set(level, 16);
  return hash(descriptor).toString("hex");
}
