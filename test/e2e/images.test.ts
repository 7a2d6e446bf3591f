/**
 * Real images, end to end: build, sign, verify, mount, list; a second build gives the same bytes.
 * The right root file system is what `umoci unpack` makes (umoci is an oracle nobody here wrote).
 *
 * The bundled image runs wherever root, /dev/fuse and umoci are; the large ones of the test bed
 * (busybox, odd, minbase, large1) where SEALFS_BED or ~/.cache/sealfs-bed has them.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { sealfs, sealfsOk } from "../support/run.ts";
import { oracle } from "../support/oracle.ts";
import { scratchFolder } from "../support/scratch.ts";

const listingTool = fileURLToPath(new URL("../support/listing.py", import.meta.url));
const bundled = fileURLToPath(new URL("../../examples/site.oci.tar", import.meta.url));
const bed = process.env["SEALFS_BED"] ?? join(homedir(), ".cache/sealfs-bed");
const umoci = oracle("umoci");
const composefsInfo = oracle("composefs-info");

const missing = [
  process.getuid?.() === 0 ? "" : "root",
  existsSync("/dev/fuse") ? "" : "/dev/fuse",
  umoci === undefined ? "umoci" : "",
].filter((what) => what !== "");

const work = scratchFolder();

type Row = Record<string, unknown> & {
  type: string;
  mtime: string | null;
  path?: string;
  pathHex?: string;
};

function parseListing(text: string): Map<string, Row> {
  const rows = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
  return new Map(rows.map((row) => [row.path ?? `hex:${row.pathHex}`, row]));
}

function list(root: string): Map<string, Row> {
  return parseListing(
    execFileSync("python3", [listingTool, root], { encoding: "utf8", maxBuffer: 1 << 30 }),
  );
}

/** What `umoci unpack` makes of the image; the bed has it on file. */
function expectedListing(name: string, layout: string, startedAt: number): Map<string, Row> {
  const recorded = join(bed, "expected", `${name}.jsonl`);
  if (existsSync(recorded)) return parseListing(readFileSync(recorded, "utf8"));
  const bundle = join(work, `${name}-umoci`);
  execFileSync(umoci!, ["unpack", "--image", `${layout}:latest`, bundle], { stdio: "pipe" });
  const listing = list(join(bundle, "rootfs"));
  rmSync(bundle, { recursive: true, force: true });
  // A time that the unpacking itself made: no layer says it.
  for (const row of listing.values()) {
    if (Number((row.mtime ?? "0").split(".")[0]) >= startedAt) row.mtime = null;
  }
  return listing;
}

/** Which rule of the profile explains a difference from umoci; undefined when none does. */
function explain(
  field: string,
  expected: Row | undefined,
  found: Row | undefined,
  hasUnlistedChild: boolean,
) {
  if (field === "mtime" && expected?.mtime === null) {
    if (found?.mtime === "0.000000000") {
      return "a parent that no layer lists has time 0 (oci-v1: parents)";
    }
    if (hasUnlistedChild) {
      return "umoci's making of a parent that no layer lists set its directory's time to now";
    }
  }
  if (field === "xattrs") {
    const withoutEmpty = Object.entries((found?.["xattrs"] ?? {}) as Record<string, string>).filter(
      ([, value]) => value !== "",
    );
    const umociHas = Object.entries((expected?.["xattrs"] ?? {}) as Record<string, string>);
    if (JSON.stringify(withoutEmpty) === JSON.stringify(umociHas)) {
      return "empty xattr values are kept (oci-v1: xattrs and times); umoci drops them";
    }
  }
  return undefined;
}

function unexplained(expected: Map<string, Row>, found: Map<string, Row>): string[] {
  const out: string[] = [];
  const unlisted = [...expected].filter(([, row]) => row.mtime === null).map(([path]) => path);
  for (const path of new Set([...expected.keys(), ...found.keys()])) {
    const a = expected.get(path);
    const b = found.get(path);
    if (a === undefined || b === undefined) {
      out.push(`${path}: only ${a === undefined ? "in the mount" : "in umoci's tree"}`);
      continue;
    }
    for (const field of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const [x, y] = [JSON.stringify(a[field]), JSON.stringify(b[field])];
      const hasUnlistedChild = unlisted.some((child) => posix.dirname(child) === path);
      if (x !== y && explain(field, a, b, hasUnlistedChild) === undefined) {
        out.push(`${path}: ${field}: umoci ${x}, mount ${y}`);
      }
    }
  }
  return out;
}

const images = [
  { name: "site", source: `oci-archive:${bundled}`, layout: undefined },
  ...["busybox", "odd", "minbase", "large1"].map((name) => ({
    name,
    source: `oci:${join(bed, "images", name, "gzip")}:latest`,
    layout: join(bed, "images", name, "gzip"),
  })),
];

describe.each(images)("the image $name", ({ name, source, layout }) => {
  const absent = layout !== undefined && !existsSync(layout) ? [layout] : [];
  const why = [...missing, ...absent];

  test.skipIf(why.length > 0)(
    `builds, verifies and mounts as umoci unpacks it${why.length > 0 ? ` (missing: ${why.join(", ")})` : ""}`,
    { timeout: 900_000 },
    () => {
      const startedAt = Math.floor(Date.now() / 1000) - 2;
      const dir = join(work, name);
      const mnt = join(dir, "mnt");
      mkdirSync(mnt, { recursive: true });
      const store = join(dir, "store");
      const ref = `example.org/${name}:1.0`;
      sealfsOk(["keygen", "-o", join(dir, "k")]);
      const signing = ["--key", join(dir, "k.key")];
      const checking = ["--store", store, "--key", join(dir, "k.pub")];

      const out = join(dir, "image.cfs");
      sealfsOk(["build", source, "--store", store, "--name", ref, "-o", out, ...signing]);
      const again = join(dir, "again.cfs");
      const other = join(dir, "store2");
      sealfsOk(["build", source, "--store", other, "--name", ref, "-o", again, ...signing]);
      expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
      rmSync(other, { recursive: true, force: true });

      sealfsOk(["verify", ref, ...checking]);
      sealfsOk(["check", out, "--store", store]);
      if (composefsInfo !== undefined) {
        const objects = `--basedir=${join(store, "objects")}`;
        const absentObjects = execFileSync(composefsInfo, [objects, "missing-objects", out]);
        expect(absentObjects.toString()).toBe("");
      }

      let unpacked = layout;
      if (unpacked === undefined) {
        unpacked = join(dir, "oci");
        mkdirSync(unpacked);
        execFileSync("tar", ["-xf", bundled, "-C", unpacked]);
      }
      const expected = expectedListing(name, unpacked, startedAt);
      sealfsOk(["mount", ref, mnt, ...checking]);
      try {
        expect(unexplained(expected, list(mnt)).slice(0, 20)).toEqual([]);
      } finally {
        sealfsOk(["umount", mnt]);
      }
      expect(sealfs(["umount", mnt]).status).not.toBe(0);
      rmSync(dir, { recursive: true, force: true });
    },
  );
});
