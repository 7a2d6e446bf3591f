/** A store in which somebody has put other things in the places of files and directories. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { LeafService } from "../../../src/mirror/serve/leaf-service.ts";
import { Resources } from "../../../src/mirror/serve/resource.ts";
import { PartialFile } from "../../../src/store/partial-file.ts";
import { Store } from "../../../src/store/store.ts";
import { objectPath } from "../../../src/verity/index.ts";
import { runMain } from "../../support/run.ts";
import { contentOf, digestOf, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

const HEX = "a".repeat(64);
const FAN = digestOf("a").slice(0, 2);
const HOUR_S = 3600;

let root: string;
let store: Store;
let id: string;

beforeEach(() => {
  root = scratchFolder();
  store = Store.create(join(root, "store"));
  id = publish(store, "app", ["a"], { version: 1 });
  makeBait();
});

const victim = (...parts: string[]) => join(root, "victim", ...parts);

/** A directory of somebody else, with everything in it that some command of ours would remove. */
function makeBait(): void {
  const old = Date.now() / 1000 - 1000 * HOUR_S;
  const files = [
    "lock",
    "status",
    `meta-${"0".repeat(36)}`,
    `leaves-${"0".repeat(36)}`,
    `partial-${HEX}`,
    "gc-file",
    "b".repeat(62),
    `boot-${"0".repeat(24)}`,
    `${HEX}/config.json`,
    `${"c".repeat(24)}/lock`,
    `${"c".repeat(24)}/file`,
    `${FAN}/${"d".repeat(62)}`,
    `unlocked-x/file`,
    "directory/inner/file",
  ];
  for (const file of files) {
    mkdirSync(dirname(victim(file)), { recursive: true });
    writeFileSync(victim(file), file);
    utimesSync(victim(file), old, old);
  }
  mkdirSync(victim("empty"));
}

/** All that is in the victim's directory, and when it was changed. */
function snapshot(): string[] {
  const names = readdirSync(victim(), { recursive: true, encoding: "utf8" }).sort();
  return ["", ...names].map((name) => {
    const stat = lstatSync(victim(name));
    const content = stat.isFile() ? readFileSync(victim(name), "utf8") : "";
    return `${name} ${stat.mode} ${stat.mtimeMs} ${stat.ino} ${content}`;
  });
}

const places = [
  "tmp",
  "quarantine",
  "leases",
  "seek",
  "bundles",
  "verity",
  "images",
  "images/refs",
  "objects",
  `objects/${FAN}`,
  `verity/${FAN}`,
  "lock",
  "lock.gate",
  "meta.json",
  `tmp/${"c".repeat(24)}`,
  `tmp/partial-${HEX}`,
  `quarantine/gc-${HEX}`,
  `leases/boot-${"0".repeat(24)}`,
  `seek/${HEX}`,
  `bundles/${HEX}`,
];

const replacements: readonly [what: string, make: (path: string) => void][] = [
  ["a link to a directory", (path) => symlinkSync(victim(), path)],
  ["a link within that directory", (path) => symlinkSync(victim(HEX), path)],
  ["a link to a file that is not there", (path) => symlinkSync(victim("new"), path)],
  ["a link to a file", (path) => symlinkSync(victim("status"), path)],
  ["a link to itself", (path) => symlinkSync(path, path)],
  ["a fifo", (path) => void spawnSync("mkfifo", [path])],
  ["a file", (path) => writeFileSync(path, "x")],
  [
    "a directory with something in it",
    (path) => (mkdirSync(path), writeFileSync(join(path, "x"), "")),
  ],
];

function replace(place: string, make: (path: string) => void): void {
  const path = join(store.path, place);
  if (existsSync(path)) renameSync(path, join(root, "aside"));
  make(path);
}

