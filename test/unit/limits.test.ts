/**
 * Every row of the table of limits: as much as it says is taken, and one more is refused by a typed
 * error that names the limit and says what was found. Rows whose bound needs a server or another
 * bed are tested elsewhere; the test is named here.
 */
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { EntryTotals } from "../../src/build/entry-totals.ts";
import { fromText } from "../../src/bytes/bytestring.ts";
import { type JsonObject, parseJson } from "../../src/bytes/json.ts";
import { parseToml } from "../../src/bytes/toml.ts";
import { Image } from "../../src/erofs/image.ts";
import { readTree } from "../../src/erofs/tree.ts";
import { ImageView } from "../../src/erofs/view.ts";
import { walkFiles } from "../../src/erofs/walk.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { SealfsError, messagesOf } from "../../src/errors.ts";
import { PathPattern } from "../../src/fetch/path-pattern.ts";
import { scanDirectory } from "../../src/fs/scan.ts";
import { readPublicKey } from "../../src/keys/key-files.ts";
import { limits } from "../../src/limits.ts";
import { parseMirrors } from "../../src/mirror/mirrors-file.ts";
import { readPrefetchList } from "../../src/mount/server/prefetch-option.ts";
import { BlobInput } from "../../src/oci/codec/blob-input.ts";
import { decode } from "../../src/oci/codec/decode.ts";
import { ZstdFrames } from "../../src/oci/codec/zstd-frames.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { IndexWalk } from "../../src/oci/index-walk.ts";
import { parseDocument as parseOciDocument } from "../../src/oci/manifest.ts";
import { parseOciJson } from "../../src/oci/oci-json.ts";
import { imageOf as ociImageOf } from "../../src/oci/source/oci-layout.ts";
import { openArchive } from "../../src/oci/source/archive-file.ts";
import { parseDockerManifest } from "../../src/oci/source/docker-manifest.ts";
import { encodeSeekIndex } from "../../src/seek/encode.ts";
import { MAGIC, SeekHeader, SeekLayerRecord, VERSION } from "../../src/seek/format.ts";
import { NO_POINTS } from "../../src/seek/point-writer.ts";
import { SeekIndex, readSeekLayers } from "../../src/seek/seek-index.ts";
import { encodeName } from "../../src/store/names.ts";
import { Store } from "../../src/store/store.ts";
import { inodeOf } from "../../src/tree/inode.ts";
import { parseDump } from "../../src/tree/dump-reader.ts";
import { parseDocument } from "../../src/trust/document.ts";
import { formatDuration } from "../../src/trust/duration.ts";
import { readEnvelope } from "../../src/trust/dsse.ts";
import { Keyring } from "../../src/trust/keyring.ts";
import { NamePattern } from "../../src/trust/name-pattern.ts";
import type { PublicKey } from "../../src/trust/public-key.ts";
import { openListing } from "../../src/tuf/listing.ts";
import { checkMetadata } from "../../src/tuf/metadata.ts";
import { readMark } from "../../src/verify/mark-file.ts";
import type { VerityDigest } from "../../src/verity/verity-digest.ts";
import { directory, file, merge, symlink } from "../support/layers.ts";
import { type LimitRow, lower } from "../support/limits.ts";
import { types } from "../support/oci.ts";
import { scratchFolder } from "../support/scratch.ts";
import { imageOf } from "../support/small-image.ts";
import { archive, header, longName, member, pax, paxRecord, readTar } from "../support/tar.ts";
import {
  alice,
  bundleWith,
  keyring,
  name,
  now,
  policyWith,
  testKey,
  utf8,
  verifyBundle,
} from "../support/trust.ts";

/** Takes as much as it is told to. */
type Take = (amount: number) => unknown;

interface Bound {
  /** What is used in place of the limit, where that is too large for a test. */
  readonly lowered?: number;
  /** By what is limited. */
  readonly take: Readonly<Record<string, Take>>;
}

interface Elsewhere {
  /** Below `test/`. */
  readonly file: string;
  readonly titles: readonly string[];
}

const by = (what: string, take: Take, lowered?: number): Bound => ({
  take: { [what]: take },
  ...(lowered !== undefined && { lowered }),
});
const elsewhere = (file: string, ...titles: string[]): Elsewhere => ({ file, titles });

