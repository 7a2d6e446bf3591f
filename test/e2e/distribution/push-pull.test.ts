/** Signed images through registries: pushed, found, verified; and what strangers may put beside them. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ARTIFACT_TYPE, formatArtifact } from "../../../src/distribution/registry-artifact.ts";
import { type OciDigest, digestOf } from "../../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../../src/oci/media-types.ts";
import { addToFallback, listReferrers } from "../../../src/oci/registry/referrers.ts";
import { putManifest, uploadBlob } from "../../../src/oci/registry/upload.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { formatPlatform, parsePlatform } from "../../../src/platform/platform.ts";
import { hostPlatform } from "../../../src/sys/host-platform.ts";
import { listSeekIndexes } from "../../../src/store/seek-indexes.ts";
import { Store } from "../../../src/store/store.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { dockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { TestLayout, layerTar, types } from "../../support/oci.ts";
import { type RegistryHabits, TestRegistry } from "../../support/registry.ts";
import { runMain, runMainOk } from "../../support/run.ts";
import { bundleFor } from "../../support/store.ts";
import { alice, mallory } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

const REPO = "team/app";
const noise = (seed: string) =>
  Array.from({ length: 3000 }, (_, i) => `${seed} ${i * i}\n`).join("");

let root: string;
let key: string;
let evilKey: string;

beforeEach(() => {
  root = scratchFolder();
  writeFileSync(join(root, "alice.key"), alice.toPem(), { mode: 0o600 });
  writeFileSync(join(root, "mallory.key"), mallory.toPem(), { mode: 0o600 });
  writeFileSync(join(root, "alice.pub"), alice.publicKey.toPem());
  writeFileSync(join(root, "auth.json"), "{}");
  key = join(root, "alice.key");
  evilKey = join(root, "mallory.key");
});

const at = (name: string) => join(root, name);

function registryAt(host: string): Registry {
  const registry = new Registry({ host, repository: REPO }, { authFile: at("auth.json") });
  onTestFinished(() => registry.close());
  return registry;
}

/** Pushes an OCI image of one layer; returns the digest of its manifest. */
async function pushOci(host: string, tag = "1.0", text = noise(tag)): Promise<OciDigest> {
  const registry = registryAt(host);
  const layout = new TestLayout();
  const manifest = layout.image([await layerTar(text)]);
  const path = `blobs/${manifest.digest.replace(":", "/")}`;
  for (const [name, bytes] of layout.files) {
    if (name.startsWith("blobs/") && name !== path) await uploadBlob(registry, bytes);
  }
  await putManifest(registry, tag, types.manifest, layout.files.get(path)!);
  return manifest.digest as OciDigest;
}

/** Pushes an index of images for these platforms, each of a base and a layer of its own. */
async function pushIndex(host: string, platforms: readonly string[]): Promise<OciDigest[]> {
  const registry = registryAt(host);
  const layout = new TestLayout();
  const base = await layerTar(noise("base"), "base");
  const manifests = await Promise.all(
    platforms.map(async (platform) => {
      const [os, architecture] = platform.split("/");
      const image = layout.image([base, await layerTar(noise(platform))], { platform });
      return { ...image, platform: { os, architecture } };
    }),
  );
  const pathOf = ({ digest }: { digest: string }) => `blobs/${digest.replace(":", "/")}`;
  const documents = new Set(manifests.map(pathOf));
  for (const [name, bytes] of layout.files) {
    if (name.startsWith("blobs/") && !documents.has(name)) await uploadBlob(registry, bytes);
  }
  for (const manifest of manifests) {
    const bytes = layout.files.get(pathOf(manifest))!;
    await putManifest(registry, manifest.digest, types.manifest, bytes);
  }
  const bytes = layout.index(manifests).files.get("index.json")!;
  await putManifest(registry, "1.0", types.index, bytes);
  return manifests.map(({ digest }) => digest as OciDigest);
}

const source = (host: string, tag = "1.0") => `docker://${host}/${REPO}:${tag}`;
const nameAt = (host: string, tag = "1.0") => `${host}/${REPO}:${tag}`;
const auth = () => ["--authfile", at("auth.json")];

function build(host: string, store: string, options: string[] = [], withKey = key) {
  const named = ["--name", nameAt(host), "--key", withKey, ...auth(), ...options];
  return runMainOk("build", source(host), "--store", at(store), ...named);
}

const push = (host: string, store: string) =>
  runMainOk("push", nameAt(host), source(host), "--store", at(store), "--json", ...auth());

