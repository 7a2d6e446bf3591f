/** The commands images, rm and du. */
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Store } from "../../../src/store/store.ts";
import { runMain } from "../../support/run.ts";
import { contentOf, damage, imageWith, objectsIn, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

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
    const lines = (await runMain("images", "--store", store.path)).out.trimEnd().split("\n");
    expect(lines[0]).toMatch(
      new RegExp(`^${app} {5}9\\.8 KiB {7}2 {2}1 signed {2}registry\\.example`),
    );
    expect(lines[1]).toMatch(new RegExp(`^${nameless} .* unsigned  -$`));
  });

  test("lists the others when one is damaged, and says why that one is", async () => {
    const bad = publish(store, "bad", ["a"]);
    publish(store, "good", ["b"]);
    damage(store, bad);
    const { status, out } = await runMain("images", "--store", store.path);
    expect(status).toBe(0);
    expect(out).toMatch(/damaged .* bad {2}\(image .*its bytes have the digest/);
    expect(out).toMatch(/ good$/);
  });

  test("of an empty store are none", async () => {
    expect(await runMain("images", "--store", store.path)).toMatchObject({ status: 0, out: "" });
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
