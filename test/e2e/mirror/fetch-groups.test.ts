/** A fetch out of layers keeps to a few requests, whichever mirror that is named first fails. */
import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { HttpClient } from "../../../src/http/client.ts";
import { noPatience } from "../../../src/http/patience.ts";
import { fetchAll } from "../../../src/mirror/fetch-all.ts";
import { Fetcher, type FetcherOptions } from "../../../src/mirror/fetcher.ts";
import { HttpMirror } from "../../../src/mirror/http-mirror.ts";
import { LayersSource } from "../../../src/mirror/layers-source.ts";
import { RegistryBlobs } from "../../../src/mirror/registry-blobs.ts";
import type { ObjectSource } from "../../../src/mirror/source.ts";
import { layerReader } from "../../../src/oci/layer/seek-extract.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { Store } from "../../../src/store/store.ts";
import { tar, types } from "../../support/oci.ts";
import { answerWith, type RawAnswer, rawServer } from "../../support/raw-server.ts";
import { type RegistryHabits, TestRegistry } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { SeekBed, layoutOf } from "../../support/seek-bed.ts";

const REPO = "team/app";
const COUNT = 300;
const SIZE = 20_000;

let bed: SeekBed;
let layer: Buffer;
beforeAll(async () => {
  const files = Array.from({ length: COUNT }, (_, i) => ({
    name: `usr/file-${i}`,
    content: randomFillSync(Buffer.alloc(SIZE)),
  }));
  layer = await tar(files);
  bed = await SeekBed.of(layoutOf([{ tar: layer, blob: layer, mediaType: types.tar }]));
});

let store: Store;
beforeEach(() => {
  store = Store.create(join(scratchFolder(), "store"));
});

async function registry(habits: RegistryHabits = {}) {
  const server = await TestRegistry.start(habits);
  server.addBlob(REPO, layer);
  const authFile = join(scratchFolder(), "auth.json");
  writeFileSync(authFile, "{}");
  const place = { host: server.host, repository: REPO };
  const blobs = new RegistryBlobs(new Registry(place, { authFile, patience: noPatience }));
  const source = new LayersSource(blobs, bed.index, layerReader(bed.index));
  onTestFinished(() => source.close());
  return { source, requests: () => server.requests(/^GET .*blobs/).length };
}

function mirrorAt(url: string): ObjectSource {
  const source = new HttpMirror({ base: new URL(url), client: new HttpClient() });
  onTestFinished(() => source.close());
  return source;
}

async function mirror(answer: RawAnswer): Promise<ObjectSource> {
  return mirrorAt((await rawServer(answer)).url.href);
}

async function fetch(sources: readonly ObjectSource[], options: Partial<FetcherOptions> = {}) {
  const fetcher = new Fetcher({ store, sources, durability: "none", lingerMs: 10, ...options });
  const wanted = [...bed.objects].map(([digest, size]) => ({ digest, size }));
  const result = await fetchAll(fetcher, wanted);
  const isThere = wanted.filter(({ digest, size }) => store.objects.state(digest, size) === "good");
  return { ...result, there: isThere.length, fetcher };
}

const all = { objects: COUNT, there: COUNT, failed: [], untried: [] };
/** What it takes with the registry alone. */
const ALONE = 1;

test("a registry alone is asked once for objects that lie side by side", async () => {
  const { source, requests } = await registry();
  expect(await fetch([source])).toMatchObject(all);
  expect(requests()).toBe(ALONE);
});

const status = (line: string, headers = {}) => answerWith("x", headers, line);

