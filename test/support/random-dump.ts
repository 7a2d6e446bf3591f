/**
 * Seeded dump files of any size: `rootfs` looks like an operating system's tree, `chaos` uses every
 * feature of the format at random. The random numbers are a SHA-256 counter stream, so a seed means
 * the same bytes everywhere; the order of the calls is part of the format.
 *
 * @module
 */
import { hash } from "node:crypto";

export type Profile = "rootfs" | "chaos";

class Random {
  readonly #key: string;
  #block = 0;
  #pool: Buffer = Buffer.alloc(0);

  constructor(key: string) {
    this.#key = key;
  }

  /** `count` bytes as a latin1 string. */
  bytes(count: number): string {
    return this.#take(count).toString("latin1");
  }

  /** An integer below `limit`. */
  below(limit: number): number {
    return this.#take(6).readUIntLE(0, 6) % limit;
  }

  percent(share: number): boolean {
    return this.below(100) < share;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  #take(count: number): Buffer {
    if (this.#pool.length < count) {
      const parts: Buffer[] = [this.#pool];
      for (let have = this.#pool.length; have < count; have += 32) {
        parts.push(hash("sha256", `${this.#key}/${this.#block++}`, "buffer"));
      }
      this.#pool = Buffer.concat(parts);
    }
    const taken = this.#pool.subarray(0, count);
    this.#pool = this.#pool.subarray(count);
    return taken;
  }
}

const ESCAPES = Array.from({ length: 256 }, (_, byte) => {
  const named = new Map([
    [0x5c, "\\\\"],
    [10, "\\n"],
    [13, "\\r"],
    [9, "\\t"],
  ]).get(byte);
  if (named !== undefined) return named;
  const plain = byte > 32 && byte < 127;
  return plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
});
const escape = (text: string) =>
  text.replace(/[^!-[\]-~]/g, (char) => ESCAPES[char.charCodeAt(0)]!);
const escapeXattr = (text: string) => escape(text).replaceAll("=", "\\x3d");
const field = (text: string | undefined) =>
  text === undefined ? "-" : text === "-" ? "\\x2d" : escape(text);

const WORDS =
  "lib bin etc usr share doc man locale module kernel driver python node perl config init systemd unit font icon theme data cache log run test core util net crypto zlib".split(
    " ",
  );
const LABELS = "bin lib etc usr var locale man modules_object cert shadow"
  .split(" ")
  .map((type) => `system_u:object_r:${type}_t:s0\0`);
const BASE_TIME = 1_700_000_000;
const NANO = 10 ** 9;

interface Line {
  path: string;
  mode: number;
  size: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  mtime: string;
  payload?: string | undefined;
  content?: string | undefined;
  digest?: string | undefined;
  xattrs: [string, string][];
  link?: boolean;
}

/** A dump file of `count` lines. */
export function randomDump(count: number, seed: number | string, profile: Profile): Buffer {
  const r = new Random(`${seed}:${count}:${profile}`);
  const chaos = profile === "chaos";
  const lines: string[] = [];

  const write = (line: Line) => {
    const fields = [
      escape(line.path),
      line.size,
      `${line.link ? "@" : ""}${line.mode.toString(8)}`,
      line.nlink,
      line.uid,
      line.gid,
      line.rdev,
      line.mtime,
      field(line.payload),
      field(line.content),
      line.digest ?? "-",
      ...line.xattrs.map(([key, value]) => `${escapeXattr(key)}=${escapeXattr(value)}`),
    ];
    lines.push(`${fields.join(" ")}\n`);
  };
  const mtime = () => {
    if (chaos) {
      return r.pick([
        "0.0",
        "1700000000.0",
        `${r.below(2 ** 32) - 2 ** 31}.${r.below(NANO)}`,
        "-5.7",
        "1.999999999",
      ]);
    }
    const seconds = r.percent(30) ? BASE_TIME - r.below(10 ** 7) : BASE_TIME;
    return `${seconds}.${r.percent(80) ? 0 : r.below(NANO)}`;
  };
  const id = () => {
    if (chaos) return r.pick([0, 0, 1000, 65535, 65536, r.below(2 ** 32)]);
    return r.percent(95) ? 0 : r.below(70000);
  };
  const noNul = (text: string, other: string) => text.replaceAll("\0", other);
  const xattrs = (): [string, string][] => {
    const out = new Map<string, string>();
    if (chaos) {
      const some = [0, 0, 0, 1, 1, 2, 3, r.below(20), r.percent(3) ? r.below(150) : 0];
      for (let left = r.pick(some); left > 0; left--) {
        const prefix = r.pick([
          "user.",
          "trusted.",
          "security.",
          "",
          "trusted.overlay.",
          "user.overlay.",
          "trusted.overlay.overlay.",
        ]);
        const name = r.pick([
          "a",
          "opaque",
          "whiteout",
          "whiteouts",
          "redirect",
          "metacopy",
          "selinux",
          noNul(r.bytes(r.below(8) + 1), "z"),
          `k${r.below(30)}`,
          `${"n".repeat(r.below(100))}x`,
        ]);
        const values = [
          "",
          "y",
          "x",
          `v${r.below(4)}`,
          r.bytes(r.below(40)),
          r.bytes(r.below(300)),
        ];
        if (r.percent(4)) values.push(r.bytes(r.below(5000)));
        out.set(prefix + name, r.pick(values));
      }
      if (r.percent(3)) out.set("system.posix_acl_access", r.bytes(28));
      if (r.percent(2)) out.set("system.posix_acl_default", r.bytes(20));
      if (r.percent(40)) out.set("security.selinux", r.pick(LABELS));
    } else {
      out.set("security.selinux", r.pick(LABELS));
      if (r.percent(1)) out.set("user.note", `n${r.below(50)}`);
      if (r.percent(1)) {
        const capability = Buffer.alloc(20);
        capability.set([1, 0, 0, 2, 0, 0x20]);
        out.set("security.capability", capability.toString("latin1"));
      }
    }
    const pairs = [...out];
    return r.percent(50) ? pairs.sort(([a], [b]) => (a < b ? -1 : 1)) : pairs;
  };

  write({
    path: "/",
    mode: 0o40755,
    size: 4096,
    nlink: 2,
    uid: chaos ? id() : 0,
    gid: 0,
    rdev: 0,
    mtime: chaos ? mtime() : "1700000000.0",
    xattrs: xattrs(),
  });
  const directories = [{ path: "", depth: 0 }];
  const files: string[] = [];
  const used = new Set([""]);
  while (used.size < count) {
    const { path: parent, depth } = r.percent(50)
      ? r.pick(directories)
      : directories.at(-1 - r.below(Math.min(directories.length, 8)))!;
    const name = chaos
      ? r.pick([
          r.below(256).toString(16).padStart(2, "0"),
          noNul(r.bytes(r.below(12) + 1), "_").replaceAll("/", "|"),
          `f${r.below(1000)}`,
          "n".repeat(r.below(255) + 1),
          `long-name-${r.below(300)}-${"q".repeat(r.below(60))}`,
        ])
      : r.pick(WORDS) +
        r.pick(["", "-", "_", "."]) +
        r.below(100000) +
        r.pick(["", ".so", ".conf", ".py", ".mo", ".gz"]);
    if (chaos && (name === "." || name === "..")) continue;
    const path = `${parent}/${name}`;
    if (used.has(path)) continue;
    used.add(path);
    // Properties are evaluated in the order in which they stand here.
    const type = r.below(100);
    if (type < 12 && depth < (chaos ? 30 : 12)) {
      write({
        path,
        mode: 0o40000 | r.pick([0o755, 0o755, 0o700, 0o1777, 0o2775]),
        size: r.below(5000),
        nlink: 2,
        uid: id(),
        gid: id(),
        rdev: 0,
        mtime: mtime(),
        xattrs: xattrs(),
      });
      directories.push({ path, depth: depth + 1 });
    } else if (type < 22) {
      const size = r.percent(95) ? r.below(60) + 1 : r.below(4095) + 1;
      const payload = chaos ? noNul(r.bytes(size), "-") : longTarget(r).slice(0, size);
      write({
        path,
        mode: 0o120777,
        size,
        nlink: 1,
        uid: id(),
        gid: id(),
        rdev: 0,
        mtime: mtime(),
        payload,
        xattrs: xattrs(),
      });
      files.push(path);
    } else if (type < 26 && files.length > 0) {
      const link = { mode: 0o100644, size: 0, nlink: 1, uid: 0, gid: 0, rdev: 0, mtime: "0.0" };
      write({ path, ...link, payload: r.pick(files), xattrs: [], link: true });
      if (chaos && r.percent(30)) files.push(path);
    } else if (type < 27 && chaos) {
      write({
        path,
        mode: r.pick([0o10600, 0o140755, 0o20644, 0o60644, 0o20000, 0o20600]),
        size: r.pick([0, 0, 5, 2 ** 33]),
        nlink: r.below(3) + 1,
        uid: id(),
        gid: id(),
        rdev: r.pick([0, 0, 0x103, r.below(2 ** 32)]),
        mtime: mtime(),
        xattrs: xattrs(),
      });
      files.push(path);
    } else if (type < 45) {
      const size = chaos
        ? r.pick([0, 1, r.below(64) + 1, r.below(5001), 2048, 2049, 4096])
        : r.pick([1, r.below(64) + 1, r.below(64) + 1, 64]);
      const content = r.bytes(size);
      write({
        path,
        mode: 0o100000 | r.pick([0o644, 0o755, 0o600]),
        size,
        nlink: 1,
        uid: id(),
        gid: id(),
        rdev: 0,
        mtime: mtime(),
        content: size > 0 ? content : undefined,
        xattrs: xattrs(),
      });
      files.push(path);
    } else {
      const bits = chaos ? [20, 34, 44, 53] : [12, 16, 20, 24];
      const size = chaos
        ? r.pick([1, 4096, 4097, ...bits.map((bit) => r.below(2 ** bit) + 1)])
        : r.pick([65, ...bits.map((bit) => r.below(2 ** bit) + 65)]);
      const object = hash("sha256", String(r.below(10 ** 9)));
      let payload: string | undefined = `${object.slice(0, 2)}/${object.slice(2)}`;
      let digest: string | undefined = object;
      if (chaos) {
        payload = r.pick([payload, payload, undefined, "/x", `obj${r.below(5)}`]);
        digest = r.pick([digest, digest, undefined]);
      }
      write({
        path,
        mode: 0o100000 | r.pick([0o644, 0o644, 0o755, 0o4755, 0o600]),
        size,
        nlink: r.percent(97) ? 1 : r.below(70000),
        uid: id(),
        gid: id(),
        rdev: 0,
        mtime: mtime(),
        payload,
        digest,
        xattrs: xattrs(),
      });
      files.push(path);
    }
  }
  return Buffer.concat(lines.map((line) => Buffer.from(line, "latin1")));
}

function longTarget(r: Random): string {
  const names: string[] = [];
  for (let i = 0; i < 900; i++) names.push(r.pick(WORDS) + r.below(1000));
  return "../".repeat(8) + names.join("/");
}
