/** One name for images of several platforms: built, signed, verified, exported, all from one source. */
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { formatPlatform, parsePlatform } from "../../src/platform/platform.ts";
import { Store } from "../../src/store/store.ts";
import { hostPlatform } from "../../src/sys/host-platform.ts";
import { TestLayout, tar } from "../support/oci.ts";
import { runMain, runMainOk } from "../support/run.ts";
import { scratchFolder } from "../support/scratch.ts";

const name = "registry.example/app:1.0";
const host = formatPlatform(hostPlatform());
const foreign = ["linux/s390x", "linux/riscv64"];
const all = [host, ...foreign];
let folder: string;
let archive: string;
const at = (file: string) => join(folder, file);
const signing = () => ["--name", name, "--key", at("k.key")];
const trust = () => ["--key", at("k.pub"), "--state", at("state")];

/** Three images over one base; each has a file that says what it is for. */
async function layout(): Promise<TestLayout> {
  const files = new TestLayout();
  const base = await tar([{ name: "base", content: "shared by all of them ".repeat(100) }]);
  const images = await Promise.all(
    all.map(async (platform) => {
      const own = await tar([{ name: "arch", content: `for ${platform} `.repeat(50) }]);
      const [os, architecture, variant] = platform.split("/");
      const image = files.image([base, own], { platform });
      return { ...image, platform: { os, architecture, variant } };
    }),
  );
  const attestation = { ...images[0]!, platform: { os: "unknown", architecture: "unknown" } };
  return files.index([...images, attestation]);
}

beforeAll(async () => {
  folder = scratchFolder();
  archive = await (await layout()).archive(at("app.oci.tar"));
  await runMainOk("keygen", "-o", at("k"));
});

const build = (...args: string[]) =>
  runMain("build", `oci-archive:${archive}`, "--store", at("store"), ...args);

test("all platforms are built and signed in one run, under one name", async () => {
  const built = await build("--all-platforms", "--json", ...signing());
  expect(built.err).toBe("");
  const { images } = JSON.parse(built.out) as {
    images: { digest: string; platform: string; objects: { new: number } }[];
  };
  expect(images.map(({ platform }) => platform)).toEqual(all);
  // The base once, a file for each, and the images.
  expect(images[0]!.objects.new).toBe(1 + all.length + all.length);
  const store = Store.open(at("store"));
  for (const { digest, platform } of images) {
    expect(store.images.lookup(name, parsePlatform(platform))).toBe(digest);
  }
  expect(store.images.lookup(name)).toBe(images[0]!.digest);
  expect(new Set(store.images.refs().map((ref) => ref.name))).toEqual(new Set([name]));
});

test("this machine's is verified by default, another when it is asked for", async () => {
  const verify = async (...args: string[]) => {
    const found = await runMainOk("verify", name, "--store", at("store"), ...trust(), ...args);
    return /^platform +(.*)$/m.exec(found.out)?.[1];
  };
  expect(await verify()).toBe(host);
  for (const platform of foreign) expect(await verify("--platform", platform)).toBe(platform);
});

test("a platform that the name has no image for is refused; the hint, followed, works", async () => {
  const verify = (...args: string[]) =>
    runMain("verify", name, "--store", at("store"), ...trust(), ...args);
  const refused = await verify("--platform", "linux/mips64le");
  expect(refused.status).toBe(5);
  expect(refused.err).toContain(`expected "${name}" for linux/mips64le`);
  const [, hint] = /(--platform [^ )\n]+)/.exec(refused.err) ?? [];
  expect((await verify(...hint!.split(" "))).status).toBe(0);
});

test("an image that was swapped for another platform's is noticed", async () => {
  const store = Store.open(at("store"));
  const [wanted, other] = foreign.map(parsePlatform);
  const swapped = Store.create(at("swapped"));
  const { Transaction } = await import("../../src/store/transaction.ts");
  const transaction = Transaction.begin(swapped, { durability: "none" });
  const id = store.images.lookup(name, other)!;
  transaction.put(id, store.readImage(id));
  const bundles = store.readBundles(id).map(({ keyId, bytes }) => ({ keyId, bytes, name }));
  transaction.publish({ image: id, name, platform: wanted, bundles });
  transaction.close();
  const found = await runMain(
    "verify",
    name,
    "--store",
    at("swapped"),
    "--platform",
    formatPlatform(wanted!),
    ...trust(),
  );
  expect(found.status).toBe(5);
  expect(found.err).toContain("got the image for");
});

test("some platforms, or one, are built when they are named; the others stay", async () => {
  const before = Store.open(at("store")).images.lookup(name, parsePlatform(foreign[0]!));
  const built = await build("--platform", `${host},${foreign[1]}`, ...signing());
  expect(built.status).toBe(0);
  expect(built.out.trim().split("\n")).toHaveLength(2);
  expect(Store.open(at("store")).images.lookup(name, parsePlatform(foreign[0]!))).toBe(before);
  const missing = await build("--platform", `${host},linux/ppc64le`, ...signing());
  expect(missing.status).not.toBe(0);
  expect(missing.err).toContain("linux/ppc64le");
});

test("several do not fit into one file, nor come twice from standard input", async () => {
  const one = await build("--all-platforms", "-o", at("image"), ...signing());
  expect([one.status, one.err]).toEqual([2, expect.stringContaining("--output")]);
  const piped = await runMain("build", "-", "--store", at("store"), "--all-platforms");
  expect([piped.status, piped.err]).toEqual([2, expect.stringContaining("save it to a file")]);
  const both = await build("--all-platforms", "--platform", host);
  expect(both.status).toBe(2);
});

test("what was built without a key is signed for what the store has it for", async () => {
  const built = await runMainOk(
    "build",
    `oci-archive:${archive}`,
    "--store",
    at("unsigned"),
    "--name",
    name,
    "--all-platforms",
    "--json",
  );
  const { images } = JSON.parse(built.out) as { images: { digest: string }[] };
  const key = ["--store", at("unsigned"), "--key", at("k.key")];
  const verify = async (as: string, platform: string) => {
    const args = ["verify", as, "--store", at("unsigned"), "--key", at("k.pub"), "--state", "none"];
    return (await runMainOk(...args, "--platform", platform)).out;
  };
  expect((await runMainOk("sign", name, ...key)).out).toBe(images[0]!.digest);
  expect(await verify(name, host)).toMatch(new RegExp(`^platform +${host}$`, "m"));
  await runMainOk("sign", name, "--platform", foreign[0]!, ...key);
  expect(await verify(name, foreign[0]!)).toContain(images[1]!.digest);
  await runMainOk("sign", images[2]!.digest, "--name", name, ...key);
  expect(await verify(name, foreign[1]!)).toContain(images[2]!.digest);
  const second = "registry.example/app:stable";
  await runMainOk("sign", name, "--platform", foreign[1]!, "--name", second, ...key);
  expect(await verify(second, foreign[1]!)).toContain(images[2]!.digest);
});

test("an image of which nobody says what it runs on does not join those of platforms", async () => {
  const other = await runMainOk(
    "build",
    `dir:${import.meta.dirname}/../support`,
    "--store",
    at("store"),
  );
  const signed = await runMain("sign", other.out, "--store", at("store"), ...signing());
  expect(signed.status).toBe(2);
  expect(signed.err).toContain("for which is this one?");
});