const padded = (text: string, bytes: number) => utf8(text.padEnd(bytes));
const times = <T>(count: number, make: (number: number) => T): T[] =>
  Array.from({ length: count }, (_, number) => make(number));
const stored = (text: Uint8Array | string, name = "file") => {
  const path = join(scratchFolder(), name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};
const sparse = (bytes: number, name?: string) => {
  const path = stored("", name);
  truncateSync(path, bytes);
  return path;
};

const digestOfNumber = (number: number) => number.toString(16).padStart(64, "0");
const descriptor = { mediaType: types.manifest, digest: `sha256:${digestOfNumber(1)}`, size: 1 };
const manifestOf = (layers: number) => ({
  schemaVersion: 2,
  mediaType: types.manifest,
  config: { ...descriptor, mediaType: types.config },
  layers: times(layers, () => ({ ...descriptor, mediaType: types.gzip })),
});
const json = (value: unknown) => utf8(JSON.stringify(value));

const ROOT_LINE = "/ 0 40755 2 0 0 0 1.0 - - -\n";
const fileLine = (path: string, rest = "- - -") => `${path} 0 100644 1 0 0 0 1.0 ${rest}\n`;
const dumpOf = (...lines: string[]) => parseDump(Buffer.from(ROOT_LINE + lines.join(""), "latin1"));
const link = (target: string) => `/l ${target.length} 120777 1 0 0 0 1.0 ${target} - -\n`;

const STUBS_AND_ROOT = 257;
const INODES = 300;
/** Written before the limit is lowered. */
const imagesOfFiles = new Map(
  [INODES, INODES + 1].map((count) => [
    count,
    imageOf(ROOT_LINE.trim(), ...times(count, (id) => fileLine(`/x${id}`).trim())),
  ]),
);

const tarFile = (bytes: Uint8Array) => stored(bytes, "archive.tar");

/** A frame header of zstd with a window of this number of bytes: one segment, 8 bytes of content size. */
function zstdFrame(window: number): Uint8Array {
  const frame = Buffer.alloc(13);
  frame.writeUInt32LE(0xfd2fb528, 0);
  frame[4] = 0xe0;
  frame.writeBigUInt64LE(BigInt(window), 5);
  return frame;
}

const xattrOf = (name: number, value: number) =>
  readTar(
    archive(pax(paxRecord(`SCHILY.xattr.${"n".repeat(name)}`, "v".repeat(value))), header({})),
  );

const walkIndex = async (entries: number) => {
  const walk = new IndexWalk(
    "index",
    () => new Uint8Array(),
    () => undefined,
  );
  const entry = { ...descriptor, annotations: new Map(), urls: [] } as unknown as Descriptor;
  for await (const _ of walk.entries(times(entries, () => ({ entry, depth: 0 }))));
};

const seekHeader = (fields: object) =>
  SeekHeader.encode({
    magic: MAGIC,
    version: VERSION,
    reserved: 0,
    layers: 0,
    objects: 0,
    placesBytes: 0,
    placesPlainBytes: 0,
    reserved2: 0,
    ...fields,
  });

/** Past the limit, an index that says that it has so much may be wrong in other ways. */
const unlessOtherwiseWrong = (read: () => unknown) => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof SealfsError) || error.code === "LIMIT") throw error;
  }
};

const storeWithImage = (bytes: number) => {
  const store = Store.create(join(scratchFolder(), "store"));
  const id = digestOfNumber(1) as VerityDigest;
  writeFileSync(store.objects.path(id), new Uint8Array(bytes));
  return store.readImage(id);
};

const treeOfFiles = (count: number) => dumpOf(...times(count, (id) => fileLine(`/x${id}`)));
const pathOf = (bytes: number) =>
  "d/"
    .repeat(Math.floor(bytes / 2))
    .slice(0, -1)
    .padEnd(bytes, "n");
const paxOf = (bytes: number) => paxRecord("comment", "c".repeat(bytes - 17));

/** A blob of `size` bytes that has `bytes` when it is decompressed; its header is as long as is needed. */
async function decompress(bytes: number, size: number): Promise<void> {
  const packed = gzipSync(new Uint8Array(bytes));
  packed[3] = 8; // a file name follows
  const name = Buffer.alloc(size - packed.length - 1, "n");
  const blob = Buffer.concat([packed.subarray(0, 10), name, Buffer.alloc(1), packed.subarray(10)]);
  const fd = openSync(stored(blob), "r");
  onTestFinished(() => closeSync(fd));
  const input = new BlobInput({ fd, offset: 0, size }, "layer", "sha256");
  const next = () => new Uint8Array(1 << 16);
  for await (const _ of decode(input, "gzip", next, "layer"));
}

