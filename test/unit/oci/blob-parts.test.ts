/** Registries that give a blob otherwise than it was asked for: whole in place of a part, encoded. */
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { HttpClient } from "../../../src/http/client.ts";
import { HttpLayoutBlobs } from "../../../src/mirror/http-layout.ts";
import type { BlobRanges } from "../../../src/oci/blob-ranges.ts";
import { readRange } from "../../../src/oci/blob.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import { parseRegistryReference } from "../../../src/oci/registry-reference.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { openRegistryImage } from "../../../src/oci/source/registry-image.ts";
import type { SeekLayer } from "../../../src/seek/layer.ts";
import { TestLayout, layerTar, types } from "../../support/oci.ts";
import { TestRegistry, sha256 } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";

const REPO = "team/app";
const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) >> 3));
const digest = sha256(bytes) as OciDigest;

/** Answers a GET of a blob; undefined as usual. */
type Answer = (
  range: { start: number; end: number } | undefined,
  response: ServerResponse,
  blob: Buffer,
) => unknown;

function intercept(answer: Answer, blobs: () => ReadonlyMap<string, Buffer>) {
  return ({ method, url, headers }: IncomingMessage, response: ServerResponse): boolean => {
    const [, hex] = /blobs\/sha256[:/]([0-9a-f]{64})/.exec(url!) ?? [];
    if (method !== "GET" || hex === undefined) return false;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const range = from === undefined ? undefined : { start: Number(from), end: Number(to) + 1 };
    answer(range, response, blobs().get(`sha256:${hex}`)!);
    return true;
  };
}

const whole = (response: ServerResponse, blob: Buffer, headers: Record<string, string> = {}) =>
  response.writeHead(200, { "content-length": blob.length, ...headers }).end(blob);

const refusing =
  (status: number): Answer =>
  (range, response, blob) =>
    range === undefined ? whole(response, blob) : response.writeHead(status).end("no");

const part =
  (rangeOf: (start: number, end: number, size: number) => string, headers = {}): Answer =>
  (range, response, blob) => {
    if (range === undefined) return whole(response, blob, headers);
    const { start, end } = range;
    const contentRange = rangeOf(start, end, blob.length);
    const all = { ...(contentRange && { "content-range": contentRange }), ...headers };
    return response.writeHead(206, all).end(blob.subarray(start, end));
  };

const usual = (start: number, end: number, size: number) => `bytes ${start}-${end - 1}/${size}`;
const encoded =
  (encode: (blob: Buffer) => Buffer, encoding: string): Answer =>
  (range, response, blob) => {
    const all = encode(blob);
    const headers = { "content-encoding": encoding };
    if (range === undefined) return response.writeHead(200, headers).end(all);
    const [start, end] = [range.start, Math.min(range.end, all.length)];
    if (start >= end) return response.writeHead(416, headers).end();
    const contentRange = usual(start, end, all.length);
    return response
      .writeHead(206, { ...headers, "content-range": contentRange })
      .end(all.subarray(start, end));
  };

const answers: [string, Answer][] = [
  ["200", (_, response, blob) => whole(response, blob)],
  ...[400, 405, 406, 416, 501].map((status): [string, Answer] => [`${status}`, refusing(status)]),
  ["a part of an unknown total", part((start, end) => `bytes ${start}-${end - 1}/*`)],
  ["a part that says nothing of itself", part(() => "")],
  ["a part in another unit", part((start, end) => `items ${start}-${end - 1}/*`)],
  ["several parts", part(usual, { "content-type": "multipart/byteranges; boundary=x" })],
  ["a part that is said to be encoded", part(usual, { "content-encoding": "gzip" })],
  ["a part of an encoded blob", encoded((blob) => gzipSync(blob), "gzip")],
  ["a part of a blob in brotli", encoded((blob) => brotliCompressSync(blob), "br")],
];

async function serve(answer: Answer) {
  let blobs: ReadonlyMap<string, Buffer> = new Map();
  const server = await TestRegistry.start({ intercept: intercept(answer, () => blobs) });
  blobs = server.blobs;
  return server;
}

function noAuth(): string {
  const path = join(scratchFolder(), "auth.json");
  writeFileSync(path, "{}");
  return path;
}

/** Whether ranges of all kinds are right. */
async function verifyRanges(ranges: BlobRanges): Promise<void> {
  for (const [from, to] of [
    [0, 10],
    [99_990, 100_000],
    [5, 70_000],
    [0, 100_000],
    [7, 7],
  ] as const) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of ranges.read(from, to, {})) chunks.push(Uint8Array.from(chunk));
    expect(Buffer.concat(chunks).equals(bytes.subarray(from, to))).toBe(true);
  }
}

