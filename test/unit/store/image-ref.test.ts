/** Names with platforms in a store: how they are written, where they lead, and what moves them. */
import * as fc from "fast-check";
import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type Platform, formatPlatform, parsePlatform } from "../../../src/platform/platform.ts";
import { decodeRef, encodeRef } from "../../../src/store/image-ref.ts";
import { collectGarbage } from "../../../src/store/gc/gc.ts";
import { removeNames } from "../../../src/store/remove-name.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { hostPlatform } from "../../../src/sys/host-platform.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { publish } from "../../support/store.ts";

const name = "registry.example/app:1.0";
const host = hostPlatform();
const [arm, riscv] = [parsePlatform("linux/arm/v7"), parsePlatform("linux/riscv64")];

describe("a ref's file name", () => {
  const platforms = fc.option(
    fc
      .tuple(
        fc.constantFrom("linux", "freebsd"),
        fc.constantFrom("amd64", "arm64", "arm", "s390x", "new-1.0"),
        fc.option(fc.constantFrom("v7", "v8", "v8.2", "x_y"), { nil: undefined }),
      )
      .map(([os, architecture, variant]): Platform => ({ os, architecture, variant })),
    { nil: undefined },
  );

  test("gives back name and platform", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(name, "a", "a!b", "a~linux~arm64", "ä/ö", ".hidden", "a%21linux"),
        platforms,
        (text, platform) => {
          const ref = { name: text, platform };
          expect(decodeRef(encodeRef(ref))).toEqual(ref);
        },
      ),
    );
  });

  test.for([
    "app!",
    "app!linux",
    "app!linux!",
    "app!linux!x86_64",
    "app!linux!arm64!v8!more",
    "app!Linux!arm64",
    "app!linux!..",
    "!linux!arm64",
  ])("is none of ours: %j", (component) => {
    expect(decodeRef(component)).toBeUndefined();
  });
});

describe("a name with platforms", () => {
  let store: Store;
  const refs = () => readdirSync(join(store.path, "images/refs")).sort();
  const refOf = (platform: Platform) => encodeRef({ name, platform });
  const bare = encodeRef({ name, platform: undefined });
  /** Publishes an image whose only file depends on `seed`; returns its id. */
  const put = (seed: string, platform: Platform | undefined) => {
    const image = publish(store, undefined, [seed]);
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.publish({ image, name, platform });
    transaction.close();
    return image;
  };
  beforeEach(() => {
    store = Store.create(join(scratchFolder(), "store"));
  });

  test("leads to the image for the platform asked for, and by default to this machine's", () => {
    const ids = [put("arm", arm), put("host", host), put("riscv", riscv)];
    expect(store.images.lookup(name)).toBe(ids[1]);
    expect(store.images.lookup(name, arm)).toBe(ids[0]);
    expect(store.images.lookup(name, riscv)).toBe(ids[2]);
    expect(refs()).toEqual([bare, refOf(arm), refOf(host), refOf(riscv)].sort());
  });

  test("leads other tools to this machine's image, and to the first where it has none", () => {
    const bareTarget = () => store.images.idOf({ name, platform: undefined });
    const first = put("arm", arm);
    expect(bareTarget()).toBe(first);
    const own = put("host", host);
    expect(bareTarget()).toBe(own);
    put("riscv", riscv);
    expect(bareTarget()).toBe(own);
  });

  test("that goes to an image for any platform has that alone", () => {
    put("arm", arm);
    const id = put("any", undefined);
    expect(refs()).toEqual([bare]);
    expect(store.images.lookup(name, arm)).toBe(id);
  });

  test("is removed with all its platforms, also one that leads nowhere", () => {
    put("arm", arm);
    put("host", host);
    symlinkSync("gone", join(store.path, "images/refs", refOf(riscv)));
    removeNames(store, [name]);
    expect(refs()).toEqual([]);
  });

  test("keeps the images of all its platforms from gc", () => {
    const ids = [put("arm", arm), put("host", host)];
    const loose = publish(store, undefined, ["loose"]);
    collectGarbage(store);
    expect(store.images.ids().sort()).toEqual([...ids].sort());
    expect(store.images.has(loose)).toBe(false);
  });

  test("is listed with the platforms of each image", () => {
    const id = put("same", arm);
    put("same", riscv);
    expect(store.images.list()).toEqual([
      { id, names: [name], platforms: [arm, riscv].map(formatPlatform) },
    ]);
  });

  test("gets several images in one transaction, this machine's by itself", () => {
    const [one, two] = [publish(store, undefined, ["1"]), publish(store, undefined, ["2"])];
    const transaction = Transaction.begin(store, { durability: "none" });
    transaction.publish({
      further: [
        { image: one, name, platform: riscv },
        { image: two, name, platform: host },
      ],
    });
    transaction.close();
    expect(store.images.idOf({ name, platform: undefined })).toBe(two);
    expect(store.images.lookup(name, riscv)).toBe(one);
  });
});
