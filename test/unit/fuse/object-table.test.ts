/** The objects file system: found by digest, read by blocks, nothing else there. */
import { openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { checkImage } from "../../../src/erofs/check.ts";
import { Image } from "../../../src/erofs/image.ts";
import { ImageView } from "../../../src/erofs/view.ts";
import { walkFiles } from "../../../src/erofs/walk.ts";
import { type ObjectsContext, objectOperations } from "../../../src/fuse/object-operations.ts";
import { ObjectCollector, objectTableOf } from "../../../src/fuse/object-collector.ts";
import { type ListedObject, ObjectTable } from "../../../src/fuse/object-table.ts";
import { type ObjectPlace, ObjectReader } from "../../../src/fuse/object-reader.ts";
import { SharedLeaves } from "../../../src/fuse/shared-leaves.ts";
import { Opcode } from "../../../src/fuse/wire.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../../src/tree/inode.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { ROOT, SessionClient } from "../../support/fuse-client.ts";
import { goldenImages } from "../../support/golden-images.ts";
import { scratchFolder } from "../../support/scratch.ts";

const digestOf = (seed: string): VerityDigest => verityDigestOf(Buffer.from(seed), "sha256");
const listed = (count: number): ListedObject[] =>
  Array.from({ length: count }, (_, i) => ({
    digest: digestOf(`${i}`),
    size: i * 10,
    nid: i + 40,
  }));

function tableOf(objects: readonly ListedObject[]): ObjectTable {
  const collector = new ObjectCollector((objects[0]?.digest.length ?? 64) / 2);
  for (const { digest, size, nid } of objects) {
    collector.add(Buffer.from(digest, "hex"), 0, size, nid);
  }
  return collector.table();
}

describe("the table", () => {
  const find = (table: ObjectTable, digest: string) => {
    const [directory, name] = [digest.slice(0, 2), digest.slice(2)].map((part) => ascii(part));
    const bytes = Buffer.from(`${directory}${name}`);
    const node = table.find(ROOT, bytes, 0, 2);
    return table.find(node, bytes, 2, bytes.length);
  };

  test("finds every object by its digest, and tells what was listed", () => {
    const objects = listed(500);
    const table = new ObjectTable(tableOf(objects).memory); // as in another thread
    const nodes = new Set<number>();
    for (const object of objects) {
      const node = find(table, object.digest);
      expect(table.at(node)).toEqual(object);
      nodes.add(node);
    }
    expect(nodes.size).toBe(500);
    expect(Math.min(...nodes)).toBe(258);
    for (let i = 500; i < 600; i++) expect(find(table, digestOf(`${i}`))).toBe(0);
  });

  test("holds digests of 64 bytes, and none at all", () => {
    const digest = verityDigestOf(Buffer.from("x"), "sha512");
    const table = tableOf([{ digest, size: 1, nid: 36 }]);
    expect(table.at(find(table, digest))).toEqual({ digest, size: 1, nid: 36 });
    const empty = tableOf([]);
    expect(find(empty, digestOf("x"))).toBe(0);
    expect(empty.at(258)).toBeUndefined();
  });

  test("an object that is listed again is there once, as it was listed first", () => {
    const objects = listed(3000);
    const again = objects.map((object) => ({ ...object, nid: object.nid + 10_000 }));
    const table = tableOf([...objects.toReversed(), ...again]);
    expect(table.count).toBe(3000);
    for (const object of objects) expect(table.at(find(table, object.digest))).toEqual(object);
  });

  const right = goldenImages().filter(({ bytes }) => checkImage(bytes) === undefined);
  test.each(right)("of the image $name has what its files refer to", ({ bytes }) => {
    const image = Image.open(bytes);
    const expected = new Map<VerityDigest, number>();
    for (const { inode } of walkFiles(new ImageView(image))) {
      if ((inode.mode & S_IFMT) !== S_IFREG) continue;
      const content = image.content(inode);
      if (content.kind === "object") expected.set(content.digest, content.size);
    }
    const table = objectTableOf(image);
    const got = Array.from({ length: table.count }, (_, i) => table.at(258 + i)!);
    expect(new Map(got.map(({ digest, size }) => [digest, size]))).toEqual(expected);
    expect(got.length).toBe(expected.size);
    for (const { digest, nid } of got) {
      expect(image.content(image.inode(nid))).toMatchObject({ kind: "object", digest });
    }
  });

  test("any other name leads nowhere", () => {
    const objects = listed(20);
    const table = tableOf(objects);
    const good = objects[0]!.digest;
    for (const name of ["", "0", "0g", "AB", "..", "abc", "\0\0"]) {
      expect(table.find(ROOT, Buffer.from(name), 0, name.length)).toBe(0);
    }
    const directory = table.find(ROOT, Buffer.from(good), 0, 2);
    for (const name of [
      good.slice(2).toUpperCase(),
      good,
      good.slice(3),
      `${good.slice(2)}0`,
      "..",
    ]) {
      expect(table.find(directory, Buffer.from(name), 0, name.length)).toBe(0);
    }
    fc.assert(
      fc.property(fc.double(), fc.uint8Array({ maxLength: 70 }), (node, name) => {
        const found = table.find(node, name, 0, name.length);
        expect(Number.isInteger(found) && found >= 0).toBe(true);
        expect(table.at(found) === undefined || !table.isDirectory(found)).toBe(true);
      }),
    );
  });
});

describe("the file system", () => {
  const contents = [Buffer.alloc(100, "a"), Buffer.alloc(10_000, "bc"), Buffer.alloc(4096, "d")];
  const gone = digestOf("gone");
  let folder: string;
  let client: SessionClient<ObjectsContext>;
  const place: ObjectPlace = {
    path: "here",
    openFile: (digest) => {
      const path = join(folder, digest);
      const fd = openSync(path, "r");
      return { fd, size: contents.find((each) => verityDigestOf(each) === digest)?.length ?? 0 };
    },
    readLeaves: () => undefined,
    writeLeaves: () => false,
  };

  beforeAll(() => {
    folder = scratchFolder();
    const objects = contents.map((content, nid) => {
      const digest = verityDigestOf(content, "sha256");
      writeFileSync(join(folder, digest), content);
      return { digest, size: content.length, nid };
    });
    const table = tableOf([...objects, { digest: gone, size: 9, nid: 77 }]);
    const reader = new ObjectReader([place], SharedLeaves.create(10, 1 << 16));
    client = new SessionClient(objectOperations, { table, reader });
  });

  const nodeOf = (digest: VerityDigest): number => {
    const [directory, name] = objectPath(digest).split("/");
    return client.lookup(client.lookup(ROOT, ascii(directory!)).nodeid, ascii(name!)).nodeid;
  };

  test("shows directories and read-only files with the sizes of the image", () => {
    expect(client.getattr(ROOT)).toMatchObject({ mode: S_IFDIR | 0o555 });
    expect(client.lookup(ROOT, ascii("7f")).attributes).toMatchObject({ mode: S_IFDIR | 0o555 });
    for (const content of contents) {
      const node = nodeOf(verityDigestOf(content));
      expect(client.getattr(node)).toMatchObject({
        mode: S_IFREG | 0o444,
        size: BigInt(content.length),
        ino: BigInt(node),
      });
    }
  });

  test("reads any part of an object", () => {
    for (const content of contents) {
      const node = nodeOf(verityDigestOf(content));
      for (const [offset, size] of [
        [0, 131_072],
        [1, 50],
        [4000, 200],
        [9999, 10],
        [20_000, 1],
      ] as const) {
        // prettier-ignore
        const expected = content.subarray(offset, offset + size);
        expect(Buffer.from(client.read(node, offset, size)).equals(expected)).toBe(true);
      }
    }
  });

  test("refuses what is missing or changed, and says which object", () => {
    expect(() => client.read(nodeOf(gone), 0, 4096)).toThrow("errno 5");
    const digest = verityDigestOf(contents[1]!);
    const node = nodeOf(digest);
    writeFileSync(join(folder, digest), Buffer.alloc(10_000, "bd"));
    expect(() => client.read(node, 4096, 4096)).toThrow("errno 5");
    writeFileSync(join(folder, digest), contents[1]!);
    expect(client.read(node, 4096, 4096)).toHaveLength(4096);
    expect(client.problems.map(({ operation }) => operation)).toEqual(["READ", "READ"]);
    expect(client.problems[1]!.message).toContain(digest);
  });

  test("has nothing else: no names, no xattrs, no changes", () => {
    expect(() => client.lookup(ROOT, ascii("xx"))).toThrow("errno 2");
    expect(() => client.read(ROOT, 0, 4096)).toThrow("errno 2");
    expect(() => client.read(9999, 0, 4096)).toThrow("errno 2");
    expect(() => client.open(258)).toThrow("errno 38"); // the kernel opens by itself
    expect(() => client.getattr(9999)).toThrow("errno 2");
    expect(client.list(ROOT)).toEqual([]);
    expect(() => client.send(Opcode.GETXATTR, ROOT, Buffer.alloc(20))).toThrow("errno 38");
    expect(() => client.send(Opcode.WRITE, 258, Buffer.alloc(80))).toThrow("errno 30");
    expect(() => client.send(Opcode.READ, 258, Buffer.alloc(3))).toThrow("errno 22");
  });
});
