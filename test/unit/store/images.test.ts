/** The commands images, rm and du, and how an image is named. */
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { UsageError } from "../../../src/errors.ts";
import { openNamedImage } from "../../../src/mount/named-image.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { objectPath } from "../../../src/verity/verity-digest.ts";
import { runMain } from "../../support/run.ts";
import { contentOf, damage, imageWith, objectsIn, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { keyring, now } from "../../support/trust.ts";

let root: string;
let store: Store;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
});

const imageBytes = (...seeds: string[]) =>
  imageWith(Object.fromEntries(seeds.map((seed) => [seed, contentOf(seed)]))).length;

describe("images", () => {
  test("lists every image with sizes and what its bundles say, nameless ones last", async () => {
    const nameless = publish(store, undefined, ["z"]);
    const app = publish(store, "registry.example/app:1.0", ["a", "b"], { version: 7 });
    const { status, out } = await runMain("images", "--store", store.path, "--json");
    expect(status).toBe(0);
    const [first, second, ...others] = JSON.parse(out);
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      id: app,
      names: ["registry.example/app:1.0"],
      imageBytes: imageBytes("a", "b"),
      objects: 2,
      objectBytes: 10_000,
      bundles: [{ name: "registry.example/app:1.0", version: 7, expires: "2027-09-01T00:00:00Z" }],
    });
    expect(second).toMatchObject({ id: nameless, names: [], bundles: [] });
    const [titles, ...rows] = (await runMain("images", "--store", store.path)).out.split("\n");
    expect(titles).toBe("IMAGE ID            SIZE  OBJECTS  SIGNED  PLATFORM       NAMES");
    expect(rows).toEqual([
      `${app.slice(0, 12)}     9.8 KiB        2       1  -              registry.example/app:1.0`,
      expect.stringMatching(new RegExp(`^${nameless.slice(0, 12)} .* no  -  +-$`)),
    ]);
  });

  test("prints ids alone or whole", async () => {
    const ids = ["a", "b"].map((name) => publish(store, name, [name]));
    const quiet = await runMain("images", "-q", "--store", store.path);
    expect(quiet.out).toBe(ids.map((id) => id.slice(0, 12)).join("\n"));
    const whole = await runMain("images", "-q", "--no-trunc", "--store", store.path);
    expect(whole.out).toBe(ids.join("\n"));
    const { out } = await runMain("images", "--no-trunc", "--store", store.path);
    for (const id of ids) expect(out).toMatch(new RegExp(`\n${id} {5}4\\.9 KiB`));
  });

  test("lists the others when one is damaged, and says why that one is", async () => {
    const bad = publish(store, "bad", ["a"]);
    publish(store, "good", ["b"]);
    damage(store, bad);
    const { status, out } = await runMain("images", "--store", store.path);
    expect(status).toBe(0);
    expect(out).toMatch(/damaged .* bad {2}\(image .*its bytes have the digest/);
    expect(out).toMatch(/ good$/m);
  });

  test("of an empty store are none", async () => {
    const { status, out } = await runMain("images", "--store", store.path);
    expect({ status, lines: out.split("\n").length }).toEqual({ status: 0, lines: 1 });
    expect((await runMain("images", "--store", store.path, "--json")).out).toBe("[]");
  });
});

describe("rm", () => {
  test("removes a name and leaves image and objects to gc", async () => {
    const id = publish(store, "app", ["a"]);
    publish(store, "other", ["a"]);
    expect((await runMain("rm", "app", "--store", store.path)).status).toBe(0);
    expect(store.images.refs().map(({ name }) => name)).toEqual(["other"]);
    expect(store.images.has(id)).toBe(true);
    expect(objectsIn(store)).toHaveLength(2);
  });

  test("of several names removes all or, when one is not there, none", async () => {
    publish(store, "one", ["a"]);
    publish(store, "two", ["a"]);
    expect((await runMain("rm", "one", "three", "--store", store.path)).status).toBe(7);
    expect(store.images.refs().map(({ name }) => name)).toEqual(["one", "two"]);
    expect((await runMain("rm", "one", "two", "--store", store.path)).status).toBe(0);
    expect(store.images.refs().map(({ name }) => name)).toEqual([]);
  });

  test("takes no id, and says what to do instead", async () => {
    const id = publish(store, "app", ["a"]);
    const { status, err } = await runMain("rm", id, "--store", store.path);
    expect(status).toBe(7);
    expect(err).toContain("sealfs gc removes images");
  });

  test("removes a name that leads nowhere", async () => {
    symlinkSync("/etc/passwd", join(store.path, "images/refs/odd"));
    expect((await runMain("rm", "odd", "--store", store.path)).status).toBe(0);
    expect(store.images.refs().map(({ name }) => name)).toEqual([]);
  });
});

