/**
 * What a build asks of a registry when its store remembers layers: the documents, and no blob of a
 * layer that is known.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { dockerRegistry, startDockerRegistry } from "../support/docker-registry.ts";
import { TestLayout, tar, types } from "../support/oci.ts";
import { TestRegistry, sha256 } from "../support/registry.ts";
import { runMain, runMainOk } from "../support/run.ts";
import { scratchFolder } from "../support/scratch.ts";

const REPO = "team/app";
const blobOf = (layer: Uint8Array) => gzipSync(layer);
const layer = (name: string) =>
  tar([
    { name: `usr/${name}`, content: randomBytes(3000).toString("hex") },
    { name: `usr/${name}-small`, content: name },
  ]);

let folder: string;
let layers: Buffer[];
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = scratchFolder();
  layers = await Promise.all(["a", "b", "c", "d"].map(layer));
  await runMainOk("keygen", "-o", at("k"));
});

/** The manifest and the configuration of an image of these layers. */
function documentsOf(some: readonly Buffer[]) {
  const layout = new TestLayout();
  const image = layout.image(some);
  const path = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  const manifest = layout.files.get(path(image.digest))!;
  const config = (JSON.parse(Buffer.from(manifest).toString()) as { config: { digest: string } })
    .config.digest;
  return { manifest, config, configBytes: layout.files.get(path(config))! };
}

const EXPIRES = "2036-09-01";

const build = (host: string, store: string, expires = EXPIRES, ...more: string[]) =>
  runMainOk(
    "build",
    `docker://${host}/${REPO}:1`,
    "--store",
    at(store),
    "--json",
    "--name",
    "app",
    "--key",
    at("k.key"),
    "--created",
    "2026-09-01",
    "--expires",
    expires,
    "--authfile",
    at("none.json"),
    ...more,
  ).then(({ out }) => JSON.parse(out) as Record<string, unknown>);

/** What a build has made, wherever it lies. */
const gistOf = (result: Record<string, unknown>) => ({
  digest: result["digest"],
  size: result["size"],
  layers: result["layers"],
  manifest: result["manifestDigest"],
  warnings: result["warnings"],
  seekIndex: (result["seekIndex"] as { digest: string }).digest,
});

describe("a registry that logs what it is asked for", () => {
  let registry: TestRegistry;

  async function serve(some: readonly Buffer[]): Promise<string> {
    registry = await TestRegistry.start();
    put(some);
    return registry.host;
  }

  function put(some: readonly Buffer[]): void {
    const { manifest, configBytes } = documentsOf(some);
    registry.addBlob(REPO, configBytes);
    for (const each of some) registry.addBlob(REPO, blobOf(each));
    registry.addManifest(REPO, "1", types.manifest, manifest);
  }

  /** The layers that were asked for, in whatever way, since the last call. */
  function asked(): number[] {
    const found = layers.flatMap((each, place) => {
      const digest = sha256(blobOf(each));
      return registry.log.some((line) => line.includes(digest)) ? [place] : [];
    });
    expect(registry.log.some((line) => line.startsWith(`GET /v2/${REPO}/manifests/1`))).toBe(true);
    registry.log.length = 0;
    return found;
  }

  test("is asked for no layer of an image that is built and signed again", async () => {
    const host = await serve(layers.slice(0, 3));
    const first = await build(host, "again");
    expect(asked()).toEqual([0, 1, 2]);
    const second = await build(host, "again", "2036-09-02");
    expect(asked()).toEqual([]);
    expect([first["layersRemembered"], second["layersRemembered"]]).toEqual([0, 3]);
    expect(gistOf(second)).toEqual(gistOf(first));
    const verified = await runMain(
      "verify",
      "app",
      "--store",
      at("again"),
      "--key",
      at("k.pub"),
      "--state",
      "none",
    );
    expect([verified.status, verified.err]).toEqual([0, ""]);
  });

  test("is asked only for the layers of a changed image that are new", async () => {
    const host = await serve(layers.slice(0, 3));
    await build(host, "changed");
    asked();
    put([layers[0]!, layers[3]!, layers[2]!]);
    const second = await build(host, "changed", EXPIRES, "--version", "1893456000");
    expect(asked()).toEqual([3]);
    expect(second["layersRemembered"]).toBe(2);
    const fresh = await build(host, "fresh", EXPIRES, "--version", "1893456000");
    expect(asked()).toEqual([0, 2, 3]);
    expect(gistOf(second)).toEqual(gistOf(fresh));
    const id = second["digest"] as string;
    const object = (store: string) =>
      readFileSync(join(at(store), "objects", id.slice(0, 2), id.slice(2)));
    expect(object("changed")).toEqual(object("fresh"));
    const bundles = (store: string) => {
      const place = join(at(store), "bundles", id);
      return readdirSync(place).map((name) => [name, readFileSync(join(place, name), "utf8")]);
    };
    expect(bundles("changed")).toEqual(bundles("fresh"));
    expect(bundles("changed")).toHaveLength(1);
  });

  test("is asked for every layer with --no-cache, and for none the next time", async () => {
    const host = await serve(layers.slice(0, 2));
    await build(host, "anew");
    expect(asked()).toEqual([0, 1]);
    expect((await build(host, "anew", EXPIRES, "--no-cache"))["layersRemembered"]).toBe(0);
    expect(asked()).toEqual([0, 1]);
    await build(host, "anew");
    expect(asked()).toEqual([]);
  });
});

test.skipIf(dockerRegistry === undefined)(
  "docker-registry: what has gone from it is not missed (skipped when not installed)",
  async () => {
    const registry = await startDockerRegistry();
    onTestFinished(() => registry.stop());
    const base = `http://${registry.host}/v2/${REPO}`;
    const upload = async (bytes: Uint8Array) => {
      const { headers } = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
      const place = new URL(headers.get("location")!, base);
      place.searchParams.set("digest", sha256(bytes));
      const { status } = await fetch(place, { method: "PUT", body: Buffer.from(bytes) });
      expect(status).toBe(201);
    };
    const some = layers.slice(0, 2);
    const { manifest, configBytes } = documentsOf(some);
    for (const bytes of [configBytes, ...some.map(blobOf)]) await upload(bytes);
    const put = await fetch(`${base}/manifests/1`, {
      method: "PUT",
      headers: { "content-type": types.manifest },
      body: Buffer.from(manifest),
    });
    expect(put.status).toBe(201);
    const first = await build(registry.host, "real");
    for (const each of some) {
      const gone = `${base}/blobs/${sha256(blobOf(each))}`;
      expect((await fetch(gone, { method: "DELETE" })).status).toBe(202);
      expect((await fetch(gone)).status).toBe(404);
    }
    const again = await build(registry.host, "real");
    expect([again["digest"], again["layersRemembered"]]).toEqual([first["digest"], 2]);
    const anew = await runMain(
      "build",
      `docker://${registry.host}/${REPO}:1`,
      "--store",
      at("real"),
      "--no-cache",
      "--authfile",
      at("none.json"),
    );
    expect([anew.status, anew.err]).toEqual([7, expect.stringContaining("404")]);
  },
);
