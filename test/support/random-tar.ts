/**
 * Archives that bend one or two rules of the tar formats, made from a seed: what readers are compared
 * over. Each has an ordinary directory and file before the doubtful entry and a file after it, so that
 * a reader that loses its place shows it.
 *
 * @module
 */
import { type HeaderFields, base256, fixChecksum, header, member, paxRecord } from "./tar.ts";

export interface RandomTar {
  readonly seed: number;
  /** What was bent, for messages. */
  readonly made: string;
  readonly bytes: Uint8Array;
}

/** The doubtful entry with what stands around it, before it becomes bytes. */
interface Draft {
  readonly notes: string[];
  readonly random: Random;
  fields: HeaderFields;
  content: string | undefined;
  /** Extended headers before the entry. */
  before: Uint8Array[];
  /** Bytes right behind the entry's content and padding. */
  behind: Uint8Array;
  /** What the archive ends with. */
  end: Uint8Array;
  /** Changes the finished header; the checksum is set right afterwards. */
  patch: ((block: Uint8Array) => void) | undefined;
  checksum: string | undefined;
  padding: string;
}

type Bend = (draft: Draft) => void;

/** The archive that `seed` stands for. */
export function randomTar(seed: number): RandomTar {
  const random = new Random(seed);
  const draft: Draft = {
    notes: [],
    random,
    fields: { name: "d/subject", mtime: 1_000_000, uid: 3, gid: 4 },
    content: "subject\n",
    before: [],
    behind: new Uint8Array(0),
    end: Buffer.alloc(1024),
    patch: undefined,
    checksum: undefined,
    padding: "\0",
  };
  if (random.one([false, false, true])) bends["kind"]!(draft);
  const names = Object.keys(bends);
  for (let count = random.one([1, 1, 1, 2]); count > 0; count--) {
    const name = random.one(names);
    draft.notes.push(name);
    bends[name]!(draft);
  }
  // Linux gives xattrs of users to files and directories only.
  if (draft.notes.includes("xattrs") && !"057\0".includes(draft.fields.type ?? "0")) {
    draft.fields.type = "0";
    draft.notes.push("of a file");
  }
  return { seed, made: draft.notes.join(" "), bytes: assemble(draft) };
}

const magics = [
  "ustar\x0000",
  "ustar  \0",
  "",
  "ustar\0\0\0",
  "ustar\x0001",
  "ustar\0  ",
  "ustar \0\0",
  "ustar  0",
  "ustar 00",
  "ustar",
  "USTAR\x0000",
  "\0\0\0\0\0\x0000",
  "GNUtar \0",
  "tar\0",
];

const numberFields = ["mode", "uid", "gid", "size", "mtime", "deviceMajor", "deviceMinor"] as const;

