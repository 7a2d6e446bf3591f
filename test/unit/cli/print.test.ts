/** What commands print for people, to the byte: columns, and facts about one thing. */
import { describe, expect, test } from "vitest";
import { statusDetails, statusTable } from "../../../src/cli/print/status.ts";
import { trustLines } from "../../../src/cli/print/trust.ts";
import { seekLines } from "../../../src/cli/print/inspect.ts";
import { counted } from "../../../src/cli/terminal/units.ts";
import { barLine } from "../../../src/cli/terminal/progress.ts";
import { factLines, tableLines, tableRow } from "../../../src/cli/terminal/table.ts";
import type { MountStatus } from "../../../src/mount/status.ts";
import type { TrustReport } from "../../../src/policy/trust-report.ts";
import { parseVerityDigest } from "../../../src/verity/index.ts";

describe("a table", () => {
  test("has columns as wide as their widest cell, and nothing behind the last one", () => {
    const rows = [
      ["one", "a", "last"],
      ["three", "", "x"],
    ];
    expect(tableLines(rows)).toEqual(["one    a  last", "three     x"]);
    expect(tableLines([])).toEqual([]);
  });

  test("has columns to the right, with other gaps and with fixed widths", () => {
    const columns = [{}, { align: "right" as const, gap: 1 }, { width: 5 }];
    expect(
      tableLines(
        [
          ["a", "1", "b", "c"],
          ["a", "100", "b", "c"],
        ],
        columns,
      ),
    ).toEqual(["a   1  b      c", "a 100  b      c"]);
  });

  test("keeps a cell that is too wide, and moves what is behind it", () => {
    const columns = [{ width: 2 }, { width: 3, align: "right" as const, gap: 1 }];
    expect(tableRow(["abc", "12345", "end"], columns)).toBe("abc 12345  end");
    expect(factLines([["max validity", "1y"], ["", "two"]])).toEqual([
      "max validity 1y",
      "            two",
    ]); // prettier-ignore
  });
});

const live: MountStatus = {
  target: "/mnt/app",
  visible: true,
  condition: "live",
  name: "example.org/app:1",
  mode: "fuse",
  transport: "dev",
  promise: "block",
  image: {
    name: "example.org/app:1",
    digest: parseVerityDigest("ab".repeat(32)),
    signedBy: ["SHA256:one", "SHA256:two"],
    version: 7,
    created: "2026-01-01T00:00:00Z",
    expires: "2030-01-01T00:00:00Z",
  },
  stores: ["/srv/store"],
  content: {
    files: 3,
    bytes: 5000,
    objects: 2,
    objectBytes: 4096,
    missingObjects: 1,
    missingBytes: 1024,
  },
  pid: 42,
  residentBytes: 30_000_000,
  uptimeSeconds: 3725,
  log: "/run/log",
};
const dead: MountStatus = {
  target: "/srv/a\x1bb",
  visible: false,
  condition: "dead",
  name: "id",
};

test("status: one line for each mount, whatever its names hold", () => {
  expect(statusTable([live, dead])).toEqual([
    "/mnt/app     example.org/app:1  fuse over dev  block  live  1h2m",
    "/srv/a\\x1bb  id                 -              -      dead  -",
  ]);
  expect(statusTable([])).toEqual([]);
});

test("status: all about one mount, as far as it is known", () => {
  expect(statusDetails(live)).toEqual([
    "directory   /mnt/app",
    "image       example.org/app:1",
    "condition   live",
    "mode        fuse over dev",
    "promise     block",
    `digest      ${"ab".repeat(32)}`,
    "signed by   SHA256:one SHA256:two",
    "version     7",
    "expires     2030-01-01T00:00:00Z",
    "stores      /srv/store",
    "content     3 files, 4.9 KiB",
    "in stores   1 of 2 objects, 3.0 KiB of 4.0 KiB",
    "server      process 42, up 1h2m, 28.6 MiB",
    "log         /run/log",
  ]);
  expect(statusDetails(dead)).toEqual([
    "directory   /srv/a\\x1bb (not in this mount namespace)",
    "image       id",
    "condition   its server is dead: end it with sealfs umount",
  ]);
});

test("trust: a refusal, with what is known all the same", () => {
  const report: TrustReport = {
    target: "app.img",
    ok: false,
    refusal: { code: "NO_BUNDLE", message: "image: no bundle" },
    asked: "app:1",
    statement: undefined,
    signedBy: [],
    threshold: undefined,
    policy: { name: "fleet", version: 2, epoch: 1, signedBy: [], expires: undefined },
    memory: { place: "/state", version: 7, epoch: 0, since: "2026-09-01T00:00:00Z" },
    listing: "https://tuf.example",
    deadlines: [],
    refused: [{ bundles: "bundle a", code: "BAD_BUNDLE", message: "not JSON" }],
    notCounted: ["key\n"],
  };
  expect(trustLines(report)).toEqual([
    "image       app.img",
    "trusted     NO, NO_BUNDLE: image: no bundle",
    "policy      fleet, version 2, epoch 1, not signed",
    "memory      version 7, epoch 0, since 2026-09-01T00:00:00Z (/state)",
    "freshness   the current bundle by https://tuf.example",
    'not counted "key\\n"',
    "refused     bundle a: BAD_BUNDLE: not JSON",
  ]);
});

test("inspect --seek: a line for the index, and a table of its layers", () => {
  const layer = { digest: "sha256:aa", size: 10, indexBytes: 5, objects: 12 } as const;
  const lines = seekLines({
    digest: "cc",
    size: 30,
    share: 0.0003,
    layers: [
      { ...layer, compression: "gzip", bytes: 100_000, seekable: true, points: 3 },
      { ...layer, compression: "zstd", bytes: 50, seekable: false, points: 0 },
    ],
  });
  expect(lines).toEqual([
    "seek index cc: 30 bytes, 0.030 % of the uncompressed layers",
    "sha256:aa  gzip  100000 bytes  12 objects  3 points         5 bytes (0.005 %)",
    "sha256:aa  zstd  50 bytes      12 objects  only as a whole  5 bytes (10.000 %)",
  ]);
});

test("progress: a bar with share, rate and the time that is left, where the total is known", () => {
  const mib = 1024 * 1024;
  expect(barLine("build", 25 * mib, 100 * mib, 10_000)).toBe(
    "build [######------------------] 25% 25.0 MiB 2.5 MiB/s 30s left",
  );
  expect(barLine("fetch", mib, 10_000 * mib, 1000)).toMatch(/ 2h46m left$/);
  expect(barLine("import", 3 * mib, undefined, 2000)).toBe("import 3.0 MiB 1.5 MiB/s");
  expect(barLine("build", 0, 10, 0)).toBe("build [------------------------] 0% 0 B 0 B/s");
});

test("one of a thing is not several", () => {
  expect(["object", "index", "leaf cache"].map((noun) => counted(1, noun))).toEqual([
    "1 object",
    "1 index",
    "1 leaf cache",
  ]);
  expect([0, 2].map((count) => counted(count, "object"))).toEqual(["0 objects", "2 objects"]);
  expect(counted(3, "seek index")).toBe("3 seek indexes");
  expect(counted(2, "leaf cache")).toBe("2 leaf caches");
});