/** The layers of an image of which only the documents are here. */
function imageWithLayer(size: number) {
  const manifest = { ...manifestOf(0), layers: [{ ...descriptor, mediaType: types.gzip, size }] };
  const config = { rootfs: { type: "layers", diff_ids: [descriptor.digest] } };
  const own = {
    mediaType: types.manifest,
    digest: parseDigest(descriptor.digest, "layer"),
    platform: undefined,
  };
  return ociImageOf("image", own, json(manifest), json(config), undefined);
}

/** An index of one sparse file. */
function seekIndexOf(segments: number): SeekIndex {
  const digest = digestOfNumber(1) as VerityDigest;
  const objects = new Map([[digest, 2 * segments]]);
  const layer = {
    digest: `sha256:${digestOfNumber(2)}`,
    size: 100_000,
    bytes: 100_000,
    compression: "none",
    points: NO_POINTS,
  } as const;
  const place = {
    digest,
    layer: 0,
    offset: 512,
    segments: times(2 * segments, (n) => (n % 2 === 0 ? n : 1)),
  };
  return SeekIndex.parse(encodeSeekIndex(objects, [layer], [place]), objects);
}

const seekLayerWith = (points: number) =>
  SeekLayerRecord.encode({
    digestAlgorithm: 1,
    compression: 1,
    reserved: 0,
    places: 0,
    points,
    pointsBytes: 0,
    pointsPlainBytes: 0,
    reserved2: 0,
    size: 100n,
    bytes: 100n,
    windowsBytes: 0n,
    digest: new Uint8Array(64),
  });

const entryWith = (key: string, value: string) => ({
  path: fromText(""),
  linkPath: fromText(""),
  xattrs: new Map([[fromText(key), fromText(value)]]),
});

