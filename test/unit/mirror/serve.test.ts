/** A store as an HTTP mirror: what it gives, and that it gives nothing else. */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { once } from "node:events";
import { basename, join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRange } from "../../../src/mirror/serve/byte-range.ts";
import { type ServedMirror, serveMirror } from "../../../src/mirror/serve/server.ts";
import { encodeSeekIndex } from "../../../src/seek/encode.ts";
import { seekIndexOf, seekIndexPath } from "../../../src/store/seek-indexes.ts";
import { Store } from "../../../src/store/store.ts";
import { type VerityDigest, objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { lower } from "../../support/limits.ts";
import { contentOf, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { leavesOf } from "../../support/leaves.ts";

let scratch: string;
let store: Store;
let mirror: ServedMirror;
let image: VerityDigest;
const content = contentOf("a");
const digest = verityDigestOf(content);
const large = Buffer.alloc(1_500_000, "large ");
const largeDigest = verityDigestOf(large);
const seekIndex = encodeSeekIndex(new Map(), [], []);
let seekName: string;

beforeAll(async () => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
  image = publish(store, "app", ["a", "b"], { version: 1 });
  seekName = seekIndexPath(image, seekIndexOf(seekIndex));
  writeFileSync(store.objects.path(largeDigest), large);
  mkdirSync(join(store.path, "seek", image), { recursive: true });
  writeFileSync(join(store.path, seekName), seekIndex);
  writeFileSync(join(scratch, "secret"), "secret");
  mirror = await serveMirror({ store, host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await mirror.close();
});

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** Sends the very bytes: no client that tidies paths up. */
async function ask(path: string, headers: string[] = [], method = "GET"): Promise<Answer> {
  const socket = await open();
  socket.write(
    `${[`${method} ${path} HTTP/1.1`, "Host: x", "Connection: close", ...headers].join("\r\n")}\r\n\r\n`,
  );
  const parts: Buffer[] = [];
  for await (const chunk of socket) parts.push(chunk as Buffer);
  const all = Buffer.concat(parts);
  const end = all.indexOf("\r\n\r\n");
  const [first = "", ...lines] = all.subarray(0, end).toString("latin1").split("\r\n");
  const pairs = lines.map((line) => /^([^:]*): *(.*)$/.exec(line)!.slice(1) as [string, string]);
  return {
    status: Number(first.split(" ")[1]),
    headers: new Map(pairs.map(([name, value]) => [name.toLowerCase(), value])),
    body: all.subarray(end + 4),
  };
}

async function open(): Promise<Socket> {
  const socket = connect(Number(new URL(mirror.url).port), "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

describe("what a mirror gives", () => {
  test("an object, for ever, under its digest as the tag", async () => {
    const { status, headers, body } = await ask(`/objects/${objectPath(digest)}`);
    expect([status, body.equals(content)]).toEqual([200, true]);
    expect(headers.get("etag")).toBe(`"${digest}"`);
    expect(headers.get("cache-control")).toContain("immutable");
    expect(headers.get("content-length")).toBe(String(content.length));
    expect(headers.get("accept-ranges")).toBe("bytes");
  });

  test("an image, its seek index, its bundles and meta.json; of what may change, to be asked again", async () => {
    expect((await ask(`/images/${image}`)).body.length).toBe(store.readImage(image).length);
    const seek = await ask(`/${seekName}`);
    expect(seek.body.equals(seekIndex)).toBe(true);
    expect(seek.headers.get("etag")).toBe(`"${basename(seekName)}"`);
    expect((await ask(`/seek/${image}`)).status).toBe(404);
    expect((await ask("/meta.json")).headers.get("cache-control")).toBe("no-cache");
    const [bundle] = store.readBundles(image);
    const path = bundle!.path.slice(store.path.length);
    expect((await ask(path.replaceAll("%", "%25"))).body.equals(bundle!.bytes)).toBe(true);
    expect(JSON.parse((await ask("/meta.json")).body.toString())).toMatchObject({ version: 1 });
  });

  test("leaf hashes of large objects, made when they are missing; none of small ones", async () => {
    const { leaves } = leavesOf(large);
    const path = `/verity/${objectPath(largeDigest)}`;
    const answers = await Promise.all([1, 2, 3].map(() => ask(path)));
    for (const { status, body } of answers) {
      expect([status, body.equals(leaves)]).toEqual([200, true]);
    }
    expect(store.readLeaves(largeDigest)).toEqual(leaves);
    expect((await ask(`/verity/${objectPath(digest)}`)).status).toBe(404);
  });

  test("ranges: one of them, also from the end; 416 behind it; none when the tag is another one", async () => {
    const path = `/objects/${objectPath(digest)}`;
    const last = content.length - 1;
    for (const [header, start, end] of [
      ["bytes=0-0", 0, 0],
      ["bytes=10-19", 10, 19],
      [`bytes=4000-`, 4000, last],
      ["bytes=-7", last - 6, last],
      ["bytes=100-999999", 100, last],
    ] as const) {
      const { status, headers, body } = await ask(path, [`Range: ${header}`]);
      expect([status, headers.get("content-range")]).toEqual([
        206,
        `bytes ${start}-${end}/${content.length}`,
      ]);
      expect(body.equals(content.subarray(start, end + 1))).toBe(true);
    }
    const beyond = await ask(path, [`Range: bytes=${content.length}-`]);
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([
      416,
      `bytes */${content.length}`,
    ]);
    for (const header of ["bytes=1-2,4-5", "bytes=5-2", "chars=1-2", "bytes=--1"]) {
      expect((await ask(path, [`Range: ${header}`])).status).toBe(200);
    }
    expect((await ask(path, ["Range: bytes=0-3", `If-Range: "${digest}"`])).status).toBe(206);
    expect((await ask(path, ["Range: bytes=0-3", 'If-Range: "other"'])).status).toBe(200);
  });

  test("HEAD: the same headers and nothing else; 304 for who has it", async () => {
    const path = `/objects/${objectPath(digest)}`;
    const head = await ask(path, [], "HEAD");
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers.get("content-length")).toBe(String(content.length));
    for (const tag of [`"${digest}"`, `"x", W/"${digest}"`, "*"]) {
      const answer = await ask(path, [`If-None-Match: ${tag}`]);
      expect([answer.status, answer.body.length]).toEqual([304, 0]);
    }
  });
});

describe("what a mirror does not give", () => {
  const missing = verityDigestOf(Buffer.from("nowhere"));
  test.each([
    "/",
    "/objects",
    "/objects/",
    "/images/",
    "/lock",
    "/leases/x",
    "/tmp/",
    "/images/refs/app",
    `/objects/${objectPath(missing)}`,
    `/objects/${digest}`,
    `/objects/${objectPath(digest).toUpperCase()}`,
    `/objects/${objectPath(digest)}/`,
    `/objects//${objectPath(digest)}`,
    `//objects/${objectPath(digest)}`,
    `/./objects/${objectPath(digest)}`,
    `/objects/../objects/${objectPath(digest)}`,
    "/../secret",
    "/objects/../../secret",
    "/objects/..%2f..%2fsecret/x",
    "/%2e%2e/secret",
    "/bundles/../../secret",
    `/bundles/${"0".repeat(64)}/..%2f..%2f..%2fsecret`,
    `/bundles/${"0".repeat(64)}/../../meta.json`,
    "/meta.json/",
    "/meta.json%00",
    `/seek/${"0".repeat(64)}`,
    `/objects/${objectPath(digest)}%00`,
  ])("%s", async (path) => {
    const { status, body } = await ask(path);
    expect([status, body.length]).toEqual([404, 0]);
  });

  test("what stands in an object's place and is not one: a symlink, a directory", async () => {
    for (const [i, make] of [
      (path: string) => symlinkSync(join(scratch, "secret"), path),
      (path: string) => mkdirSync(path),
    ].entries()) {
      const odd = verityDigestOf(Buffer.from(`odd ${i}`));
      make(store.objects.path(odd));
      expect((await ask(`/objects/${objectPath(odd)}`)).status).toBe(404);
      rmSync(store.objects.path(odd), { recursive: true });
    }
  });

  test("any other method", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"]) {
      const { status, headers } = await ask(`/objects/${objectPath(digest)}`, [], method);
      expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
  });

  test("leaf hashes of what is too large for an object", async () => {
    const large = Buffer.alloc(3 << 20, "large");
    const name = verityDigestOf(large);
    writeFileSync(store.objects.path(name), large);
    lower("leafBytes", 32 * (large.length / 4096) - 1);
    expect((await ask(`/verity/${objectPath(name)}`)).status).toBe(404);
    lower("leafBytes", 32 * (large.length / 4096));
    expect((await ask(`/verity/${objectPath(name)}`)).status).toBe(200);
  });

  test("leaf hashes of an object that is not what its name says", async () => {
    const name = verityDigestOf(Buffer.alloc(1_200_000, "x"));
    writeFileSync(store.objects.path(name), Buffer.alloc(1_200_000, "y"));
    expect((await ask(`/verity/${objectPath(name)}`)).status).toBe(404);
    rmSync(store.objects.path(name));
  });
});

test("headers without end are not read on", async () => {
  const socket = await open();
  const closed = once(socket, "close");
  socket.on("error", () => undefined);
  socket.on("data", () => undefined);
  socket.write("GET / HTTP/1.1\r\n");
  for (let i = 0; i < 40 && !socket.destroyed; i++) socket.write(`X-${i}: ${"a".repeat(1000)}\r\n`);
  await closed;
  expect((await ask(`/objects/${objectPath(digest)}`)).status).toBe(200);
});

test("an object that cannot be read is an error of the server, told without a path", async () => {
  if (process.geteuid?.() === 0) return; // root can read everything
  chmodSync(store.objects.path(digest), 0);
  try {
    const { status, body } = await ask(`/objects/${objectPath(digest)}`);
    expect([status, body.length]).toEqual([500, 0]);
  } finally {
    chmodSync(store.objects.path(digest), 0o444);
  }
});

test("any range header gives a part of the file, all of it, or nothing", () => {
  fc.assert(
    fc.property(
      fc.nat(100),
      fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,3}-\d{0,3}$/)),
      (size, header) => {
        const range = parseRange(header, size);
        if (typeof range === "string") return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        expect(range.end).toBeLessThan(size);
      },
    ),
  );
});