const bends: Record<string, Bend> = {
  /** Another type of entry, with or without a size and with or without the content for it. */
  kind(draft) {
    const { random, fields } = draft;
    const type = random.one(["1", "2", "3", "4", "5", "6", "7", "\0", "0"]);
    fields.type = type;
    draft.notes.push(`type ${JSON.stringify(type)}`);
    if (type === "1") fields.linkName = random.one(["before", "before", "./before", "d/../before"]);
    if (type === "2") fields.linkName = "before";
    if (type === "3" || type === "4") Object.assign(fields, { deviceMajor: 7, deviceMinor: 9 });
    if (type === "5") fields.name = random.one(["d/subject/", "d/subject"]);
    if (!["0", "7", "\0"].includes(type)) {
      fields.size = 0;
      draft.content = undefined;
    }
  },
  sized(draft) {
    const { random, fields } = draft;
    bends["kind"]!(draft);
    if (random.below(8) === 0) Object.assign(fields, { type: "\0", name: "d/subject/" });
    const size = random.one([1, 5, 8, 511, 512, 513, 1024]);
    fields.size = size;
    const pax = random.below(4);
    if (pax === 0) {
      addPax(draft, paxRecord("size", String(size)), "x");
      fields.size = random.one([0, size]);
    } else if (pax === 1) addPax(draft, paxRecord("mtime", "5"), "x");
    const content = random.one(["none", "text", "header"]);
    draft.content = undefined;
    const blocks = Math.ceil(size / 512);
    if (content === "text") draft.behind = Buffer.alloc(blocks * 512, "text");
    if (content === "header") {
      const hidden = Array.from({ length: blocks }, (_, i) => header({ name: `hidden${i}` }));
      draft.behind = Buffer.concat(hidden);
    }
    draft.notes.push(`size ${size}, ${content} behind`);
  },
  anyType(draft) {
    const type = String.fromCharCode(draft.random.below(256));
    if ("xgLK".includes(type)) return;
    draft.fields.type = type;
    draft.notes.push(JSON.stringify(type));
  },
  number(draft) {
    const name = draft.random.one(numberFields);
    const width = name === "size" || name === "mtime" ? 12 : 8;
    const value = name === "size" ? (draft.content?.length ?? 0) : 0o644;
    let text = doubtfulNumber(draft.random, value, width);
    if (name === "mtime" && text === base256(1n << 54n, width)) text = ""; // no file system has that
    draft.fields[name] = text;
    draft.notes.push(`${name} ${JSON.stringify(text)}`);
  },
  checksum(draft) {
    draft.checksum = draft.random.one(["lead", "short", "wide", "signed", "wrong", "tail", "zero"]);
    draft.notes.push(draft.checksum);
  },
  magic(draft) {
    draft.fields.magic = draft.random.one(magics);
    draft.notes.push(JSON.stringify(draft.fields.magic));
  },
  name(draft) {
    const { random, fields } = draft;
    fields.name = random.one([
      "d/subject/",
      "d//subject",
      "./d/subject",
      "d/./subject",
      "d/subject/.",
      "/d/subject",
      "",
      "../d/subject",
      "d/../d/subject",
      "d/x/../subject",
      "d/..",
      "..",
      "/",
      ".",
      "./",
      "d/new/deep/subject",
      "before/subject",
      "d/subject\0junk",
      `d/${"n".repeat(97)}x`,
      `d/${"n".repeat(97)}/`,
      "d/\xff\xfe",
      "d/new\nline",
      "d/a\\b",
      "d/*",
      "d/ subject",
      "d/subject ",
    ]);
    draft.notes.push(JSON.stringify(fields.name));
  },
  prefix(draft) {
    const { random, fields } = draft;
    fields.prefix = random.one([
      "d",
      "d/",
      "./d",
      "d\0junk",
      "\0junk",
      `d/${"p".repeat(153)}`,
      "d".padEnd(131, "\0") + "14567654321 14567654321 ",
      "/d",
      "\0".repeat(154) + "x",
      "d\0\0\0x",
    ]);
    if (random.below(4) === 0) {
      fields.prefix = fields.prefix.slice(0, 130).padEnd(131, "\0");
      fields.prefix += random.one(["00000000010 00000000010 ", "junk", "", "\0".repeat(24)]);
      if (random.below(4) === 0) fields.prefix = fields.prefix.replaceAll("\0", "p");
      draft.patch = (block) => block.set(bytesOf("tar\0"), 508);
    }
    if (random.one([true, true, false])) fields.name = random.one(["subject", "/subject", ""]);
    fields.magic = random.one(["ustar\x0000", "ustar\x0000", "ustar  \0", "", "ustar\0\0\0"]);
    draft.notes.push(JSON.stringify([fields.prefix, fields.name, fields.magic]));
  },
  linkName(draft) {
    const { random, fields } = draft;
    fields.type = random.one(["1", "2"]);
    fields.linkName = random.one([
      "",
      "before\0junk",
      "./before",
      "before/",
      "d/../before",
      "/before",
      "../d",
      "b".repeat(100),
    ]);
    fields.size = 0;
    draft.content = undefined;
    draft.notes.push(JSON.stringify([fields.type, fields.linkName]));
  },
  unusedFields(draft) {
    const { random, fields } = draft;
    const which = random.below(5);
    if (which === 0) fields.linkName = random.one(["junk", "before", "\xff", "a\0b"]);
    if (which === 1) fields.deviceMajor = random.one(["junk", " ", "0000000 ", "\xff\xff", 5]);
    if (which === 2) fields.deviceMinor = random.one(["junk", "       \0", "\0junk", 5]);
    if (which === 3)
      draft.patch = (block) => block.set(bytesOf(random.one(["root", "\xff\0x"])), 265);
    if (which === 4) draft.patch = (block) => block.set(bytesOf(random.one(["x", "tar\0"])), 508);
    draft.notes.push(`${which} ${JSON.stringify([fields.linkName, fields.deviceMajor])}`);
  },
  pax(draft) {
    const body = doubtfulPax(draft);
    addPax(draft, body, draft.random.one(["x", "x", "x", "g", "X"]));
  },
  paxRecord(draft) {
    const { random } = draft;
    const good = paxRecord("path", "d/subject2");
    const body = random.one([
      `${good}\0\0`,
      `${good}\n`,
      `${good} `,
      `0${good}`,
      ` ${good}`,
      good.replace(" ", "  "),
      good.replace("\n", " "),
      good.replace("=", ":"),
      "7 path\n",
      "5 =b\n",
      "0 a=b\n",
      "99999999999 a=b\n",
      "-6 a=b\n",
      "",
      `${paxRecord("comment", "")}${good}`,
      `${paxRecord("comment", "a\0b")}${good}`,
      `${paxRecord("comment", "a\nb")}${good}`,
      `${paxRecord("com=ment", "x=y")}${good}`,
      `${paxRecord("comment", "\xff\xfe")}${good}`,
      `${paxRecord("VENDOR.key", "x")}${good}`,
      `${paxRecord("\xc3\xa9", "x")}${good}`,
      `${paxRecord("comment", "a")}${paxRecord("comment", "b")}${good}`,
      `${paxRecord("path", "d/first")}${good}`,
      ...["path", "size", "uid", "mtime", "linkpath", "uname", "GNU.sparse.name"].map(
        (key) => paxRecord(key, "8") + paxRecord(key, "8"),
      ),
      ...["path", "uid", "mtime", "linkpath"].map(
        (key) => paxRecord(key, "7") + paxRecord(key, "8"),
      ),
      ...["path", "uid", "mtime", "linkpath"].map(
        (key) => paxRecord(key, "") + paxRecord(key, "8"),
      ),
      ...["path", "uid", "mtime", "linkpath"].map(
        (key) => paxRecord(key, "8") + paxRecord(key, ""),
      ),
      ...["path", "uid", "mtime", "linkpath", "size"].map((key) => paxRecord(key, "")),
      `${paxRecord("hdrcharset", "BINARY")}${good}`,
      `${paxRecord("hdrcharset", "ISO-IR 10646 2000 UTF-8")}${good}`,
      good.slice(0, -1),
      good.slice(0, 5),
    ]);
    addPax(draft, body, random.one(["x", "x", "x", "g"]));
  },
  paxFields(draft) {
    const { random } = draft;
    const key = random.one([
      ...numberRecords,
      "SCHILY.dev",
      "SCHILY.fflags",
      "LIBARCHIVE.creationtime",
    ]);
    addPax(draft, paxRecord(key, random.one(numberValues)), "x");
  },
  metaHeader(draft) {
    // An extended header's own fields.
    const { random } = draft;
    const body = paxRecord("path", "d/subject2");
    const fields: HeaderFields = { name: "PaxHeaders/x", type: "x" };
    const bend = random.below(6);
    if (bend === 0) fields.magic = random.one(magics);
    if (bend === 1) fields.name = random.one(["", "a/", "d/\xff"]);
    if (bend === 2) fields.mode = doubtfulNumber(random, 0o644, 8);
    if (bend === 3) fields.uid = doubtfulNumber(random, 0, 8);
    if (bend === 4) fields.mtime = doubtfulNumber(random, 0, 12);
    if (bend === 5) fields.size = doubtfulNumber(random, body.length, 12);
    draft.before.push(member(fields, body));
    draft.notes.push(JSON.stringify(fields));
  },
  longName(draft) {
    const { random, notes } = draft;
    if (notes.indexOf("longName") < notes.lastIndexOf("longName")) return;
    const type = random.one(["L", "L", "K"]);
    if (type === "K") Object.assign(draft.fields, { type: "2", linkName: "x", size: 0 });
    if (type === "K") draft.content = undefined;
    const body = random.one([
      "d/long\0",
      "d/long",
      "d/long\0\0\0",
      "d/long\0junk",
      "\0",
      "",
      "d/long/\0",
      `d/${"l".repeat(200)}\0`,
      `d/${"l".repeat(200)}`,
      "./d/long\0",
      "/d/long\0",
    ]);
    const magic = random.one(["ustar  \0", "ustar  \0", "ustar\x0000", ""]);
    const twice = random.one([1, 1, 1, 2]);
    for (let i = 0; i < twice; i++) {
      const text = i === 0 ? body : random.one([body, "d/other\0", "d/a", "after\0"]);
      draft.before.push(member({ name: "././@LongLink", magic, type }, text));
      draft.notes.push(JSON.stringify(text));
    }
    draft.notes.push(`${type} ${JSON.stringify(magic)}`);
  },
  metaOrder(draft) {
    const { random } = draft;
    const kinds: Record<string, () => Uint8Array> = {
      x: () => member({ name: "p", type: "x" }, paxRecord("mtime", "12345")),
      xPath: () => member({ name: "p", type: "x" }, paxRecord("path", "d/by-pax")),
      xSize: () => member({ name: "p", type: "x" }, paxRecord("size", "8")),
      g: () => member({ name: "p", type: "g" }, paxRecord("comment", "x")),
      L: () => member({ name: "p", type: "L", magic: "ustar  \0" }, "d/by-L\0"),
      K: () => member({ name: "p", type: "K", magic: "ustar  \0" }, "before\0"),
      L2: () => member({ name: "p", type: "L", magic: "ustar  \0" }, "d/by-L2\0"),
      K2: () => member({ name: "p", type: "K", magic: "ustar  \0" }, "after\0"),
      xLink: () => member({ name: "p", type: "x" }, paxRecord("linkpath", "by-pax")),
      xTime2: () => member({ name: "p", type: "x" }, paxRecord("mtime", "54321")),
      xUid: () => member({ name: "p", type: "x" }, paxRecord("uid", "77")),
    };
    const order = [random.one(Object.keys(kinds)), random.one(Object.keys(kinds))];
    if (random.below(3) === 0) order.push(random.one(Object.keys(kinds)));
    for (const kind of order) draft.before.push(kinds[kind]!());
    if (order.some((kind) => /K|Link/.test(kind))) {
      Object.assign(draft.fields, { type: "2", linkName: "x", size: 0 });
      draft.content = undefined;
    }
    draft.notes.push(order.join(", "));
  },
  sparse(draft) {
    const { random } = draft;
    const data = "A".repeat(512);
    const map = random.one(["0,512", "1024,512", "0,256,1024,256", "0,0,1024,512", "0,512,4096,0"]);
    const numbers = map.split(",");
    const count = random.one([numbers.length / 2, numbers.length / 2, numbers.length / 2, 9]);
    const size = random.one(["4096", "4096", "1536", "512", "0"]);
    const version = random.one(["0.0", "0.1", "1.0"]);
    let body = paxRecord("GNU.sparse.name", "d/sparse");
    draft.content = data;
    draft.fields.size = data.length;
    if (version === "1.0") {
      body = paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") + body;
      body += paxRecord("GNU.sparse.realsize", size);
      const lines = `${[count, ...numbers].join("\n")}\n`;
      draft.content = lines.padEnd(random.one([512, 512, 512, 500]), "\0") + data;
      draft.fields.size = draft.content.length;
    } else {
      body = paxRecord("GNU.sparse.size", size) + paxRecord("GNU.sparse.numblocks", String(count));
      body += paxRecord("GNU.sparse.name", "d/sparse");
      if (version === "0.1") body += paxRecord("GNU.sparse.map", map);
      else
        for (let i = 0; i < numbers.length; i += 2) {
          body += paxRecord("GNU.sparse.offset", numbers[i]!);
          body += paxRecord("GNU.sparse.numbytes", numbers[i + 1]!);
        }
    }
    addPax(draft, body, "x");
    draft.notes.push(`${version} ${map} of ${size}, ${count}`);
  },
  gnuFields(draft) {
    const { random, fields } = draft;
    fields.magic = random.one(["ustar  \0", "ustar  \0", "ustar  \0", "ustar\x0000", ""]);
    if (random.below(4) === 0) bends["kind"]!(draft);
    if (random.below(3) === 0) {
      draft.notes.push("longName");
      bends["longName"]!(draft);
    }
    const places = { atime: 345, ctime: 357, offset: 369, longNames: 381, unused: 385 };
    const place = random.one(
      Object.entries({ ...places, map: 386, mapEnd: 478, extended: 482, realSize: 483, end: 495 }),
    );
    const text = random.one([
      "00000001000",
      "00000000000",
      "1",
      "\x80\0\0\0\0\0\0\0\0\0\x02\0",
      "x",
    ]);
    draft.patch = (block) => block.set(bytesOf(text).subarray(0, 512 - place[1]), place[1]);
    draft.notes.push(`${place[0]} ${JSON.stringify(text)} ${JSON.stringify(fields.magic)}`);
  },
  typedMode(draft) {
    const { random, fields } = draft;
    fields.mode = random.one([
      "0100644\0",
      "0040755\0",
      "0120777\0",
      "100644 \0",
      "107755 \0",
      "0107755\0",
      "0006755\0",
      "0777777\0",
      "7777777\0",
      "17777777",
      base256(0o100644n, 8),
      base256(0x1_0000_81a4n, 8),
      `\x81${base256(0o644n, 8).slice(1)}`,
      `\xfe${base256(-1n, 8).slice(1)}`,
    ]);
    if (random.below(3) === 0) bends["kind"]!(draft);
    draft.notes.push(JSON.stringify(fields.mode));
  },
  /** Whether there is a slash at the end of the name in the header, of the one that counts, or of both. */
  slash(draft) {
    const { random, fields } = draft;
    fields.type = random.one(["\0", "\0", "0", "5", "7", "2", "6"]);
    if (fields.type === "2") fields.linkName = "before";
    if (!"07\0".includes(fields.type) || random.one([true, false])) {
      draft.content = undefined;
      fields.size = 0;
    }
    fields.name = random.one(["d/subject", "d/subject/", "subject/", "", "d/subject/."]);
    fields.magic = random.one(["ustar\x0000", "ustar  \0", ""]);
    const by = random.one(["pax", "long", "prefix", "none"]);
    const name = random.one(["d/subject2", "d/subject2/", "d/subject2//", "d/subject2/."]);
    if (by === "pax") addPax(draft, paxRecord("path", name), "x");
    if (by === "long") {
      const long = { name: "././@LongLink", magic: "ustar  \0", type: "L" };
      draft.before.push(member(long, `${name}\0`));
    }
    if (by === "prefix") Object.assign(fields, { prefix: "d", magic: "ustar\x0000" });
    draft.notes.push(JSON.stringify([fields.type, fields.name, fields.magic, by, name]));
  },
  xattrs(draft) {
    const { random } = draft;
    if (random.below(3) === 0) {
      draft.fields.type = "5";
      draft.fields.size = 0;
      draft.content = undefined;
    }
    let body = "";
    for (let count = random.one([1, 1, 2, 3]); count > 0; count--) {
      const key = random.one(["user.a", "user.b", "user.x y", "user.\xc3\xa9", "trusted.t"]);
      const values = ["v", "v".repeat(2000), "a\0b", "\n", "=", "\xff\xfe", " ", "\0", ""];
      const prefix = random.one(["SCHILY.xattr.", "SCHILY.xattr.", "SCHILY.xattr.", "SCHILY.acl."]);
      body += paxRecord(`${prefix}${key}`, random.one(values));
    }
    if (random.below(4) === 0) body += paxRecord("path", "d/subject2");
    if (random.below(4) === 0) body += paxRecord("SCHILY.fflags", "nodump");
    if (random.below(4) === 0) body += paxRecord("hdrcharset", "BINARY");
    if (random.below(8) === 0)
      body += paxRecord("RHT.security.selinux", "system_u:object_r:a_t:s0");
    addPax(draft, body, "x");
  },
  end(draft) {
    const { random } = draft;
    const other = header({ name: "late" });
    const [note, end] = random.one<[string, Uint8Array]>([
      ["none", new Uint8Array(0)],
      ["one block", Buffer.alloc(512)],
      ["half a block", Buffer.alloc(256)],
      ["a block and a half", Buffer.alloc(768)],
      ["ten blocks", Buffer.alloc(5120)],
      ["an odd length", Buffer.alloc(1500)],
      ["one block, an entry", Buffer.concat([Buffer.alloc(512), other, Buffer.alloc(1024)])],
      ["two blocks, an entry", Buffer.concat([Buffer.alloc(1024), other, Buffer.alloc(1024)])],
      ["two blocks, junk", Buffer.concat([Buffer.alloc(1024), Buffer.alloc(512, "junk")])],
      ["one block, junk", Buffer.concat([Buffer.alloc(512), Buffer.alloc(512, "junk")])],
      ["junk", Buffer.alloc(512, "junk")],
      ["a byte", Buffer.from("x")],
      ["one block, a byte", Buffer.concat([Buffer.alloc(512), Buffer.from("x")])],
    ]);
    draft.end = end;
    draft.notes.push(note);
  },
  cut(draft) {
    // The archive ends inside the last entry: see `assemble`.
    const bytes = draft.random.one([1, 100, 505, 506, 507, 511, 512, 600, 1000, 1024]);
    draft.notes.push(`of ${bytes}`);
    draft.end = new Uint8Array(0);
    cuts.set(draft, bytes);
  },
  padding(draft) {
    draft.padding = "junk";
    if (draft.content === undefined) draft.padding = "\0";
  },
  byte(draft) {
    const at = draft.random.below(512);
    const value = draft.random.below(256);
    draft.patch = (block) => void (block[at] = value);
    draft.notes.push(`${at} = ${value}`);
  },
};

