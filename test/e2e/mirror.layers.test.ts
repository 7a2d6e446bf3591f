/**
 * `sealfs fetch` from the image's own layers: in a registry as skopeo pushes them, in every
 * compression; behind a plain web server; in a layout; in an archive.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readSeekLayers } from "../../src/seek/seek-index.ts";
import { Store } from "../../src/store/store.ts";
import { objectsOfStored } from "../../src/store/stored-image.ts";
import type { VerityDigest } from "../../src/verity/verity-digest.ts";
import { sealfs, sealfsOk } from "../support/run.ts";
import {
  type RunningRegistry,
  dockerRegistry,
  startDockerRegistry,
} from "../support/docker-registry.ts";
import { TestLayout, named, tar, types } from "../support/oci.ts";
import { oracle } from "../support/oracle.ts";
import { scratchFolder } from "../support/scratch.ts";

const skopeo = oracle("skopeo");
const name = "registry.example/app:1";

let folder: string;
const at = (file: string) => join(folder, file);

/** Text that compresses about as programs do; the same for the same seed. */
function text(seed: number, bytes: number): Buffer {
  const words = Array.from({ length: 2000 }, (_, i) => ((i * 7919 + 13) % 65_537).toString(36));
  let state = seed * 2_654_435_761 + 1;
  const parts: string[] = [];
  for (let length = 0; length < bytes;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const word = `${words[state % words.length]!} `;
    parts.push(word);
    length += word.length;
  }
  return Buffer.from(parts.join("").slice(0, bytes));
}

const small = Array.from({ length: 150 }, (_, i) => ({
  name: `usr/share/file-${i}`,
  content: text(i, 100 + 131 * i),
}));
const large = [1, 2, 3].map((i) => ({
  name: `usr/lib/large-${i}`,
  content: text(1000 + i, 2_500_000),
}));

async function layout(compressed: boolean): Promise<TestLayout> {
  const layers = [await tar(small), await tar([...large, ...small.slice(0, 5)])];
  const made = new TestLayout();
  if (compressed) return made.index([named(made.image(layers), "latest")]);
  const plain = layers.map((layer) => made.blob(layer, types.tar));
  return made.index([named(made.image(layers, { manifest: { layers: plain } }), "latest")]);
}

/** Builds from `source`, and makes a store that has the image but none of its objects. */
function thinClient(source: string): { client: Store; objects: ReadonlyMap<VerityDigest, number> } {
  for (const store of ["full", "client"]) rmSync(at(store), { recursive: true, force: true });
  const signing = ["--name", name, "--key", at("signer.key")];
  sealfsOk(["build", source, "--store", at("full"), ...signing]);
  cpSync(at("full"), at("client"), { recursive: true, verbatimSymlinks: true });
  const client = Store.open(at("client"));
  const objects = objectsOfStored(client, client.images.resolve(name));
  for (const digest of objects.keys()) unlinkSync(client.objects.path(digest));
  return { client, objects };
}

function fetch(mirror: string, ...more: string[]) {
  const places = ["--store", at("client"), "--mirrors", "none", "--mirror", mirror];
  const trust = ["--key", at("signer.pub"), "--state", "none"];
  const result = sealfs(["fetch", name, ...places, ...trust, "--json", ...more]);
  return { ...result, json: result.stdout === "" ? undefined : JSON.parse(result.stdout) };
}

beforeAll(() => {
  folder = scratchFolder();
  sealfsOk(["keygen", "-o", at("signer")]);
});

/** Everything comes, and a few files for a fraction of it; tells how large the fraction was. */
function expectAllAndPart(what: string, mirror: string, source: string, isSeekable: boolean) {
  const { client, objects } = thinClient(source);
  const lacks = () => [...objects.keys()].filter((each) => !existsSync(client.objects.path(each)));
  const part = fetch(mirror, "--path", "/usr/share/file-14?");
  expect(part.stderr).toBe("");
  expect(part.status).toBe(0);
  expect(part.json.fetched.objects).toBe(10);
  expect(lacks()).toHaveLength(objects.size - 10);
  const planned = fetch(mirror, "--dry-run");
  expect(planned.json.sources).toHaveLength(1);
  const rest = fetch(mirror);
  expect(rest.stderr).toBe("");
  expect(rest.status).toBe(0);
  expect(lacks()).toEqual([]);
  // A plan is for the worst: reading may end before all is taken.
  const { received } = rest.json.sources[0];
  expect(received).toBeLessThanOrEqual(planned.json.sources[0].cost);
  expect(received).toBeGreaterThan(planned.json.sources[0].cost * 0.9);
  expect(sealfs(["fsck", "--store", at("client")]).status).toBe(0);
  const [few, most] = [part.json.sources[0].received, rest.json.sources[0].received];
  const whole = wholeSize(client);
  console.info(`${what}: 10 of 153 files for ${few} bytes, the rest for ${most}; layers: ${whole}`);
  if (isSeekable) {
    expect(few).toBeLessThan(whole / 4);
    expect(most).toBeLessThan(whole * 1.2);
  }
}

