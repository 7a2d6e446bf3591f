/** The commands that look into an image, as their users run them. */
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { sealfs, sealfsOk } from "../../support/run.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { imageOf } from "../../support/small-image.ts";
import { scratchFolder } from "../../support/scratch.ts";

const content = Buffer.from("more than a line of an object\n".repeat(1000));
const digest = verityDigestOf(content);
const bytes = imageOf(
  "/ 0 40755 3 0 0 0 1.0 - - -",
  "/\\xc3\\xa9t\\xc3\\xa9 0 40755 2 0 0 0 1.0 - - -",
  "/\\xc3\\xa9t\\xc3\\xa9/in 3 100644 1 0 0 0 1.0 - abc -",
  `/out ${content.length} 100644 1 0 0 0 1.0 ${objectPath(digest)} - ${digest}`,
  "/raw\\xff 1 100644 1 0 0 0 1.0 - r -",
);

let root: string;
let store: string;
let image: string;

beforeAll(() => {
  root = scratchFolder();
  store = join(root, "store");
  image = join(root, "image");
  writeFileSync(image, bytes);
  const transaction = Transaction.begin(Store.create(store), { durability: "none" });
  const id = verityDigestOf(bytes);
  transaction.put(digest, content);
  transaction.put(id, bytes);
  transaction.publish({ image: id, name: "example.org/look:1" });
  transaction.close();
});

const named = () => ["example.org/look:1", "--store", store];

describe("sealfs ls", () => {
  test("lists a directory, of a file or of a name in a store", () => {
    const expected = "/out\n/raw\\xff\n/\u00e9t\u00e9\n";
    expect(sealfsOk(["ls", image]).stdout).toBe(expected);
    expect(sealfsOk(["ls", ...named()]).stdout).toBe(expected);
    expect(sealfsOk(["ls", verityDigestOf(bytes), "--store", store]).stdout).toBe(expected);
  });

  test("takes paths as it prints them", () => {
    expect(sealfsOk(["ls", image, "/\u00e9t\u00e9"]).stdout).toBe("/\u00e9t\u00e9/in\n");
    expect(sealfsOk(["ls", "-l", image, "/raw\\xff"]).stdout).toContain(" /raw\\xff\n");
    expect(sealfsOk(["ls", "-R", image]).stdout.split("\n")).toContain("/\u00e9t\u00e9/in");
  });

  test("prints one JSON document", () => {
    const parsed = JSON.parse(sealfsOk(["ls", "--json", image, "/out"]).stdout) as unknown;
    expect(parsed).toMatchObject([{ path: "/out", digest, size: content.length }]);
    const empty = join(root, "empty");
    writeFileSync(empty, imageOf("/ 0 40755 2 0 0 0 1.0 - - -"));
    expect(JSON.parse(sealfsOk(["ls", "--json", empty]).stdout)).toEqual([]);
  });

  test("exits 7 for a path, a file or a name that is not there, 3 for no image", () => {
    expect(sealfs(["ls", image, "/nothing"])).toMatchObject({ status: 7, stdout: "" });
    expect(sealfs(["ls", join(root, "nothing")]).status).toBe(7);
    expect(sealfs(["ls", "example.org/other:1", "--store", store]).status).toBe(7);
    expect(sealfs(["ls", import.meta.filename])).toMatchObject({ status: 3 });
    expect(sealfs(["ls", image, "\\q"]).status).toBe(2);
  });
});

describe("sealfs cat", () => {
  test("prints what the image holds itself, and objects out of a store", () => {
    expect(sealfsOk(["cat", image, "/\u00e9t\u00e9/in"]).stdout).toBe("abc");
    expect(sealfsOk(["cat", "example.org/look:1", "/out", "--store", store]).stdout).toBe(
      content.toString(),
    );
  });

  test("says what is missing: a store, an object, or a file", () => {
    const noStore = sealfs(["cat", image, "/out"]);
    expect(noStore.status).toBe(2);
    expect(noStore.stderr).toContain("--store");
    const empty = join(root, "empty-store");
    Store.create(empty);
    expect(sealfs(["cat", image, "/out", "--store", empty]).status).toBe(7);
    expect(sealfs(["cat", image, "/"]).status).toBe(2);
  });
});

test("sealfs dump prints what composefs-info dump prints", () => {
  const golden = goldenImage("shared-order.v1");
  const file = join(root, "golden");
  writeFileSync(file, golden.bytes);
  expect(sealfsOk(["dump", file]).stdout).toBe(golden.dump);
  expect(sealfsOk(["dump", ...named()]).stdout).toBe(sealfsOk(["dump", image]).stdout);
});