const tests: Readonly<Record<LimitRow, Bound | Elsewhere>> = {
  envelopeBytes: by("a document", (n) => parseDocument(padded("{}", n), "bundle", "BAD_BUNDLE")),
  jsonDepth: {
    take: {
      JSON: (n) => parseJson(utf8("[".repeat(n) + "]".repeat(n))),
      TOML: (n) => parseToml(utf8(`a = ${"[".repeat(n)}${"]".repeat(n)}`), "file"),
    },
  },
  signatures: by("an envelope", (n) =>
    readEnvelope(
      parseJson(
        json({
          payloadType: "t",
          payload: "e30=",
          signatures: times(n, () => ({ sig: Buffer.alloc(64).toString("base64") })),
        }),
      ) as JsonObject,
      "bundle",
    ),
  ),
  keys: {
    take: {
      "a keyring": (n) => new Keyring(times(n, (id) => ({ id: String(id) }) as PublicKey)),
      "a policy": (n) =>
        policyWith((policy) => {
          policy.keys = times(n, (number) => ({
            id: testKey(number).publicKey.id,
            pem: testKey(number).publicKey.toPem(),
            names: [],
          }));
          policy.policyKeys = { ids: [policy.keys[0].id], threshold: 1 };
        }),
    },
  },
  referenceBytes: {
    take: {
      "a pattern": (n) => new NamePattern("a".repeat(n)),
      "a statement's name": (n) =>
        verifyBundle(
          bundleWith((statement) => (statement.subject[0].name = "a".repeat(n))),
          keyring,
          {
            name: "a".repeat(n),
            now,
          },
        ),
    },
  },
  validityDays: by("a statement", (n) =>
    verifyBundle(
      bundleWith(({ predicate }) => {
        predicate.created = "2026-09-01T00:00:00Z";
        const end = Date.parse(predicate.created) + n * 86_400_000;
        predicate.expires = new Date(end).toISOString().replace(".000", "");
      }),
      keyring,
      { name, now },
    ),
  ),
  bundles: elsewhere(
    "unit/verify/located-bundles.test.ts",
    "bundles are looked at up to the limit, those by trusted keys first, and no others are read",
  ),
  signatureTries: elsewhere(
    "unit/verify/located-bundles.test.ts",
    "signatures without a hint are tried up to the limit",
  ),
  policyNames: by("a key's names", (n) =>
    policyWith((policy) => (policy.keys[0].names = times(n, String))),
  ),
  policyThresholds: by("a policy", (n) =>
    policyWith(
      (policy) => (policy.thresholds = times(n, (id) => ({ names: `a${id}`, threshold: 1 }))),
    ),
  ),
  policyRevocations: by("a policy", (n) =>
    policyWith((policy) => (policy.revoked = times(n, (id) => ({ digest: digestOfNumber(id) })))),
  ),
  tufRootBytes: by("the first root", (n) => {
    const root = stored(padded('{"signed":{}}', n));
    openListing({ tuf: scratchFolder(), tufRoot: root }, undefined, now);
  }),
  tufTimestampBytes: elsewhere("e2e/tuf/update.test.ts", "as long as it may be is read"),
  tufMetadataBytes: by("a role", (n) => checkMetadata(padded('{"signed":{}}', n), "targets")),
  tufRootRotations: elsewhere(
    "e2e/tuf/update.test.ts",
    "new roots are followed at once up to the limit",
  ),
  tufDelegations: elsewhere(
    "e2e/tuf/update.test.ts",
    "delegated roles are searched up to the limit",
  ),
  markBytes: by("a memory", (n) => {
    const folder = scratchFolder();
    const mark = { epoch: 0, version: 1, sha256: digestOfNumber(1), about: "x", recorded: "" };
    writeFileSync(join(folder, "0.1"), JSON.stringify({ formatVersion: 1, ...mark }).padEnd(n));
    readMark(folder, "x");
  }),
  manifestBytes: {
    take: {
      "a document": (n) => parseOciJson(padded("{}", n), "manifest"),
      "what says no limit of its own": (n) => parseJson(padded("{}", n)),
    },
  },
  indexDepth: elsewhere(
    "e2e/oci/registry.test.ts",
    "gives the image of a platform, in nested indexes too, up to the limit of their depth",
  ),
  indexEntries: by("a walk", walkIndex),
  archiveMembers: by(
    "an archive",
    async (n) =>
      (
        await openArchive(tarFile(archive(...times(n, (id) => member({ name: `f${id}` })))))
      ).close(),
    5,
  ),
  archiveLinks: by("an archive", async (n) => {
    const links = times(n, (id) =>
      member({ name: `l${id}`, type: "2", linkName: id === 0 ? "file" : `l${id - 1}` }),
    );
    const files = await openArchive(tarFile(archive(member({ name: "file" }), ...links)));
    onTestFinished(() => files.close());
    files.open(`l${n - 1}`);
  }),
  xzMemory: elsewhere(
    "unit/oci/recognise.test.ts",
    "compressed by xz may ask for as much memory as the limit",
  ),
  archiveCompressions: by("an archive", async (n) => {
    let bytes: Uint8Array = archive(member({ name: "f" }));
    for (let i = 0; i < n; i++) bytes = gzipSync(bytes);
    (await openArchive(tarFile(bytes))).close();
  }),
  imageBytes: {
    lowered: 40_960,
    take: {
      "a reader": (n) => unlessOtherwiseWrong(() => Image.open(new Uint8Array(n))),
      "a store": storeWithImage,
    },
  },
  inodes: {
    lowered: INODES,
    take: {
      "a walk": (n) => [...walkFiles(new ImageView(Image.open(imagesOfFiles.get(n)!)))],
      "a tree that is read": (n) => readTree(Image.open(imagesOfFiles.get(n)!)),
      "a layer": (n) => readTar(archive(...times(n, () => header({})))),
      "a merged tree": (n) => merge([times(n, (id) => file(`f${id}`))]),
      "a composefs tree": (n) =>
        merge([[directory("usr"), ...times(n - 1, (id) => file(`f${id}`))]], "composefs-oci-v1"),
      "a dump": (n) => dumpOf(...times(n - 1, (id) => fileLine(`/x${id}`))),
      "a folder": (n) => {
        const folder = scratchFolder();
        for (let i = 1; i < n; i++) writeFileSync(join(folder, String(i)), "");
        scanDirectory(fromText(folder), {}, () => undefined);
      },
      "an image that is written": (n) => writeImage(treeOfFiles(n - STUBS_AND_ROOT)),
      "a seek index": (n) => unlessOtherwiseWrong(() => readSeekLayers(seekHeader({ objects: n }))),
    },
  },
  pathBytes: {
    take: {
      "an entry": (n) => merge([[longName(pathOf(n)), file("x")]]),
      "a hard link": (n) =>
        unlessOtherwiseWrong(() => merge([[longName(pathOf(n), "K"), header({ type: "1" })]])),
      "a pattern": (n) => new PathPattern(pathOf(n)),
      "a name in an archive": async (n) =>
        (await openArchive(tarFile(archive(longName(pathOf(n)), member({ name: "x" }))))).close(),
      "a pattern of other bytes": (n) => new PathPattern("\\xff".repeat(n)),
    },
  },
  pathsBytes: by(
    "layers",
    (n) => {
      const totals = new EntryTotals();
      const [path, linkPath] = [fromText("p"), fromText("l")];
      for (let i = 1; i < n; i += 2) totals.add({ path, linkPath, xattrs: new Map() });
      if (n % 2 > 0) totals.add({ path, linkPath: fromText(""), xattrs: new Map() });
    },
    1000,
  ),
  nameBytes: {
    take: {
      "an entry": (n) => merge([[longName("n".repeat(n)), file("x")]]),
      "an image's name": (n) => encodeName("n".repeat(n)),
      "an image's name in other letters": (n) =>
        encodeName(`${"n".repeat(n % 6)}${"ä".repeat(Math.floor(n / 6))}`),
      "a policy": (n) => policyWith((policy) => (policy.name = "n".repeat(n))),
      "an image": (n) => writeImage(dumpOf(fileLine(`/${"n".repeat(n)}`))),
    },
  },
  depth: {
    lowered: 10,
    take: {
      "an entry": (n) => merge([[longName("d/".repeat(n - 1) + "d"), file("x")]]),
    },
  },
  symlinkBytes: {
    take: {
      "an entry": (n) => merge([[longName("t".repeat(n), "K"), symlink("l", "x")]]),
      "a dump": (n) => dumpOf(link("t".repeat(n))),
    },
  },
  symlinks: elsewhere("unit/tree/merge-oci.test.ts", "as many as Linux follows are followed"),
  inlineBytes: {
    take: {
      "a dump": (n) => dumpOf(fileLine("/f", `- ${"c".repeat(n)} -`).replace(" 0 ", ` ${n} `)),
      "an image": (n) => {
        const tree = dumpOf(fileLine("/f", "- c -").replace(" 0 ", " 1 "));
        const inode = inodeOf(tree.entries.get(fromText("f"))!);
        inode.content = new Uint8Array(n);
        inode.size = BigInt(n);
        writeImage(tree);
      },
    },
  },
  dumpPayloadBytes: by("a file", (n) => dumpOf(fileLine("/f", `${"p".repeat(n)} - -`))),
  dumpXattrsBytes: by("a line", (n) => {
    const escaped = "\\x76".repeat(Math.floor((n - 2) / 4));
    dumpOf(fileLine("/f", `- - - ${`k=${escaped}`.padEnd(n, "v")}`));
  }),
  dumpXattrsAccount: by("a line", (n) =>
    dumpOf(fileLine("/f", `- - - user.k=${"v".repeat(n - 12 - 7 - "user.k".length)}`)),
  ),
  dumpLineBytes: {
    lowered: 300_000,
    take: {
      "a line": (n) => dumpOf(`/${"/".repeat(n - fileLine("/f").length + 1)}${fileLine("f")}`),
      "a line whose end is cut off": (n) =>
        dumpOf(`/${"/".repeat(n - fileLine("/f").length + 1)}${fileLine("f")}`.slice(0, -1)),
    },
  },
  xattrNameBytes: {
    take: {
      "an entry": (n) => xattrOf(n, 1),
      "an image": (n) =>
        imageOf(ROOT_LINE.trim(), fileLine("/f", `- - - ${"n".repeat(n)}=v`).trim()),
    },
  },
  xattrValueBytes: elsewhere(
    "unit/erofs/writer-xattrs.test.ts",
    "a value of as many bytes as the limit is taken, not one more",
  ),
  xattrInodeBytes: by("an entry", (n) =>
    xattrOf(n - limits.xattrValueBytes, limits.xattrValueBytes),
  ),
  xattrs: by(
    "layers",
    (n) => {
      const totals = new EntryTotals();
      for (let i = 0; i < n; i++) totals.add(entryWith("user.x", ""));
    },
    1000,
  ),
  xattrBytes: by(
    "layers",
    (n) => {
      const totals = new EntryTotals();
      totals.add(entryWith("k".repeat(n % 1024), ""));
      const entry = entryWith("k", "v".repeat(1023));
      for (let i = 0; i < Math.floor(n / 1024); i++) totals.add(entry);
    },
    100_000,
  ),
  xattrKeys: elsewhere(
    "unit/erofs/writer-xattrs.test.ts",
    "as many keys as the limit are taken, not one more",
  ),
  xattrPairs: elsewhere(
    "unit/erofs/writer-xattrs.test.ts",
    "as many pairs as the limit are taken, not one more",
  ),
  paxBytes: {
    take: {
      "a pax header": (n) => readTar(archive(pax(paxOf(n)), header({}))),
      "a long name": (n) => readTar(archive(longName("n".repeat(n - 1)), header({}))),
    },
  },
  metaHeaders: by("an entry", (n) =>
    readTar(archive(...times(n, () => pax({ comment: "x" }, "g")), header({}))),
  ),
  sparseSegments: elsewhere(
    "unit/tar/sparse.test.ts",
    "10 000 segments are read, one more is refused",
  ),
  layerRatio: by(
    "a blob",
    async (n) => {
      lower("layerFloor", 0);
      await decompress(1000 * n, 1000);
    },
    100,
  ),
  layerFloor: by(
    "a blob",
    async (n) => {
      lower("layerRatio", 1);
      await decompress(n, 100);
    },
    5000,
  ),
  layerBytes: {
    lowered: 5000,
    take: {
      "a blob": (n) => decompress(n, 100),
      "a blob that is still to come": (n) => imageWithLayer(n),
    },
  },
  layers: {
    take: {
      "a manifest": (n) => parseOciDocument(json(manifestOf(n)), types.manifest, "manifest"),
      "an archive of docker": (n) =>
        parseDockerManifest(json([{ Config: "c", Layers: times(n, String) }]), "manifest.json"),
      "a seek index": (n) => unlessOtherwiseWrong(() => readSeekLayers(seekHeader({ layers: n }))),
    },
  },
  zstdWindowBytes: by("a frame", (n) => new ZstdFrames("layer").push(zstdFrame(n))),
  leafBytes: elsewhere("unit/store/leaf-hashes.test.ts", "cached ones are read up to their limit"),
  metaBytes: by("a store", (n) => {
    const store = Store.create(join(scratchFolder(), "store"));
    const path = join(store.path, "meta.json");
    writeFileSync(path, readFileSync(path, "utf8").padEnd(n));
    Store.open(store.path);
  }),
  rememberedBytes: elsewhere("unit/store/remembered-layers.test.ts", "is read up to its limit"),
  imageLayersBytes: elsewhere(
    "unit/store/remembered-layers.test.ts",
    "takes a list that is damaged, or larger than its limit, for none",
  ),
  leaseBytes: elsewhere(
    "unit/store/gc.test.ts",
    "when a lease is too large; a lease is read up to its limit",
  ),
  objectsSetAside: elsewhere(
    "e2e/http/limits.test.ts",
    "objects that a source is remembered to lack",
  ),
  mirrorsBytes: by("a file", (n) => parseMirrors(padded('{"mirrors":[]}', n), "/", "mirrors.json")),
  mirrors: by("a file", (n) =>
    parseMirrors(json({ mirrors: times(n, () => ({ location: "x" })) }), "/", "mirrors.json"),
  ),
  mirrorNames: by("a mirror", (n) =>
    parseMirrors(
      json({ mirrors: [{ location: "x", names: times(n, () => "a") }] }),
      "/",
      "mirrors.json",
    ),
  ),
  httpRestBytes: elsewhere(
    "e2e/http/limits.test.ts",
    "what is read of an answer that is not wanted",
  ),
  httpCertificatePageBytes: elsewhere(
    "e2e/http/limits.test.ts",
    "the page by which a server demands a certificate",
  ),
  challenges: elsewhere("e2e/http/limits.test.ts", "challenges that are read"),
  requestHeaderBytes: elsewhere(
    "e2e/http/limits.test.ts",
    "of a request to sealfs serve, with its path",
  ),
  connections: elsewhere("e2e/http/limits.test.ts", "connections to sealfs serve"),
  httpHeaderBytes: elsewhere(
    "e2e/http/limits.test.ts",
    "of an answer",
    "of a proxy that connects us on, with its reason phrase",
  ),
  httpInformational: elsewhere("e2e/http/limits.test.ts", "informational answers and redirects"),
  httpRedirects: elsewhere("e2e/http/limits.test.ts", "informational answers and redirects"),
  httpErrorBytes: elsewhere(
    "e2e/http/limits.test.ts",
    "an answer with a token",
    "an error, whose words are done without beyond",
  ),
  authFileBytes: elsewhere("e2e/http/limits.test.ts", "a credential helper"),
  registriesConfBytes: elsewhere(
    "unit/oci/registries-conf.test.ts",
    "a file up to its limit is read, a longer one is refused",
  ),
  certificatesBytes: elsewhere(
    "unit/http/tls.test.ts",
    "a file up to its limit is read, a longer one is refused",
  ),
  referrers: elsewhere("e2e/oci/referrers.test.ts", "ends with as many entries as are looked at"),
  candidates: elsewhere(
    "e2e/http/limits.test.ts",
    "artifacts beside an image that are looked at",
    "indexes in an index that are looked at",
  ),
  candidateBundles: elsewhere(
    "e2e/http/limits.test.ts",
    "bundles beside an image that are fetched",
  ),
  referrerPages: elsewhere("e2e/oci/referrers.test.ts", "is read up to a number of pages, no more"),
  referrersBytes: elsewhere(
    "e2e/oci/referrers.test.ts",
    "is read up to a number of bytes, however they are divided",
  ),
  prefetchListBytes: by("a list", (n) => readPrefetchList({ list: sparse(n) }), 1000),
  keyBytes: by("a key", (n) => readPublicKey(stored(alice.publicKey.toPem().padEnd(n, "\n")))),
  reportBytes: elsewhere("unit/mount/report-client.test.ts", "a report is read up to its limit"),
  seekIndexBytes: by(
    "an index",
    (n) =>
      unlessOtherwiseWrong(() =>
        readSeekLayers(Buffer.concat([seekHeader({}), new Uint8Array(n - SeekHeader.size)])),
      ),
    1000,
  ),
  seekPlacesBytes: by("an index", (n) =>
    unlessOtherwiseWrong(() => readSeekLayers(seekHeader({ placesPlainBytes: n }))),
  ),
  seekPoints: by("an index", (n) =>
    unlessOtherwiseWrong(() =>
      readSeekLayers(Buffer.concat([seekHeader({ layers: 1 }), seekLayerWith(n)])),
    ),
  ),
  seekSegments: by("an index", seekIndexOf, 5),
};

