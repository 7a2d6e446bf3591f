/** Publishing into a store: what is visible when, what is checked, what is left behind. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { SystemError } from "../../../src/errors.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { objectPath } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { scratchFolder } from "../../support/scratch.ts";

const content = Buffer.from("an object of more than nothing ".repeat(10));
const digest = verityDigestOf(content);
const image = Buffer.from("stands in for an image ".repeat(10));
const id = verityDigestOf(image);

let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

/** Runs `work` in a transaction that is closed in the end. */
function transact<T>(
  work: (transaction: Transaction) => T,
  options: Parameters<typeof Transaction.begin>[1] = {},
): T {
  const transaction = Transaction.begin(store, options);
  try {
    return work(transaction);
  } finally {
    transaction.close();
  }
}

const objectFile = () => store.objects.path(digest);
const temporaries = () => readdirSync(join(store.path, "tmp"));

describe("publishing", () => {
  test("makes objects readable by all and by nobody writable, under their digest", () => {
    const published = transact((t) => {
      t.put(digest, content);
      return t.publish();
    });
    expect(published).toEqual({ added: 1, addedBytes: content.length, present: 0, replaced: [] });
    expect(readFileSync(join(store.path, "objects", objectPath(digest)))).toEqual(content);
    expect(statSync(objectFile()).mode & 0o7777).toBe(0o444);
  });

  test("gives objects their mode under any umask", () => {
    const before = process.umask(0o777);
    try {
      transact((t) => {
        t.put(digest, content);
        t.publish();
      });
    } finally {
      process.umask(before);
    }
    expect(statSync(objectFile()).mode & 0o7777).toBe(0o444);
  });

  test("leads from the name over the image's link to the object", () => {
    transact((t) => {
      t.put(id, image);
      t.publish({ image: id, name: "registry.example/app:1.0" });
    });
    const ref = join(store.path, "images/refs/registry.example%2Fapp:1.0");
    expect(readlinkSync(ref)).toBe(`../${id}`);
    expect(readFileSync(ref)).toEqual(image);
    expect(store.images.resolve("registry.example/app:1.0")).toBe(id);
    expect(store.images.list()).toEqual([
      { id, names: ["registry.example/app:1.0"], platforms: [] },
    ]);
  });

  test("moves a name to another image", () => {
    for (const [at, bytes] of [
      [id, image],
      [digest, content],
    ] as const) {
      transact((t) => {
        t.put(at, bytes);
        t.publish({ image: at, name: "app" });
      });
    }
    expect(store.images.resolve("app")).toBe(digest);
    expect(store.images.list().map(({ id: each }) => each)).toEqual([id, digest].sort());
  });

  test("stores bundles with the image they are about", () => {
    transact((t) => {
      t.put(id, image);
      t.publish({ image: id, bundles: [{ keyId: "SHA256:a/b+c", bytes: Buffer.from("{}") }] });
    });
    expect(store.readBundles(id)).toMatchObject([{ keyId: "SHA256:a/b+c" }]);
  });

  test("reads the good bundles beside files that are none, and tells of those", () => {
    transact((t) => {
      t.put(id, image);
      t.publish({ image: id, bundles: [{ keyId: "SHA256:good", bytes: Buffer.from("{}") }] });
    });
    const folder = `${store.path}/bundles/${id}`;
    mkdirSync(`${folder}/SHA256:folder.json`);
    symlinkSync("/etc/passwd", `${folder}/SHA256:link.json`);
    execFileSync("mkfifo", [`${folder}/SHA256:fifo.json`]);
    writeFileSync(`${folder}/SHA256:huge.json`, Buffer.alloc(1024 * 1024 + 1));
    const problems: Error[] = [];
    const bundles = store.readBundles(id, (error) => problems.push(error));
    expect(bundles.map((bundle) => bundle.keyId)).toEqual(["SHA256:good"]);
    expect(problems.map((error) => (error as { code?: string }).code)).toEqual([
      "WRONG_TYPE",
      "WRONG_TYPE",
      "LIMIT",
      "WRONG_TYPE",
    ]);
  });

  test("keeps a signer's bundles about one image under two names apart", () => {
    const keyId = "SHA256:a/b+c";
    const sign = (name: string, text: string) =>
      transact((t) =>
        t.publish({ image: id, bundles: [{ keyId, name, bytes: Buffer.from(text) }] }),
      );
    transact((t) => {
      t.put(id, image);
      t.publish({ image: id, bundles: [{ keyId, name: "app:1.0", bytes: Buffer.from("old") }] });
    });
    sign("app:latest", "latest");
    sign("app:1.0", "new");
    const bundles = store.readBundles(id);
    expect(bundles.map((bundle) => bundle.keyId)).toEqual([keyId, keyId]);
    const texts = bundles.map(({ bytes }) => new TextDecoder().decode(bytes));
    expect(texts.sort()).toEqual(["latest", "new"]);
  });

  test("leaves nothing in tmp", () => {
    transact((t) => {
      t.put(digest, content);
      t.put(id, image);
      t.publish({ objects: new Set([id]) });
    });
    expect(temporaries()).toEqual([]);
    expect(existsSync(objectFile())).toBe(false);
    expect(existsSync(store.objects.path(id))).toBe(true);
  });

  test("takes an object in parts, and once when it comes again", () => {
    const published = transact((t) => {
      for (let times = 0; times < 2; times++) {
        const staged = t.stage();
        staged.write(content.subarray(0, 7));
        staged.write(content.subarray(7));
        staged.finish(digest);
      }
      t.put(digest, content);
      return t.publish();
    });
    expect(published.added).toBe(1);
    expect(readFileSync(objectFile())).toEqual(content);
  });
});

