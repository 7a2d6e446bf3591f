/** Making, opening and reading stores: what is a store, what is in it, and what is not believed. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../../src/limits.ts";
import { decodeName, encodeName } from "../../../src/store/names.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { scratchFolder } from "../../support/scratch.ts";

const content = Buffer.from("content ".repeat(40));
const digest = verityDigestOf(content);

const newStore = () => Store.create(join(scratchFolder(), "store"));

function fill(store: Store, bytes: Uint8Array, name?: string): VerityDigest {
  const id = verityDigestOf(bytes);
  const transaction = Transaction.begin(store, { durability: "none" });
  try {
    transaction.put(id, bytes);
    transaction.publish({ image: id, ...(name === undefined ? {} : { name }) });
  } finally {
    transaction.close();
  }
  return id;
}

function readAll(fd: number): Buffer {
  const buffer = Buffer.alloc(10_000);
  try {
    return buffer.subarray(0, readSync(fd, buffer));
  } finally {
    closeSync(fd);
  }
}

describe("creating a store", () => {
  test("makes all directories of the fan-out and says what it is", () => {
    const store = newStore();
    expect(readdirSync(join(store.path, "objects"))).toHaveLength(256);
    expect(JSON.parse(readFileSync(join(store.path, "meta.json"), "utf8"))).toEqual({
      version: 1,
      algorithm: "fsverity-sha256-12",
    });
    expect(readdirSync(store.path).sort()).toEqual([
      "bundles",
      "images",
      "layers",
      "leases",
      "lock",
      "lock.gate",
      "meta.json",
      "objects",
      "quarantine",
      "seek",
      "tmp",
      "verity",
    ]);
  });

  test("opens the one that is there", () => {
    const store = newStore();
    fill(store, content, "app");
    expect(Store.create(store.path).images.resolve("app")).toBe(digest);
    expect(Store.create(store.path, { algorithm: "sha256" }).algorithm).toBe("sha256");
  });

  test("refuses one of another algorithm", () => {
    const store = newStore();
    expect(() => Store.create(store.path, { algorithm: "sha512" })).toThrow(
      expect.objectContaining({ name: "UsageError" }),
    );
  });

  test("finishes one whose creation was interrupted", () => {
    const store = newStore();
    rmSync(join(store.path, "meta.json"));
    rmSync(join(store.path, "objects/ff"), { recursive: true });
    expect(() => Store.open(store.path)).toThrow(expect.objectContaining({ code: "NO_STORE" }));
    Store.create(store.path);
    expect(existsSync(join(store.path, "objects/ff"))).toBe(true);
  });

  test("takes over objects of mkcomposefs --digest-store", () => {
    const path = join(scratchFolder(), "store");
    mkdirSync(join(path, "objects", digest.slice(0, 2)), { recursive: true });
    writeFileSync(join(path, "objects", digest.slice(0, 2), digest.slice(2)), content);
    Store.create(path).objects.verify(digest);
  });

  test("refuses a directory that holds something else", () => {
    const path = scratchFolder();
    writeFileSync(join(path, "letter.txt"), "");
    expect(() => Store.create(path)).toThrow(/letter\.txt/);
    expect(readdirSync(path)).toEqual(["letter.txt"]);
  });
});

describe("opening a store", () => {
  test.each([
    ['{"version":2,"algorithm":"fsverity-sha256-12"}', "UNSUPPORTED"],
    ['{"version":1,"algorithm":"fsverity-md5-12"}', "UNSUPPORTED"],
    ['{"version":1,"algorithm":"fsverity-sha256-16"}', "UNSUPPORTED"],
    [
      '{"version":1,"algorithm":"fsverity-sha256-12","features":{"incompatible":["new"]}}',
      "UNSUPPORTED",
    ],
    ['{"version":"1","algorithm":"fsverity-sha256-12"}', "MALFORMED"],
    ["[]", "MALFORMED"],
    ["", "TRUNCATED"],
  ])("refuses meta.json %s", (text, code) => {
    const store = newStore();
    writeFileSync(join(store.path, "meta.json"), text);
    expect(() => Store.open(store.path)).toThrow(
      expect.objectContaining({ name: "FormatError", code }),
    );
  });

  test("takes one that composefs-rs has made", () => {
    const store = newStore();
    const features = { compatible: ["x"], "read-only-compatible": [], incompatible: [] };
    const meta = { version: 1, algorithm: "fsverity-sha512-12", features };
    writeFileSync(join(store.path, "meta.json"), JSON.stringify(meta));
    expect(Store.open(store.path).algorithm).toBe("sha512");
  });

  test("says that there is none", () => {
    expect(() => Store.open(scratchFolder())).toThrow(
      expect.objectContaining({ name: "NotFoundError", code: "NO_STORE" }),
    );
  });
});

describe("opening an object", () => {
  test("reads it", () => {
    const store = newStore();
    fill(store, content);
    expect(readAll(store.open(digest))).toEqual(content);
  });

  test("says that it is not there", () => {
    expect(() => newStore().open(digest)).toThrow(
      expect.objectContaining({ name: "NotFoundError", code: "NO_OBJECT" }),
    );
  });

  // A fifo must not make the opener wait for its other end.
  test.each<[string, (path: string) => void]>([
    ["a symbolic link", (path) => symlinkSync("/etc/passwd", path)],
    ["a directory", (path) => mkdirSync(path)],
    ["a fifo", (path) => void execFileSync("mkfifo", [path])],
  ])("refuses %s in its place", (_, make) => {
    const store = newStore();
    make(store.objects.path(digest));
    expect(() => store.open(digest)).toThrow(
      expect.objectContaining({ name: "IntegrityError", code: "WRONG_TYPE" }),
    );
  });

  test("verifying finds every change", () => {
    const store = newStore();
    for (const wrong of [
      content.subarray(1),
      Buffer.concat([content, Buffer.alloc(1)]),
      Buffer.alloc(0),
    ]) {
      writeFileSync(store.objects.path(digest), wrong);
      expect(() => store.objects.verify(digest)).toThrow(
        expect.objectContaining({ code: "DIGEST_MISMATCH" }),
      );
    }
  });
});

describe("several stores", () => {
  test("are asked in order, the first that has a regular file answers", () => {
    const [first, second] = [newStore(), newStore()];
    const stores = Stores.open([first.path, second.path]);
    expect(() => stores.open(digest)).toThrow(expect.objectContaining({ code: "NO_OBJECT" }));
    fill(second, content, "app");
    expect(readAll(stores.open(digest))).toEqual(content);
    symlinkSync("/etc/passwd", first.objects.path(digest));
    expect(readAll(stores.open(digest))).toEqual(content);
    expect(stores.resolve("app")).toBe(digest);
    expect(Buffer.from(stores.readImage(digest))).toEqual(content);
  });

  test("offer each copy of an object in turn", () => {
    const [first, second] = [newStore(), newStore()];
    for (const store of [first, second]) fill(store, content);
    const copies = [...new Stores([first, second]).openings(digest)];
    for (const { fd } of copies) closeSync(fd);
    expect(copies.map(({ store }) => store)).toEqual([first, second]);
  });

  test("give an image from the store that has it right", () => {
    const [first, second] = [newStore(), newStore()];
    const stores = new Stores([first, second]);
    writeFileSync(first.objects.path(digest), "damaged");
    expect(Buffer.from(stores.readImage(digest)).toString()).toBe("damaged");
    fill(second, content);
    expect(Buffer.from(stores.readImage(digest))).toEqual(content);
  });

  test("tell what is wrong when the only copy is no file", () => {
    const store = newStore();
    mkdirSync(store.objects.path(digest));
    expect(() => new Stores([store, newStore()]).open(digest)).toThrow(
      expect.objectContaining({ code: "WRONG_TYPE" }),
    );
  });

  test("write leaf hashes to the first and read them from any", () => {
    const [first, second] = [newStore(), newStore()];
    const stores = new Stores([first, second]);
    expect(stores.readLeaves(digest)).toBeUndefined();
    second.writeLeaves(digest, Buffer.alloc(64, 1));
    expect(stores.readLeaves(digest)).toHaveLength(64);
    expect(stores.writeLeaves(digest, Buffer.alloc(32, 2))).toBe(true);
    expect(first.readLeaves(digest)).toHaveLength(32);
    expect(readdirSync(join(first.path, "tmp"))).toEqual([]);
  });
});

describe("names", () => {
  test.each([
    ["app", "app"],
    ["registry.example/team/app:1.0", "registry.example%2Fteam%2Fapp:1.0"],
    ["localhost:5000/app@sha256:00", "localhost:5000%2Fapp@sha256:00"],
    [".hidden", "%2Ehidden"],
    ["..", "%2E."],
    ["50%", "50%25"],
    ["größe", "gr%C3%B6%C3%9Fe"],
  ])("%s is the file name %s", (name, component) => {
    expect(encodeName(name)).toBe(component);
    expect(decodeName(component)).toBe(name);
  });

  test.each([
    [""],
    ["-option"],
    ["a\nb"],
    ["a\0b"],
    ["x".repeat(limits.nameBytes + 1)],
    ["\ud800"],
  ])("%j is refused", (name) => {
    expect(() => encodeName(name)).toThrow(expect.objectContaining({ name: "UsageError" }));
  });

  test("one of the longest kind is taken", () => {
    expect(encodeName("x".repeat(limits.nameBytes))).toHaveLength(limits.nameBytes);
  });

  test("no two have one file name, and a file name has at most one name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), (name) => {
        let component: string;
        try {
          component = encodeName(name);
        } catch {
          return;
        }
        expect(component).toMatch(/^[A-Za-z0-9_\-:@+=,~%][A-Za-z0-9._\-:@+=,~%]*$/);
        expect(decodeName(component)).toBe(name);
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (component) => {
        const name = decodeName(component);
        if (name !== undefined) expect(encodeName(name)).toBe(component);
      }),
    );
  });

  test.each([["a%2fb"], ["%41"], [".."], ["a/b"], ["%"], ["%FF"], ["%00"]])(
    "%s is nobody's file name",
    (component) => {
      expect(decodeName(component)).toBeUndefined();
    },
  );

  test("that lead nowhere are refused, foreign ones are left out of lists", () => {
    const store = newStore();
    fill(store, content, "app");
    symlinkSync("../../objects", join(store.path, "images/refs/bad"));
    mkdirSync(join(store.path, "images/refs/sub"));
    expect(() => store.images.resolve("bad")).toThrow(
      expect.objectContaining({ code: "MALFORMED" }),
    );
    expect(() => store.images.resolve("other")).toThrow(
      expect.objectContaining({ code: "NO_REF" }),
    );
    expect(store.images.resolve(digest)).toBe(digest);
  });
});