/** Bytes of the layers, as the index has them. */
function wholeSize(client: Store): number {
  const seek = join(client.path, "seek");
  const files = readdirSync(seek, { recursive: true, withFileTypes: true });
  const file = files.find((each) => each.isFile())!;
  const layers = readSeekLayers(readFileSync(join(file.parentPath, file.name)));
  return layers.reduce((sum, { size }) => sum + size, 0);
}

describe("layers at hand", () => {
  test.each([true, false])("in a layout, gzip: %j", async (isCompressed) => {
    const path = (await layout(isCompressed)).directory(at(`layout-${isCompressed}`));
    expectAllAndPart(`oci:, gzip ${isCompressed}`, `oci:${path}`, `oci:${path}`, true);
  });

  test("in an archive", async () => {
    const path = await (await layout(true)).archive(at("image.tar"));
    expectAllAndPart("oci-archive:", `oci-archive:${path}`, `oci-archive:${path}`, true);
  });

  test("that were changed since: nothing of them is kept, and the error says so", async () => {
    const made = await layout(false);
    const path = made.directory(at("changed"));
    const { client, objects } = thinClient(`oci:${path}`);
    for (const [file, content] of made.files) {
      if (content.length > 100_000)
        writeFileSync(join(path, file), Buffer.alloc(content.length, 7));
    }
    const { status, stderr } = fetch(`oci:${path}`);
    expect(status).toBe(6);
    expect(stderr).toContain("digest");
    expect([...objects.keys()].some((each) => existsSync(client.objects.path(each)))).toBe(false);
  });

  test("an image without a seek index says that its layers are of no use", async () => {
    const path = (await layout(true)).directory(at("unindexed"));
    rmSync(at("client"), { recursive: true, force: true });
    const options = ["--store", at("client"), "--name", name, "--key", at("signer.key")];
    sealfsOk(["build", `oci:${path}`, ...options, "--no-seek-index"]);
    const { status, stderr } = fetch(`oci:${path}`);
    expect(status).toBe(7);
    expect(stderr).toContain("no seek index");
  });
});

describe.skipIf(skopeo === undefined || dockerRegistry === undefined)(
  "layers in a registry (needs skopeo and docker-registry)",
  () => {
    let running: RunningRegistry;
    let host: string;

    beforeAll(async () => {
      running = await startDockerRegistry();
      ({ host } = running);
    });
    afterAll(() => running.stop());
    beforeEach(() => rmSync(at("pushed"), { recursive: true, force: true }));

    async function push(tag: string, isCompressed: boolean, ...options: string[]): Promise<string> {
      const source = (await layout(isCompressed)).directory(at("pushed"));
      const target = `docker://${host}/app:${tag}`;
      const argv = ["copy", "--insecure-policy", "--dest-tls-verify=false", ...options];
      const { status, stderr } = spawnSync(skopeo!, [...argv, `oci:${source}:latest`, target], {
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`skopeo: ${stderr}`);
      return target;
    }

    test.each([
      ["gzip", true, ["--dest-compress-format", "gzip", "--dest-force-compress-format"], true],
      ["uncompressed", false, ["--preserve-digests"], true],
      [
        "zstd-chunked",
        true,
        ["--dest-compress-format", "zstd:chunked", "--dest-force-compress-format"],
        true,
      ],
      ["zstd", true, ["--dest-compress-format", "zstd", "--dest-force-compress-format"], false],
    ])("%s", async (tag, isCompressed, options, isSeekable) => {
      const target = await push(tag, isCompressed, ...options);
      expectAllAndPart(tag, `docker://${host}/app`, target, isSeekable);
    });

    test("pushed by sealfs, pulled into an empty store, and fetched there from the layers", async () => {
      const target = await push("signed", true);
      const { objects } = thinClient(target);
      sealfsOk(["push", name, target, "--store", at("full")]);
      rmSync(at("client"), { recursive: true });
      const trust = ["--key", at("signer.pub"), "--state", "none"];
      const named = ["--name", name, "--store", at("client")];
      sealfsOk(["pull", target, ...named, ...trust]);
      const client = Store.open(at("client"));
      const { status, stderr } = fetch(target);
      expect(stderr).toBe("");
      expect(status).toBe(0);
      for (const [digest, size] of objects) {
        expect(client.objects.state(digest, size)).toBe("good");
      }
    });
  },
);