describe("an object that is there already", () => {
  const publish = () =>
    transact((t) => {
      t.put(digest, content);
      return t.publish();
    });
  const publishInParts = () =>
    transact((t) => {
      const staged = t.stage();
      staged.write(content);
      staged.finish(digest);
      return t.publish();
    });

  test.each([
    ["at hand", publish],
    ["in parts", publishInParts],
  ])("is kept when it is right (%s)", (_, again) => {
    publish();
    const before = statSync(objectFile()).ino;
    expect(again()).toEqual({ added: 0, addedBytes: 0, present: 1, replaced: [] });
    expect(statSync(objectFile()).ino).toBe(before);
  });

  const wrong: [string, () => void][] = [
    ["empty, as after a crash", () => writeFileSync(objectFile(), "")],
    [
      "of the right size with wrong bytes",
      () =>
        writeFileSync(
          objectFile(),
          content.map((b) => b ^ 1),
        ),
    ],
    ["longer", () => writeFileSync(objectFile(), Buffer.concat([content, content]))],
    [
      "a symbolic link to the right bytes",
      () => {
        writeFileSync(join(root, "right"), content);
        symlinkSync(join(root, "right"), objectFile());
      },
    ],
    ["a directory", () => mkdirSync(objectFile())],
  ];
  for (const [what, spoil] of wrong) {
    test.each([
      ["at hand", publish],
      ["in parts", publishInParts],
    ])(`is quarantined and replaced when it is ${what} (%s)`, (_, again) => {
      spoil();
      expect(again()).toMatchObject({ added: 1, replaced: [digest] });
      expect(lstatSync(objectFile()).isFile()).toBe(true);
      expect(readFileSync(objectFile())).toEqual(content);
      const quarantined = readdirSync(join(store.path, "quarantine"));
      expect(quarantined).toHaveLength(1);
      expect(quarantined[0]).toMatch(new RegExp(`^${digest}\\.`));
    });
  }

  test("stays as it is when the transaction comes to nothing", () => {
    writeFileSync(objectFile(), "wrong");
    transact((t) => t.put(digest, content));
    expect(readFileSync(objectFile(), "utf8")).toBe("wrong");
    expect(temporaries()).toEqual([]);
  });
});

describe("a sync that fails", () => {
  const failing = (when: number) => {
    let count = 0;
    return () => {
      count += 1;
      if (count === when) throw new SystemError("IO", "sync: input/output error");
      if (count > when) throw new Error("the sync was tried again");
    };
  };
  const build = (sync: () => void) =>
    transact(
      (t) => {
        t.put(id, image);
        t.publish({ image: id, name: "app" });
      },
      { sync },
    );

  test("publishes nothing when it is the first", () => {
    expect(() => build(failing(1))).toThrow(SystemError);
    expect(existsSync(store.objects.path(id))).toBe(false);
    expect(store.images.list()).toEqual([]);
    expect(temporaries()).toEqual([]);
  });

  test("publishes no name when it is the second", () => {
    expect(() => build(failing(2))).toThrow(SystemError);
    expect(store.images.list()).toEqual([]);
    expect(temporaries()).toEqual([]);
  });

  test("happens after all objects are written and before any is renamed, and once more before the name", () => {
    const seen: unknown[] = [];
    build(() => {
      seen.push([
        existsSync(store.objects.path(id)),
        store.images.list().length,
        temporaries().length,
      ]);
    });
    expect(seen).toEqual([
      [false, 0, 1],
      [true, 0, 1],
    ]);
    expect(store.images.resolve("app")).toBe(id);
  });

  test("does not happen at all without durability", () => {
    transact(
      (t) => {
        t.put(digest, content);
        t.publish();
      },
      {
        durability: "none",
        sync: () => {
          throw new Error("synced");
        },
      },
    );
    expect(existsSync(objectFile())).toBe(true);
  });
});