describe("sealfs digest", () => {
  test("prints the verity digest of each file, and of standard input", () => {
    expect(sealfsOk(["digest", image]).stdout).toBe(`${verityDigestOf(bytes)}  ${image}\n`);
    const options = { input: content };
    expect(sealfsOk(["digest", "-"], options).stdout).toBe(`${digest}  -\n`);
    const sha512 = ["digest", "--algorithm", "sha512", "--json", image];
    expect(JSON.parse(sealfsOk(sha512).stdout)).toEqual([
      { path: image, algorithm: "sha512", digest: verityDigestOf(bytes, "sha512") },
    ]);
  });

  test("refuses other algorithms and missing files", () => {
    expect(sealfs(["digest", "--algorithm", "md5", image]).status).toBe(2);
    expect(sealfs(["digest", join(root, "nothing")]).status).toBe(7);
  });
});

describe("sealfs inspect", () => {
  test("prints a summary for people and for programs", () => {
    expect(sealfsOk(["inspect", image]).stdout).toMatch(/^objects +1 of 30000 bytes/m);
    const summary = JSON.parse(sealfsOk(["inspect", "--json", ...named()]).stdout) as unknown;
    expect(summary).toMatchObject({ size: bytes.length, objects: { count: 1, bytes: 30000 } });
  });

  test("lists objects, and those that a store lacks", () => {
    expect(sealfsOk(["inspect", "--objects", image]).stdout).toBe(`${objectPath(digest)}\n`);
    expect(sealfsOk(["inspect", "--missing", ...named()]).stdout).toBe("");
    const empty = join(root, "lacking");
    Store.create(empty);
    const missing = sealfsOk(["inspect", "--missing", "--json", image, "--store", empty]).stdout;
    expect(JSON.parse(missing)).toEqual([{ digest, size: content.length }]);
    expect(sealfs(["inspect", "--missing", image]).status).toBe(2);
  });
});

describe("sealfs check", () => {
  test("passes a good image, with its objects", () => {
    expect(sealfsOk(["check", image]).stdout).toContain("obeys every rule");
    expect(sealfsOk(["check", ...named()]).stdout).toContain("every object is there and right");
    expect(JSON.parse(sealfsOk(["check", "--json", image]).stdout)).toEqual({ ok: true });
  });

  test("exits 3 and names rule and offset of a broken image", () => {
    const broken = join(root, "broken");
    writeFileSync(broken, goldenImage("hardlink-to-root.v1").bytes);
    const { status, stderr } = sealfs(["check", broken]);
    expect(status).toBe(3);
    expect(stderr).toMatch(/^sealfs: image breaks directory.loop at byte \d+: l leads/);
    const json = sealfs(["check", "--json", broken]);
    expect(json.status).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, image: { rule: "directory.loop" } });
  });

  test("exits 4 and names wrong and missing objects", () => {
    const damaged = join(root, "damaged");
    const transaction = Transaction.begin(Store.create(damaged), { durability: "none" });
    transaction.put(digest, content);
    transaction.publish();
    transaction.close();
    const path = join(damaged, "objects", objectPath(digest));
    truncateSync(path, content.length - 1);
    const wrong = sealfs(["check", image, "--store", damaged]);
    expect(wrong).toMatchObject({ status: 4 });
    expect(wrong.stdout).toContain(`wrong ${path}\n`);
    rmSync(path);
    const missing = sealfs(["check", "--json", image, "--store", damaged]);
    expect(missing).toMatchObject({ status: 4 });
    expect(JSON.parse(missing.stdout)).toMatchObject({
      ok: false,
      objects: [{ digest, problem: "missing" }],
    });
    // Another store that has it makes it good.
    sealfsOk(["check", image, "--store", damaged, "--store", store]);
  });

  test("exits 4 for a store whose image is not what its id says", () => {
    const other = join(root, "swapped");
    const transaction = Transaction.begin(Store.create(other), { durability: "none" });
    const id = verityDigestOf(bytes);
    transaction.put(id, bytes);
    transaction.publish({ image: id, name: "example.org/look:1" });
    transaction.close();
    const path = join(other, "objects", objectPath(id));
    rmSync(path);
    writeFileSync(path, readFileSync(image).fill(1, 1032, 1033));
    expect(sealfs(["check", "example.org/look:1", "--store", other]).status).toBe(4);
    expect(sealfs(["ls", "example.org/look:1", "--store", other]).status).toBe(4);
  });
});
