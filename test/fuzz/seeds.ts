/**
 * Small inputs for the targets to start from, each of a kind that a parser knows.
 *
 * @module
 */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync, gzipSync } from "node:zlib";
import { exportImage } from "../../src/archive/export.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { parseDump } from "../../src/tree/dump-reader.ts";
import { encodeSeekIndex } from "../../src/seek/encode.ts";
import { NO_POINTS, PointWriter } from "../../src/seek/point-writer.ts";
import { formatBundle, formatEnvelope } from "../../src/trust/bundle.ts";
import { Opcode } from "../../src/fuse/wire.ts";
import { Store } from "../../src/store/store.ts";
import { goldenImages } from "../support/golden-images.ts";
import { randomTar } from "../support/random-tar.ts";
import { publish } from "../support/store.ts";
import { paxRecord } from "../support/tar.ts";
import { alice, envelopeOf, plainPolicy, plainStatement } from "../support/trust.ts";
import { fuzzObjects } from "./targets/seek.ts";

const utf8 = (text: string) => Buffer.from(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

/** Inputs by target. */
export async function seeds(): Promise<Record<string, readonly Uint8Array[]>> {
  const dumps = goldenImages()
    .flatMap(({ dump }) => (dump === null || dump.length > 3000 ? [] : [dump]))
    .filter((_, i) => i % 9 === 0)
    .slice(0, 12)
    .map((dump) => Buffer.from(dump, "latin1"));
  return {
    tar: Array.from({ length: 6 }, (_, seed) => randomTar(seed * 37 + 1).bytes),
    pax: [
      utf8(paxRecord("path", "dir/ü") + paxRecord("mtime", "-1.25") + paxRecord("size", "12")),
      utf8(paxRecord("SCHILY.xattr.user.x", "a\0b") + paxRecord("uid", "4294967295")),
      utf8(paxRecord("GNU.sparse.map", "0,1,5,0") + paxRecord("GNU.sparse.size", "5")),
      utf8(paxRecord("comment", "x")),
    ],
    erofs: dumps.slice(0, 2).map((dump) => writeImage(parseDump(dump))),
    dump: dumps,
    oci: ociDocuments().map(json),
    trust: [
      formatBundle(envelopeOf(JSON.stringify(plainStatement()))),
      formatEnvelope(envelopeOf("{}")),
      json(plainStatement()),
      json(plainPolicy()),
      json({
        ...plainPolicy(),
        expires: "2027-01-01T00:00:00Z",
        threshold: 1,
        thresholds: [{ names: "a/**", threshold: 2 }],
        revocations: [{ keyId: "a".repeat(64), reason: "x" }],
      }),
      utf8(alice.publicKey.toPem()),
    ],
    seek: [seekIndex(0), seekIndex(1)],
    inflate: [
      deflateRawSync(Buffer.alloc(3000, "hello inflater, ")),
      deflateRawSync(Buffer.from(Array.from({ length: 900 }, (_, i) => (i * i) % 251))),
      deflateRawSync(utf8("stored"), { level: 0 }),
      deflateRawSync(utf8("fixed codes"), { strategy: 4 }),
    ],
    gzip: [
      ...["members.gz"].map(vector),
      gzipSync(Buffer.from(Array.from({ length: 6000 }, (_, i) => `${i * i} `).join("")), {
        memLevel: 1,
      }).subarray(0, 8_000),
      gzipSync("x", { level: 0 }),
    ],
    zstd: ["frames", "empty", "skippable"].map((name) => vector(`${name}.zst`)),
    fuse: fuseRequests(),
    http: [
      "206\nContent-Range: bytes 10-19/1000\nContent-Length: 10",
      "200\nContent-Length: 1000\nContent-Encoding: gzip",
      "200\nTransfer-Encoding: chunked",
      "416\nContent-Range: bytes */1000",
      '401\nWWW-Authenticate: Basic realm="x", Bearer realm="https://a/t",service="a",scope="pull"',
      '401\nWWW-Authenticate: Negotiate abc==, Digest realm="a\\"b"',
      "503\nRetry-After: 120\nDate: Sun, 06 Nov 1994 08:49:37 GMT",
      "429\nRetry-After: Sunday, 06-Nov-94 08:49:37 GMT",
      "429\nRetry-After: Sun Nov  6 08:49:37 1994",
      '200\nLink: </v2/app/referrers/x?n=2>; rel="next"\nLink: <https://b/>; rel=prev',
      "200\nRange: bytes=0-99\nRange: bytes=-5",
    ].map(utf8),
    reference: [
      "oci:dir:tag",
      "oci-archive:app.tar:@0",
      `docker-archive:a@sha256:${"a".repeat(64)}`,
      "docker://registry.example:5000/team/app:1.0",
      `docker://busybox@sha256:${"a".repeat(64)}`,
      "tar:a.tar,b.tar",
      "linux/arm64/v8",
      "registry.example/app:1.0",
      "busybox",
      "%2e%c3%bc",
    ].map(utf8),
    config: [
      utf8(
        'unqualified-search-registries = ["a.example"]\n[[registry]]\nprefix = "*.b.example"\n' +
          "location = 'c.example/x'\ninsecure = true\n[[registry.mirror]]\nlocation = \"d.example\"\n" +
          '[aliases]\n"app" = "a.example/app"\n',
      ),
      json({ auths: { "a.example": { auth: "dTpw" } }, credHelpers: { b: "x" }, credsStore: "y" }),
      json({
        mirrors: [
          { location: "https://a.example/m", names: ["a/**"], rateLimit: 1_000_000 },
          { location: "/srv/mirror", comment: "x" },
        ],
      }),
    ],
    import: [await exported(1), await exported(undefined)],
  };
}

function vector(name: string): Buffer {
  return readFileSync(new URL(`../vectors/oci/${name}`, import.meta.url));
}

function ociDocuments(): readonly object[] {
  const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
  const oci = "application/vnd.oci.image";
  const descriptor = (mediaType: string) => ({ mediaType, digest: digest("a"), size: 7 });
  const manifest = {
    schemaVersion: 2,
    mediaType: `${oci}.manifest.v1+json`,
    config: descriptor(`${oci}.config.v1+json`),
    layers: [descriptor(`${oci}.layer.v1.tar+gzip`), descriptor(`${oci}.layer.v1.tar+zstd`)],
    annotations: { a: "b" },
  };
  const platform = { os: "linux", architecture: "arm", variant: "v7" };
  const index = {
    schemaVersion: 2,
    manifests: [
      { ...descriptor(`${oci}.manifest.v1+json`), platform },
      { ...descriptor(`${oci}.index.v1+json`), annotations: { "x.y": "z" } },
    ],
  };
  const config = { ...platform, rootfs: { type: "layers", diff_ids: [digest("b")] } };
  const docker = "application/vnd.docker";
  const old = {
    schemaVersion: 2,
    mediaType: `${docker}.distribution.manifest.v2+json`,
    config: descriptor(`${docker}.container.image.v1+json`),
    layers: [descriptor(`${docker}.image.rootfs.diff.tar.gzip`)],
  };
  return [manifest, index, config, old];
}

function seekIndex(number: number): Uint8Array {
  const gzip = new PointWriter();
  const window = Uint8Array.from({ length: 32768 }, (_, at) => at % 7);
  for (let i = 0; i < 5; i++) {
    const used = new Uint8Array(32768).fill(1, 32000 + i, 32100);
    gzip.add(80 + i * 1003, i * 30_000, { window, used });
  }
  const zstd = new PointWriter();
  for (let i = 0; i < 3; i++) zstd.add(i * 4000, i * 7000);
  const layer = (digit: string) => `sha256:${digit.repeat(64)}`;
  const layers = [
    {
      digest: layer("1"),
      compression: "gzip",
      size: 60_000,
      bytes: 200_000,
      points: gzip.finish(),
    },
    { digest: layer("2"), compression: "zstd", size: 20_000, bytes: 60_000, points: zstd.finish() },
    { digest: layer("3"), compression: "none", size: 51_200, bytes: 51_200, points: NO_POINTS },
  ] as const;
  const [a, b, c, d] = [...fuzzObjects.keys()] as [never, never, never, never];
  const places = [
    { digest: a, layer: 0, offset: 1024 },
    { digest: b, layer: 0, offset: 90_112 },
    { digest: c, layer: 1, offset: 512 },
    { digest: d, layer: 2, offset: 4096, segments: [100, 50, 3000, 1000] },
  ];
  return encodeSeekIndex(fuzzObjects, layers, places.slice(number));
}

/** As the target reads them. */
function fuseRequests(): Uint8Array[] {
  const request = (opcode: number, node: number, body: Uint8Array) =>
    Buffer.concat([Buffer.from([opcode, node & 255, node >> 8, body.length]), body]);
  const text = (name: string) => Buffer.from(`${name}\0`);
  const list = [
    request(Opcode.LOOKUP, 1, text("etc")),
    request(Opcode.GETATTR, 1, Buffer.alloc(16)),
    request(Opcode.OPENDIR, 1, Buffer.alloc(8)),
    request(Opcode.READDIRPLUS, 1, Buffer.from(`${"00".repeat(17)}10${"00".repeat(22)}`, "hex")),
    request(Opcode.READDIR, 1, Buffer.from(`${"00".repeat(17)}10${"00".repeat(22)}`, "hex")),
    request(
      Opcode.GETXATTR,
      1,
      Buffer.concat([Buffer.from([255, 0, 0, 0, 0, 0, 0, 0]), text("user.x")]),
    ),
    request(Opcode.LISTXATTR, 1, Buffer.from([255, 0, 0, 0, 0, 0, 0, 0])),
    request(Opcode.STATFS, 1, Buffer.alloc(0)),
    request(Opcode.READ, 40, Buffer.from(`${"00".repeat(17)}10${"00".repeat(22)}`, "hex")),
    request(Opcode.READLINK, 41, Buffer.alloc(0)),
  ];
  return [0, 1, 2, 3].map((image) => Buffer.concat([Buffer.from([image]), ...list]));
}

/** An archive with one small object, signed or not. */
async function exported(version: number | undefined): Promise<Uint8Array> {
  const store = Store.create(join(mkdtempSync(join(tmpdir(), "sealfs-fuzz-")), "store"));
  const name = "registry.example/app:1.0";
  publish(store, name, ["a"], version === undefined ? {} : { version });
  const parts: Uint8Array[] = [];
  await exportImage(store, name, (bytes) => parts.push(Uint8Array.from(bytes)));
  return Buffer.concat(parts);
}