async function useStore(): Promise<void> {
  const source = join(root, "source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), contentOf("new", 2_000_000));
  const commands = [
    ["images", "--store", store.path],
    ["du", "--store", store.path],
    ["inspect", "app", "--store", store.path],
    ["gc", "--store", store.path, "--timeout", "0"],
    ["gc", "--store", store.path, "--timeout", "0", "--quarantine"],
    ["build", `dir:${source}`, "--store", store.path, "--name", "other"],
    ["rm", "app", "--store", store.path],
    ["fsck", "--store", store.path, "--timeout", "0", "--threads", "0"],
    ["fsck", "--store", store.path, "--timeout", "0", "--threads", "0", "--repair"],
    ["gc", "--store", store.path, "--timeout", "0", "--quarantine"],
  ];
  for (const command of commands) {
    const { err } = await runMain(...command);
    expect(err, command.join(" ")).not.toMatch(/internal error|TypeError|report/i);
  }
}

describe.each(replacements)("%s in the place of", (_, make) => {
  test.each(places)(
    "%s: nothing outside of the store changes, and nothing waits",
    async (place) => {
      replace(place, make);
      const before = snapshot();
      await useStore();
      expect(snapshot()).toEqual(before);
      expect(existsSync(victim("new"))).toBe(false);
    },
  );
});

test("what is fetched in part is not written through a link, nor to a file with other names", () => {
  const partial = join(store.path, "tmp", `partial-${HEX}`);
  symlinkSync(victim("new"), partial);
  expect(() => PartialFile.open(store, HEX as never, 100)).toThrow(/a symbolic link/);
  rmSync(partial);
  spawnSync("ln", [victim("status"), partial]);
  const file = PartialFile.open(store, HEX as never, 100);
  file.append(Buffer.from("not the victim's"));
  expect(readFileSync(victim("status"), "utf8")).toBe("status");
  file.close({ keep: false });
});

test("leaf hashes are neither written nor read through a link", () => {
  rmSync(join(store.path, "verity", FAN), { recursive: true, force: true });
  symlinkSync(victim(), join(store.path, "verity", FAN));
  const before = snapshot();
  expect(store.writeLeaves(digestOf("a"), Buffer.alloc(64))).toBe(false);
  writeFileSync(victim(digestOf("a").slice(2)), Buffer.alloc(64));
  expect(store.readLeaves(digestOf("a"))).toBeUndefined();
  rmSync(victim(digestOf("a").slice(2)));
  expect(snapshot().slice(1)).toEqual(before.slice(1));
});

test("all objects elsewhere are one problem, told with what to do, and a repair makes the directories", async () => {
  replace("objects", (path) => symlinkSync(join(root, "aside"), path));
  const { out } = await runMain("fsck", "--store", store.path, "--threads", "0");
  expect(out.split("\n").filter((line) => line.startsWith("directory"))).toEqual([
    `directory ${store.path}/objects: is not a directory`,
  ]);
  const { err } = await runMain("du", "--store", store.path);
  expect(err).toContain("mount --bind");
  await runMain("fsck", "--store", store.path, "--repair", "--threads", "0");
  await runMain("fsck", "--store", store.path, "--repair", "--threads", "0");
  expect(readdirSync(join(store.path, "objects"))).toHaveLength(256);
});

test("what gc and a repair take out of its place is the link, not what it leads to", async () => {
  replace("objects/" + FAN, (path) => symlinkSync(victim(), path));
  const { err } = await runMain("gc", "--store", store.path);
  expect(err).toContain(`objects/${FAN}: expected a directory, got a symbolic link`);
  await runMain("fsck", "--store", store.path, "--repair", "--threads", "0");
  expect(lstatSync(join(store.path, "objects", FAN)).isDirectory()).toBe(true);
  const [moved] = readdirSync(join(store.path, "quarantine"));
  expect(readlinkSync(join(store.path, "quarantine", moved!))).toBe(victim());
});

describe("a mirror gives out", () => {
  const asked = async (path: string) => {
    const resources = new Resources(store, new LeafService(store));
    return (await resources.open(path)) !== undefined;
  };

  test("nothing that a link leads to", async () => {
    const secret = victim("config.json");
    writeFileSync(
      secret,
      readFileSync(
        join(store.path, "bundles", id, readdirSync(join(store.path, "bundles", id))[0]!),
      ),
    );
    symlinkSync(victim(), join(store.path, "bundles", HEX));
    symlinkSync(secret, join(store.path, "bundles", id, "SHA256:link.json"));
    symlinkSync(victim("status"), join(store.path, "objects", FAN, "e".repeat(62)));
    for (const path of [
      `bundles/${HEX}/config.json`,
      `bundles/${id}/SHA256%3Alink.json`,
      `objects/${FAN}/${"e".repeat(62)}`,
    ]) {
      expect([path, await asked(path)]).toEqual([path, false]);
    }
    rmSync(join(store.path, "seek"), { recursive: true });
    symlinkSync(victim(), join(store.path, "seek"));
    expect(await asked(`seek/${HEX}/${HEX}`)).toBe(false);
  });

  test("a bundle or an index that is one, and no other file under its name", async () => {
    const folder = join(store.path, "bundles", id);
    const [name] = readdirSync(folder);
    expect(await asked(`bundles/${id}/${encodeURIComponent(name!)}`)).toBe(true);
    writeFileSync(join(folder, "SHA256:other.json"), '{"auths":{"registry":{"auth":"x"}}}');
    expect(await asked(`bundles/${id}/SHA256%3Aother.json`)).toBe(false);
    mkdirSync(join(store.path, "bundles", HEX));
    writeFileSync(
      join(store.path, "bundles", HEX, "SHA256:moved.json"),
      readFileSync(join(folder, name!)),
    );
    expect(await asked(`bundles/${HEX}/SHA256%3Amoved.json`)).toBe(false);
    mkdirSync(join(store.path, "seek", id), { recursive: true });
    writeFileSync(join(store.path, "seek", id, HEX), "not an index");
    expect(await asked(`seek/${id}/${HEX}`)).toBe(false);
  });

  test("meta.json that is a store's, and no other", async () => {
    expect(await asked("meta.json")).toBe(true);
    writeFileSync(join(store.path, "meta.json"), '{"secret": true}');
    expect(await asked("meta.json")).toBe(false);
  });
});

test("an object that is a fifo is told as such by fsck", async () => {
  const path = join(store.path, "objects", objectPath(digestOf("a")));
  rmSync(path);
  spawnSync("mkfifo", [path]);
  const { out } = await runMain("fsck", "--store", store.path, "--threads", "0");
  expect(out).toContain("expected a regular file, got a fifo or device");
});