/** How messages say a limit that they do not say as a number. */
const inWords: Partial<Record<LimitRow, string>> = {
  validityDays: formatDuration(limits.validityDays * 86_400),
};

const isElsewhere = (bound: Bound | Elsewhere): bound is Elsewhere => "file" in bound;
const rows = Object.entries(tests) as [LimitRow, Bound | Elsewhere][];

test("every row has a test at its bound", () => {
  expect(Object.keys(tests).sort()).toEqual(Object.keys(limits).sort());
});

test.each(rows.filter(([, bound]) => isElsewhere(bound)))(
  "%s is tested where this table says",
  (row, bound) => {
    const { file: path, titles } = bound as Elsewhere;
    const text = readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
    expect(text.includes(row), row).toBe(true);
    for (const title of titles) expect(text.includes(JSON.stringify(title)), title).toBe(true);
  },
);

describe.each(rows.filter(([, bound]) => !isElsewhere(bound)))("%s", (row, bound) => {
  const { lowered, take } = bound as Bound;
  test.each(Object.entries(take))("of %s", async (_, takes) => {
    if (lowered !== undefined) lower(row, lowered);
    const most = limits[row];
    await takes(most);
    let error: unknown;
    try {
      await takes(most + 1);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SealfsError);
    const text = messagesOf(error as SealfsError).join(": ");
    expect(text).toContain(inWords[row] ?? String(most));
    expect(text).toMatch(/\bgot\b/);
  });
});