describe("du", () => {
  test("says what each image has to itself, what it shares, and what belongs to none", async () => {
    const [a, b] = [publish(store, "a", ["1", "2", "3"]), publish(store, "b", ["3"])];
    publish(store, "gone", ["4"]);
    await runMain("rm", "gone", "--store", store.path);
    const usage = JSON.parse((await runMain("du", "--store", store.path, "--json")).out);
    const [ofA, ofB] = [imageBytes("1", "2", "3"), imageBytes("3")];
    expect(usage.images.find((image: { id: string }) => image.id === a)).toMatchObject({
      names: ["a"],
      own: 10_000 + ofA,
      shared: 5000,
      total: 15_000 + ofA,
    });
    expect(usage.images.find((image: { id: string }) => image.id === b)).toMatchObject({
      own: ofB,
      shared: 5000,
    });
    expect(usage.referenced).toBe(20_000 + ofA + ofB + imageBytes("4"));
    expect(usage.unreferenced).toBe(0);
    rmSync(join(store.path, "images", usage.images.find((i: any) => !i.names.length).id));
    const again = JSON.parse((await runMain("du", "--store", store.path, "--json")).out);
    expect(again.unreferenced).toBe(5000 + imageBytes("4"));
    const { out, err } = await runMain("du", "--store", store.path);
    expect(out.split("\n")[0]).toMatch(/^.{7}KiB {4}4\.9 KiB.{8}KiB {2}a$/);
    expect(err).toContain("belong to no image");
  });

  test("stops at an image that is damaged", async () => {
    damage(store, publish(store, "app", ["a"]));
    expect((await runMain("du", "--store", store.path)).status).toBe(4);
  });
});

describe("an id", () => {
  test("may be shortened where it is the only one like it", () => {
    const id = publish(store, "app", ["a"]);
    publish(store, "other", ["b"]);
    for (const digits of [7, 12, 63, 64]) {
      expect(store.images.find(id.slice(0, digits))).toEqual({ id, name: undefined });
      expect(new Stores([store]).resolve(id.slice(0, digits))).toBe(id);
    }
  });

  test.each([
    ["six digits", (id: string) => id.slice(0, 6)],
    ["digits in upper case", (id: string) => id.slice(0, 20).toUpperCase()],
    ["more than there are", (id: string) => `${id}00`],
    ["another end", (id: string) => `${id.slice(0, 12)}${id[12] === "0" ? "1" : "0"}`],
  ])("is not told by %s", (_, change) => {
    const text = change(publish(store, "app", ["a"]));
    expect(() => store.images.find(text)).toThrow(expect.objectContaining({ code: "NO_REF" }));
  });

  test("is refused where several begin like it, and the advice works", () => {
    const id = publish(store, "app", ["a"]);
    const twin = `${id.slice(0, 11)}${id.slice(12)}0` as typeof id;
    symlinkSync(`../objects/${objectPath(twin)}`, join(store.path, "images", twin));
    const start = id.slice(0, 9);
    const refusal = expect.objectContaining({
      message: `image ${start}: expected one id, got 2 like this`,
    });
    expect(() => store.images.find(start)).toThrow(refusal);
    let advice = "";
    try {
      store.images.find(start);
    } catch (error) {
      advice = /such as ([0-9a-f]+)$/.exec((error as UsageError).hint ?? "")![1]!;
    }
    expect(store.images.find(advice).id).toBe([id, twin].sort()[0]);
  });

  test("gives way to a name of the same letters", () => {
    const id = publish(store, "app", ["a"]);
    const name = id.slice(0, 12);
    const named = publish(store, name, ["b"]);
    expect(store.images.find(name)).toEqual({ id: named, name });
  });

  test("in short is as good as a whole one for a mount's name", async () => {
    const id = publish(store, undefined, ["a"], { version: 7 });
    const places = { stores: new Stores([store]) };
    const demands = { trust: keyring, now };
    const verified = await openNamedImage(id.slice(0, 12), places, demands);
    expect(verified.statement).toMatchObject({ name: "app", version: 7 });
  });
});