const pull = (host: string, store: string, ...options: string[]) =>
  runMain(
    "pull",
    source(host),
    "--json",
    "--store",
    at(store),
    "--key",
    at("alice.pub"),
    "--state",
    at("state"),
    ...auth(),
    ...options,
  );

const kinds: [string, () => Promise<string>][] = [
  ["a registry with the referrers API", () => started({ referrers: true })],
  ["a registry without it", () => started({})],
  [
    "a registry that says it has the referrers API and does not show it",
    () =>
      started({
        referrers: true,
        intercept: ({ url }, response) => {
          if (!url!.includes("/referrers/")) return false;
          response.writeHead(403).end();
          return true;
        },
      }),
  ],
  [
    "a registry that takes chunks only and sends elsewhere for blobs",
    () => started({ chunkedOnly: true, redirectUses: 2 }),
  ],
];

async function started(habits: RegistryHabits): Promise<string> {
  return (await TestRegistry.start(habits)).host;
}

async function real(): Promise<string> {
  const registry = await startDockerRegistry();
  onTestFinished(() => registry.stop());
  return registry.host;
}

const all = [...kinds, ["docker-registry (skipped when not installed)", real] as const];

describe.each(all)("%s", (what, start) => {
  const it = what.startsWith("docker-registry") ? test.skipIf(dockerRegistry === undefined) : test;

  it("gives back what was pushed, verified, with its seek index, and without a single object", async () => {
    const host = await start();
    const subject = await pushOci(host);
    const built = await build(host, "builder");
    const pushed = JSON.parse((await push(host, "builder")).out);
    expect(pushed).toMatchObject({ subject, bundles: 1, seekIndexes: 1 });
    const result = await pull(host, "client");
    expect(result.err).toContain("verified");
    const pulled = JSON.parse(result.out);
    expect(pulled).toMatchObject({ id: pushed.id, subject, fitsSubject: true, hasSeekIndex: true });
    expect(pulled.missing.objects).toBe(1);
    expect(built.out).toContain(pushed.id);
    const client = Store.open(at("client"));
    expect(client.images.resolve(nameAt(host))).toBe(pushed.id);
    expect(listSeekIndexes(client, pushed.id as VerityDigest)).toHaveLength(1);
    const verified = await runMain(
      "verify",
      nameAt(host),
      "--store",
      at("client"),
      "--key",
      at("alice.pub"),
    );
    expect(verified.status).toBe(0);
  });

  it("carries the images of all platforms under one tag, each beside its manifest", async () => {
    const host = await start();
    const platforms = [formatPlatform(hostPlatform()), "linux/s390x", "linux/riscv64"];
    const subjects = await pushIndex(host, platforms);
    await build(host, "builder", ["--all-platforms"]);
    const pushed = JSON.parse((await push(host, "builder")).out);
    expect(pushed.images.map((image: { subject: string }) => image.subject).sort()).toEqual(
      [...subjects].sort(),
    );
    const own = JSON.parse((await pull(host, "client")).out);
    expect(own).toMatchObject({ subject: subjects[0], platform: platforms[0] });
    const one = JSON.parse((await pull(host, "client", "--platform", platforms[1]!)).out);
    expect(one).toMatchObject({ subject: subjects[1], platform: platforms[1], progress: "first" });
    const pulled = JSON.parse((await pull(host, "client", "--all-platforms")).out);
    expect(pulled.images.map((image: { platform: string }) => image.platform)).toEqual(platforms);
    const [builder, client] = ["builder", "client"].map((store) => Store.open(at(store)).images);
    for (const text of platforms) {
      const platform = parsePlatform(text);
      expect(client!.lookup(nameAt(host), platform)).toBe(builder!.lookup(nameAt(host), platform));
    }
    const wrong = await pull(host, "client", "--platform", "linux/mips64le");
    expect(wrong.status).not.toBe(0);
    expect(wrong.err).toContain("linux/s390x");
  });

  it("brings the leaf hashes of large files, for single blocks of them", async () => {
    const host = await start();
    const text = noise("large").repeat(40);
    await pushOci(host, "1.0", text);
    await build(host, "builder");
    await push(host, "builder");
    await pull(host, "client");
    const { digest, leaves } = leavesOf(Buffer.from(text));
    expect(text.length).toBeGreaterThan(1024 * 1024);
    expect(Store.open(at("client")).readLeaves(digest)).toEqual(leaves);
  });

  it("is the same after a second push, which sends nothing", async () => {
    const host = await start();
    const subject = await pushOci(host);
    await build(host, "builder");
    const first = JSON.parse((await push(host, "builder")).out);
    const second = JSON.parse((await push(host, "builder")).out);
    expect(second.artifact).toBe(first.artifact);
    expect(second.uploads.map(({ how }: { how: string }) => how)).toEqual(
      second.uploads.map(() => "present"),
    );
    expect(await listReferrers(registryAt(host), subject, ARTIFACT_TYPE)).toHaveLength(1);
  });

  it("has two images side by side: the higher version is taken, and a lower one refused afterwards", async () => {
    const host = await start();
    const subject = await pushOci(host);
    await build(host, "one", ["--version", "1"]);
    await build(host, "two", ["--version", "2", "--format-version", "1"]);
    await push(host, "two");
    await push(host, "one");
    const pulled = JSON.parse((await pull(host, "client")).out);
    expect(pulled).toMatchObject({ version: 2, progress: "first" });
    expect(JSON.parse((await pull(host, "client")).out)).toMatchObject({ progress: "same" });
    // Another place that has only the older one.
    const stale = await start();
    expect(await pushOci(stale)).toBe(subject);
    await runMainOk("push", nameAt(host), source(stale), "--store", at("one"), ...auth());
    const { status, err } = await pull(stale, "other", "--name", nameAt(host));
    expect(status).toBe(5);
    expect(err).toMatch(/version/);
    expect(existsSync(at("other"))).toBe(false);
  });
});