describe.each(answers)("in answer to a range: %s", (_, answer) => {
  test("a registry's ranges are right", async () => {
    const server = await serve(answer);
    server.addBlob(REPO, bytes);
    const registry = new Registry({ host: server.host, repository: REPO }, { authFile: noAuth() });
    onTestFinished(() => registry.close());
    await verifyRanges(registry.ranges({ digest, size: bytes.length }));
  });

  test("an image is built all the same, and its layer goes on where it broke off", async () => {
    const layout = new TestLayout();
    const text = Array.from({ length: 3000 }, (_each, i) => String(i * i)).join("");
    const manifest = layout.image([await layerTar(text)]);
    let broken = false;
    const server = await serve((range, response, blob) => {
      if (broken || blob.length < 3000) return answer(range, response, blob);
      broken = true;
      response.writeHead(200, { "content-length": blob.length });
      return response.write(blob.subarray(0, 1000), () => response.destroy());
    });
    for (const [path, blob] of layout.files) {
      if (path === `blobs/${manifest.digest.replace(":", "/")}`) {
        server.addManifest(REPO, "1.0", types.manifest, blob);
      } else if (path.startsWith("blobs/")) server.addBlob(REPO, blob);
    }
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(
      reference,
      { platform: undefined },
      { authFile: noAuth() },
    );
    onTestFinished(() => image.close());
    const [layer] = image.layers;
    await image.prepare!(layer!);
    expect(broken).toBe(true);
    expect(sha256(readRange(image.openBlob(layer!), 1 << 20, "x"))).toBe(layer!.digest);
  });
});

test.each(answers.filter(([what]) => !/nothing of itself|another unit|several/.test(what)))(
  "a layout behind a web server that answers with %s is read all the same",
  async (_, answer) => {
    const server = await serve(answer);
    server.addBlob(REPO, bytes);
    const client = new HttpClient();
    const blobs = new HttpLayoutBlobs(new URL(`http://${server.host}/layout/`), client);
    onTestFinished(() => blobs.close());
    await verifyRanges(blobs.open({ digest, size: bytes.length } as unknown as SeekLayer));
  },
);

test("a blob that is not given in parts is asked for whole from then on", async () => {
  const server = await serve(refusing(501));
  server.addBlob(REPO, bytes);
  const registry = new Registry({ host: server.host, repository: REPO }, { authFile: noAuth() });
  onTestFinished(() => registry.close());
  const ranges = registry.ranges({ digest, size: bytes.length });
  for (let i = 0; i < 3; i++) for await (const _ of ranges.read(i + 1, i + 10, {}));
  expect(server.requests(/blobs/)).toHaveLength(4);
});

test("a blob that is not given at all is asked for twice, no more", async () => {
  const server = await serve((_, response) => response.writeHead(400).end());
  server.addBlob(REPO, bytes);
  const registry = new Registry({ host: server.host, repository: REPO }, { authFile: noAuth() });
  onTestFinished(() => registry.close());
  const read = async () => {
    for await (const _ of registry.ranges({ digest, size: bytes.length }).read(1, 10, {}));
  };
  await expect(read()).rejects.toBeInstanceOf(SealfsError);
  expect(server.requests(/blobs/)).toHaveLength(2);
});

test.each([
  ["gzip", gzipSync],
  ["br", brotliCompressSync],
] as const)(
  "a manifest and a configuration in %s are the ones that were asked for",
  async (encoding, encode) => {
    const layout = new TestLayout();
    const manifest = layout.image([await layerTar("text")]);
    const server = await TestRegistry.start({
      intercept: (request, response) => {
        const end = response.end.bind(response);
        const writeHead = response.writeHead.bind(response);
        if (request.method !== "GET" || request.url === "/v2/") return false;
        response.writeHead = ((code: number, headers: Record<string, string | number>) => {
          const { "content-length": _, ...others } = headers;
          return writeHead(code, { ...others, "content-encoding": encoding });
        }) as typeof response.writeHead;
        response.end = ((body: string | Buffer) => end(encode(body))) as typeof response.end;
        return false;
      },
    });
    for (const [path, blob] of layout.files) {
      if (path === `blobs/${manifest.digest.replace(":", "/")}`) {
        server.addManifest(REPO, "1.0", types.manifest, blob);
      } else if (path.startsWith("blobs/")) server.addBlob(REPO, blob);
    }
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(
      reference,
      { platform: undefined },
      { authFile: noAuth() },
    );
    onTestFinished(() => image.close());
    expect(image.manifestDigest).toBe(manifest.digest);
  },
);