const cuts = new WeakMap<Draft, number>();

const numberRecords = ["size", "uid", "gid", "mtime", "atime", "ctime"];
const numberValues = [
  "8",
  "0",
  "-1",
  "8.5",
  "",
  " 8",
  "8 ",
  "08",
  "+8",
  "0x8",
  "1e1",
  "8.",
  ".5",
  "-0",
];
numberValues.push(
  "-1.5",
  "8.123456789123",
  "4294967294",
  "4294967296",
  "99999999999999999999",
  "8\0",
);

function doubtfulPax({ random, content }: Draft): string {
  const records: Record<string, string> = {};
  for (let i = random.one([1, 1, 2, 3]); i > 0; i--) {
    const key = random.one(["path", "linkpath", "size", "uid", "mtime", "uname", "SCHILY.ino"]);
    records[key] = {
      path: random.one([
        "d/subject2",
        "d/subject2/",
        "./d/subject2",
        "",
        "12345",
        "d/a\0b",
        "d/\xff",
      ]),
      linkpath: random.one(["before", "./before", "", "a\0b"]),
      size: random.one([String(content?.length ?? 0), "8", "512", "0"]),
      uid: random.one(["5", "2000000"]),
      mtime: random.one(["5", "5.5", "-5.25"]),
      uname: random.one(["root", "", "\xff"]),
      "SCHILY.ino": "17",
    }[key]!;
  }
  return Object.entries(records)
    .map(([key, value]) => paxRecord(key, value))
    .join("");
}