describe("what lies there already", () => {
  test("with a higher version, or the same for another image, is a warning of push", async () => {
    const host = await started({ referrers: true });
    await pushOci(host);
    await build(host, "new", ["--version", "7"]);
    await build(host, "old", ["--version", "6", "--format-version", "1"]);
    await build(host, "same", ["--version", "7", "--format-version", "1"]);
    expect((await push(host, "new")).err).not.toContain("warning");
    expect((await push(host, "new")).err).not.toContain("warning");
    expect((await push(host, "old")).err).toMatch(
      /^warning: \S+: version 7 of image .* clients take that one, and not version 6 \(.*--version 8\)/,
    );
    expect((await push(host, "same")).err).toContain("clients refuse the second of two images");
    // Another key's is nobody's business here.
    await build(host, "other", ["--version", "5"], evilKey);
    expect((await push(host, "other")).err).not.toContain("warning");
  });
});

describe("strangers", () => {
  test("an image that only a stranger has signed is refused, and nothing is kept", async () => {
    const host = await started({ referrers: true });
    await pushOci(host);
    await build(host, "evil", [], evilKey);
    await push(host, "evil");
    const { status, err } = await pull(host, "client");
    expect([status, err]).toEqual([5, expect.stringContaining("which is not trusted")]);
    expect(existsSync(at("client"))).toBe(false);
  });

  test("a stranger's higher version does not stand in the way of the good one", async () => {
    const host = await started({});
    await pushOci(host);
    await build(host, "good", ["--version", "5"]);
    await build(host, "evil", ["--version", "9", "--format-version", "1"], evilKey);
    await push(host, "good");
    await push(host, "evil");
    expect(JSON.parse((await pull(host, "client")).out)).toMatchObject({ version: 5 });
  });

  test("a bootstrap is downloaded only when a good statement is about it", async () => {
    const server = await TestRegistry.start({ referrers: true });
    await pushOci(server.host);
    await build(server.host, "evil", [], evilKey);
    await push(server.host, "evil");
    const [bootstrap] = JSON.parse(
      [...server.repository(REPO).manifests.values()].at(-1)!.bytes.toString(),
    ).layers;
    server.log.length = 0;
    await pull(server.host, "client");
    expect(server.requests(new RegExp(bootstrap.digest))).toEqual([]);
  });

  test("many artifacts by strangers are looked at up to a number, and those that name our key first", async () => {
    const server = await TestRegistry.start({ referrers: true });
    const subject = await pushOci(server.host);
    await build(server.host, "good", ["--version", "5"]);
    const registry = registryAt(server.host);
    const image = Store.open(at("good")).readImage(
      Store.open(at("good")).images.resolve(nameAt(server.host)),
    );
    const of = { mediaType: types.manifest, digest: subject, size: 1 };
    const flood = async (count: number, from: number) => {
      for (let n = from; n < from + count; n++) {
        const bundle = bundleFor(image, `flood/${n}`, n + 1, mallory);
        const bundles = [{ ...bundle, keyId: mallory.publicKey.id }];
        const id = "0".repeat(64) as VerityDigest;
        const { bytes } = formatArtifact({
          subject: of,
          id,
          bootstrap: image,
          bundles,
          seekIndexes: [],
          leafHashes: new Uint8Array(0),
        });
        await uploadBlob(registry, bundle.bytes);
        await putManifest(registry, digestOf(bytes), OCI_MANIFEST, bytes);
      }
    };
    await flood(10, 0);
    await push(server.host, "good");
    await flood(90, 10);
    server.log.length = 0;
    expect(JSON.parse((await pull(server.host, "client")).out)).toMatchObject({ version: 5 });
    expect(server.log.length).toBeLessThan(200);
  });

  test("garbage among the artifacts is passed over", async () => {
    const server = await TestRegistry.start({});
    const subject = await pushOci(server.host);
    await build(server.host, "good");
    await push(server.host, "good");
    const registry = registryAt(server.host);
    const texts = [
      "{}",
      '{"layers":1}',
      `{"artifactType":"${ARTIFACT_TYPE}","layers":[]}`,
      "no JSON",
    ];
    for (const text of texts) {
      const bytes = Buffer.from(text);
      const digest = server.addManifest(REPO, undefined, OCI_MANIFEST, bytes) as OciDigest;
      const entry = { mediaType: OCI_MANIFEST, digest, size: bytes.length };
      await addToFallback(registry, subject, {
        ...entry,
        artifactType: ARTIFACT_TYPE,
        annotations: {},
      });
    }
    const gone = { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.from("gone")), size: 4 };
    await addToFallback(registry, subject, {
      ...gone,
      artifactType: ARTIFACT_TYPE,
      annotations: {},
    });
    expect((await pull(server.host, "client")).status).toBe(0);
  });

  test("a bootstrap whose bytes the registry has replaced is refused, and nothing is kept", async () => {
    const server = await TestRegistry.start({});
    await pushOci(server.host);
    await build(server.host, "good");
    const { id } = JSON.parse((await push(server.host, "good")).out);
    const digest = digestOf(Buffer.from(Store.open(at("good")).readImage(id)));
    const size = server.blobs.get(digest)!.length;
    server.blobs.set(digest, Buffer.alloc(size));
    const { status } = await pull(server.host, "client");
    expect(status).toBe(4);
    expect(existsSync(at("client"))).toBe(false);
  });

  test("an image of another name is refused", async () => {
    const host = await started({});
    await pushOci(host);
    await build(host, "good");
    await push(host, "good");
    const { status, err } = await pull(host, "client", "--name", "registry.example/other:1.0");
    expect(status).toBe(5);
    expect(err).toContain("registry.example/other:1.0");
  });
});

