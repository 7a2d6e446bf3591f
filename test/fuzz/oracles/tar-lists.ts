/**
 * GNU tar and Python's tarfile: list every archive that sealfs reads, and list the same members. Where
 * they differ from each other, sealfs refuses.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { SealfsError } from "../../../src/errors.ts";
import type { TarEntry, TarEntryType } from "../../../src/tar/entry.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import { hasProgram } from "../../support/run.ts";
import { withChecksums } from "../checksums.ts";
import { same } from "../invariant.ts";
import { Child } from "./child.ts";
import type { Oracle } from "./oracle.ts";

/** As `tar-lists.py` prints them. */
interface Member {
  readonly kind: string;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly owner: readonly number[];
  readonly size: number;
  readonly device: readonly number[];
  /** Seconds and nanoseconds; of tarfile one number. */
  readonly time: readonly [number, number] | number;
  readonly xattrs?: readonly (readonly [string, string])[];
  readonly content?: string | null;
  /**
   * Ours alone. GNU tar skips content where a link or device has a size, but not when it extracts; and
   * pads each segment of a sparse file.
   */
  readonly isMisread?: boolean;
}

interface Lists {
  readonly tar: readonly Member[] | null;
  readonly tarfile: readonly Member[] | null;
}

/** Expanded; tarfile reads content up to 1 MiB. */
const MOST_BYTES = 1 << 20;

const hasTwoDots = /(?:^|\/)\.\.(?:\/|$)/;

const child = new Child("tar-lists.py");

export const tarLists: Oracle = {
  name: "GNU tar and Python's tarfile",
  every: 1,
  missing() {
    return hasProgram("python3") && hasProgram("tar") ? undefined : "they are not installed";
  },
  async check(data) {
    const bytes = withChecksums(data);
    const ours = listed(bytes);
    // GNU tar refuses an archive without anything, which a layer may be.
    if (ours === undefined || ours.length === 0) return false;
    const theirs = (await child.ask(bytes)) as Lists;
    if (!ours.some((member) => member.isMisread)) compare(ours, theirs.tar, "GNU tar");
    compare(ours, theirs.tarfile, "tarfile");
    return true;
  },
};

function compare(ours: readonly Member[], theirs: readonly Member[] | null, reader: string): void {
  same(true, theirs !== null, `read by ${reader} too`);
  same(ours.length, theirs!.length, `members that ${reader} lists`);
  for (const [i, member] of ours.entries()) {
    const other = theirs![i]!;
    for (const key of ["kind", "name", "link", "owner", "size", "device"] as const) {
      same(member[key], other[key], `${key} as of ${reader}`);
    }
    // A hard link has its target's.
    if (member.kind === "h") continue;
    same(member.mode, other.mode, `mode as of ${reader}`);
    same(true, isSameTime(member.time as [number, number], other.time), `time as of ${reader}`);
    if (other.xattrs !== undefined) same(member.xattrs, other.xattrs, `xattrs as of ${reader}`);
    if (typeof other.content === "string") {
      same(member.content, other.content, `content as of ${reader}`);
    }
  }
}

/**
 * Tarfile has floating-point numbers. GNU tar lists a time before 1970 with the second behind it and
 * the distance from that.
 */
function isSameTime([seconds, nanoseconds]: readonly [number, number], other: Member["time"]) {
  if (typeof other !== "number") {
    const isTurned = seconds < 0 && nanoseconds > 0;
    const [whole, rest] = isTurned ? [seconds + 1, 1e9 - nanoseconds] : [seconds, nanoseconds];
    return other[0] === whole && other[1] === rest;
  }
  const time = seconds + nanoseconds / 1e9;
  return Math.abs(time - other) <= Math.max(1e-6, Math.abs(time) * 2 ** -50);
}

const letters: Record<TarEntryType, string> = {
  file: "f",
  directory: "d",
  symlink: "l",
  hardlink: "h",
  character: "c",
  block: "b",
  fifo: "p",
};

/** Our entries; undefined when the archive is refused. */
function listed(bytes: Uint8Array): readonly Member[] | undefined {
  const members: Member[] = [];
  // By the profiles, as readers differ (docs/profiles.md, "paths").
  let isRefusedLater = false;
  const entry = (entry: TarEntry) => {
    const hash = createHash("sha256");
    const { rdev } = entry;
    isRefusedLater ||=
      (entry.type === "file" && /\/\.?$/.test(entry.path)) ||
      (entry.type === "hardlink" && hasTwoDots.test(entry.linkPath)) ||
      hasTwoDots.test(entry.path);
    const made = {
      kind: letters[entry.type],
      name: entry.path.replace(/\/+$/, ""),
      // GNU tar lists the target of a hard link as it extracts it.
      link: entry.type === "hardlink" ? entry.linkPath.replace(/^\/+/, "") : entry.linkPath,
      mode: entry.mode,
      owner: [entry.uid, entry.gid],
      size: entry.size,
      device: [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)],
      time: [Number(entry.mtimeSeconds), entry.mtimeNanoseconds] as const,
      isMisread: (entry.sizeIgnored && entry.type !== "hardlink") || entry.segments !== undefined,
      xattrs: [...entry.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      content: entry.size === 0 ? hash.copy().digest("hex") : "",
    };
    members.push(made);
    return {
      write: (chunk: Uint8Array) => void hash.update(chunk),
      end: () => void (made.content = hash.digest("hex")),
    };
  };
  const parser = new TarParser({ entry }, { maxBytes: MOST_BYTES });
  try {
    parser.write(bytes);
    parser.end();
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
  return isRefusedLater ? undefined : members;
}