function addPax(draft: Draft, body: string, type: string): void {
  draft.before.push(member({ name: "PaxHeaders/x", type }, body));
  draft.notes.push(`${type} ${JSON.stringify(body)}`);
}

function doubtfulNumber(random: Random, value: number, width: number): string {
  const form = random.below(10);
  if (form === 0) return random.one(["", " ".repeat(width), "\0".repeat(width), "  \0", " \0 "]);
  if (form === 1) return base256(BigInt(value), width);
  if (form === 2) return base256(random.one([-1n, -5n, 1n << 33n, 1n << 54n]), width);
  const lead = random.one(["", "", "", " ", "  ", "\0", "0", "\t", "\n", "+", "-", "0o", "_"]);
  const tail = random.one(["\0", "\0", " ", " \0", "\0 ", "", "\0x", "x", "8", " 1", "\t", "\n\0"]);
  let digits = value.toString(8);
  if (random.one([true, false])) {
    digits = digits.padStart(width - lead.length - tail.length, random.one(["0", "0", " "]));
  }
  const text = `${lead}${digits}${tail}`.slice(0, width);
  return text.padEnd(random.one([0, width]), random.one([" ", "\0"]));
}

function assemble(draft: Draft): Uint8Array {
  const content = bytesOf(draft.content ?? "");
  const block = header({ size: content.length, ...draft.fields });
  if (draft.patch !== undefined) {
    draft.patch(block);
    fixChecksum(block);
  }
  if (draft.checksum !== undefined) writeChecksum(block, draft.checksum);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512, draft.padding);
  const all = Buffer.concat([
    header({ name: "d/", type: "5", mode: 0o755 }),
    member({ name: "before" }, "before\n"),
    ...draft.before,
    block,
    content,
    padding,
    draft.behind,
    member({ name: "after", mode: 0o600 }, "after\n"),
    draft.end,
  ]);
  return new Uint8Array(all.subarray(0, all.length - (cuts.get(draft) ?? 0)));
}

function writeChecksum(block: Uint8Array, form: string): void {
  if (form === "signed") block[1] = 0xe9;
  fixChecksum(block, 0, form === "signed");
  const digits = Buffer.from(block.subarray(148, 154)).toString("latin1").replace(/^0+/, "");
  const text = {
    lead: `${digits.padStart(6)}\0 `,
    short: `${digits}\0`.padEnd(8, "\0"),
    wide: digits.padStart(8, "0"),
    wrong: "001234\0 ",
    tail: `${digits} \0`.padEnd(8, " "),
    zero: `${digits.padStart(7, "0")}\0`,
  }[form];
  if (text !== undefined) block.set(bytesOf(text), 148);
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Mulberry32: the same numbers from the same seed, everywhere. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  one<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }
}