describe("refusals", () => {
  test("where nothing is there, the client is told what is missing", async () => {
    const host = await started({});
    expect((await pull(host, "client")).status).toBe(7);
    await pushOci(host);
    const { status, err } = await pull(host, "client");
    expect([status, err]).toEqual([7, expect.stringContaining("sealfs push")]);
  });

  test("an image that was built from another one is not pushed there", async () => {
    const host = await started({});
    await pushOci(host);
    await build(host, "builder");
    await pushOci(host, "1.0", noise("another"));
    const { status, err } = await runMain(
      "push",
      nameAt(host),
      source(host),
      "--store",
      at("builder"),
      ...auth(),
    );
    expect([status, err]).toEqual([2, expect.stringContaining("built from")]);
  });

  test("an image goes beside its manifest, however deep in indexes that stands", async () => {
    const host = await started({});
    const manifest = await pushOci(host);
    await build(host, "builder");
    const registry = registryAt(host);
    let { mediaType, bytes } = await registry.manifest(manifest);
    for (const tag of ["inner", "middle", "outer"]) {
      const entry = { mediaType, digest: digestOf(bytes), size: bytes.length };
      const gone = { ...entry, digest: digestOf(Buffer.from("gone")), mediaType: types.index };
      mediaType = types.index;
      const index = { schemaVersion: 2, mediaType, manifests: [gone, entry] };
      bytes = Buffer.from(JSON.stringify(index));
      await putManifest(registry, tag, mediaType, bytes);
    }
    const args = ["--store", at("builder"), "--json", ...auth()];
    const { out } = await runMainOk("push", nameAt(host), source(host, "outer"), ...args);
    expect(JSON.parse(out)).toMatchObject({ subject: manifest });
  });

  test("an image that nobody has signed is not pushed", async () => {
    const host = await started({});
    await pushOci(host);
    await runMainOk(
      "build",
      source(host),
      "--store",
      at("builder"),
      "--name",
      nameAt(host),
      ...auth(),
    );
    const { status } = await runMain(
      "push",
      nameAt(host),
      source(host),
      "--store",
      at("builder"),
      ...auth(),
    );
    expect(status).toBe(5);
  });
});