describe("in front of a registry", () => {
  const failing: [string, () => Promise<ObjectSource>][] = [
    ["nobody listens", () => Promise.resolve(mirrorAt("http://127.0.0.1:1/"))],
    ["connections are closed", () => mirror(({ socket }) => socket.destroy())],
    ["everything fails", () => mirror(status("500 Oh"))],
    ["access is refused", () => mirror(status("403 No"))],
    ["all is busy for a day", () => mirror(status("503 Busy", { "Retry-After": 86_400 }))],
    ["there is nothing", () => mirror(status("404 No"))],
    ["everything is another object", () => mirror(answerWith(Buffer.alloc(SIZE)))],
    ["what comes is no HTTP", () => mirror("SSH-2.0-x\r\n")],
    [
      "answers break off",
      () => mirror(({ socket }) => socket.end(answerWith(Buffer.alloc(SIZE)).subarray(0, 9000))),
    ],
  ];

  test.each(failing)("stands a mirror where %s", async (_, start) => {
    const { source, requests } = await registry();
    expect(await fetch([await start(), source])).toMatchObject(all);
    // What is under way together may come to its end a little later than the rest.
    expect(requests()).toBeLessThanOrEqual(ALONE + 2);
  });

  test("stand several of them", async () => {
    const { source, requests } = await registry();
    const sources = await Promise.all(failing.slice(0, 4).map(([, start]) => start()));
    expect(await fetch([...sources, source])).toMatchObject(all);
    expect(requests()).toBeLessThanOrEqual(ALONE + 4);
  });

  test("stands a mirror that does not answer", async () => {
    const { source, requests } = await registry();
    const hanging = await mirror(() => undefined);
    expect(await fetch([hanging, source], { deadlineMs: 1000 })).toMatchObject(all);
    expect(requests()).toBeLessThanOrEqual(ALONE + 2);
  });

  test("stands a mirror that dies on the way", async () => {
    const { source, requests } = await registry();
    let left = 50;
    const contents = new Map(
      [...bed.objects.keys()].map((digest) => [digest as string, bed.content(digest)]),
    );
    const dying = await mirror(({ socket, path }) => {
      if (left-- <= 0) return socket.destroy();
      const digest = path.replace(/^\/objects\//, "").replace("/", "");
      return socket.write(answerWith(contents.get(digest)!));
    });
    expect(await fetch([dying, source])).toMatchObject(all);
    // Fifty objects less, so that what is left lies a little apart.
    expect(requests()).toBeLessThanOrEqual(ALONE + 2);
  });

  test("stands another registry that is dead", async () => {
    const dead = await registry({
      intercept: ({ url }, response) => {
        if (!/blobs/.test(url!)) return false;
        response.destroy();
        return true;
      },
    });
    const { source, requests } = await registry();
    expect(await fetch([dead.source, source])).toMatchObject(all);
    expect(requests()).toBeLessThanOrEqual(ALONE + 1);
  });
});

describe("a registry that is all there is", () => {
  test.each([
    ["busy", 429],
    ["out of order", 500],
  ])("and was %s once is asked again in groups", async (_, code) => {
    let failures = 1;
    const { source, requests } = await registry({
      intercept: ({ url }, response) => {
        if (!/blobs/.test(url!) || failures-- <= 0) return false;
        response.writeHead(code, { "retry-after": "1" }).end();
        return true;
      },
    });
    expect(await fetch([source])).toMatchObject(all);
    expect(requests()).toBe(ALONE + 1);
  });

  test("and has one object wrong is asked for no other one again", async () => {
    const [digest] = bed.objects.keys();
    const { offset } = bed.index.place(digest!)!;
    const { source, requests } = await registry({
      intercept: ({ url, headers }, response) => {
        if (!/blobs/.test(url!)) return false;
        const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
        const bad = Buffer.from(layer);
        bad.fill(1, offset, offset + 10);
        const [start, end] = [Number(from ?? 0), Number(to ?? bad.length - 1) + 1];
        response
          .writeHead(from === undefined ? 200 : 206, {
            "content-range": `bytes ${start}-${end - 1}/${bad.length}`,
          })
          .end(bad.subarray(start, end));
        return true;
      },
    });
    const { failed, there } = await fetch([source]);
    expect([failed.length, there]).toEqual([1, COUNT - 1]);
    expect(requests()).toBeLessThanOrEqual(ALONE + 1);
  });

  test("and dead ends in an error after a few requests", async () => {
    const { source, requests } = await registry({
      intercept: ({ url }, response) => {
        if (!/blobs/.test(url!)) return false;
        response.writeHead(500).end();
        return true;
      },
    });
    const { failed, untried, objects } = await fetch([source], { deadlineMs: 2000 });
    expect(objects).toBe(0);
    expect(failed.length + untried.length).toBe(COUNT);
    expect(requests()).toBeLessThan(100);
  });
});
