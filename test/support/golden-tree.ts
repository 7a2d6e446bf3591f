/**
 * The directory tree whose images test/vectors/composefs records: every file type, owners, times,
 * attributes, hard links and odd names. It needs root and a file system with trusted attributes.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { hash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type ByteString, fromText, toByteString } from "../../src/bytes/bytestring.ts";
import { setXattr } from "../../src/sys/xattr.ts";

/** `count` bytes of sha256("SEED:0"), sha256("SEED:1"), ... */
function bytesOf(count: number, seed: number): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i * 32 < count; i++) parts.push(hash("sha256", `${seed}:${i}`, "buffer"));
  return Buffer.concat(parts).subarray(0, count);
}

/** Makes the tree in the new directory `root`. */
export async function makeGoldenTree(root: string): Promise<void> {
  const umask = process.umask(0);
  try {
    mkdirSync(root, 0o755);
    await new TreeMaker(root).make();
  } finally {
    process.umask(umask);
  }
}

const DEFAULT_TIME = "1700000000";

class TreeMaker {
  readonly #root: string;
  /** Modification times, set when all else is done. */
  readonly #times = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  async make(): Promise<void> {
    for (const name of ["bin", "etc", "usr", "usr/lib", "empty"]) this.#directory(name);
    this.#directory("sticky", 0o1777);
    this.#directory("dev");
    this.#directory("data", 0o700, "1600000000.123456789");
    for (const name of ["many", "opq", "wh"]) this.#directory(name);
    this.#files();
    this.#links();
    await this.#specials();
    this.#oddNames();
    this.#owners();
    this.#attributes();
    for (const [path, time] of this.#times) touch(this.#at(path), time);
    touch(Buffer.from(this.#root), "1700000123.000000456");
  }

  #files(): void {
    this.#file("bin/tool", bytesOf(100_000, 1), 0o755, "1690000000.999999999");
    this.#file("bin/suid", bytesOf(5000, 2), 0o4755);
    this.#file("bin/script", Buffer.from("#!/bin/sh\necho hi\n"), 0o755);
    for (const size of [0, 1, 63, 64, 65, 66, 4095, 4096, 4097, 65536]) {
      this.#file(`data/s${size}`, bytesOf(size, size));
    }
    this.#file("data/sparse", Buffer.alloc(0), 0o600);
    truncateSync(this.#at("data/sparse"), 100 << 20);
    this.#file("data/dup1", bytesOf(5000, 77));
    this.#file("data/dup2", bytesOf(5000, 77));
    for (let i = 0; i < 300; i++) {
      this.#file(`many/file-${String(i).padStart(3, "0")}`, bytesOf(i, i + 1000));
    }
  }

  #links(): void {
    this.#file("etc/hard1", bytesOf(300, 3));
    linkSync(this.#at("etc/hard1"), this.#at("etc/hard2"));
    linkSync(this.#at("etc/hard1"), this.#at("bin/hard3"));
    this.#file("etc/hs1", Buffer.from("small hard"));
    linkSync(this.#at("etc/hs1"), this.#at("etc/hs2"));
    this.#symlink("hard1", "etc/link", "1700000001.000000005");
    this.#symlink(`/${"x".repeat(4000)}`, "etc/longlink", DEFAULT_TIME);
    this.#symlink("dangling target", "etc/dang", DEFAULT_TIME);
  }

  async #specials(): Promise<void> {
    const nodes: [path: string, mode: string, ...node: string[]][] = [
      ["dev/fifo", "600", "p"],
      ["dev/null", "666", "c", "1", "3"],
      ["dev/sda", "660", "b", "8", "0"],
      ["dev/nvme", "660", "b", "259", "300"],
      ["wh/gone", "600", "c", "0", "0"],
    ];
    for (const [path, mode, type, ...numbers] of nodes) {
      execFileSync("mknod", ["-m", mode, this.#at(path).toString(), type!, ...numbers]);
      this.#times.set(path, DEFAULT_TIME);
    }
    await leaveSocket(this.#at("dev/sock").toString());
    chmodSync(this.#at("dev/sock"), 0o755);
    this.#times.set("dev/sock", DEFAULT_TIME);
    this.#file("wh/kept", Buffer.from("k"));
  }

  #oddNames(): void {
    const names = ["sp ace", "new\nline", "back\\slash", "\xff\xfe bad utf8", "eq=ual", "-"];
    for (const name of [...names, "\xc3\xa9", "00", "7f"]) {
      this.#file(name, Buffer.from(`n:${name}`, "latin1"));
    }
  }

  #owners(): void {
    chownSync(this.#at("bin/suid"), 0, 5);
    chownSync(this.#at("data"), 1000, 1000);
    chownSync(this.#at("data/s64"), 70000, 80000);
    lchownSync(this.#at("etc/link"), 7, 8);
    chownSync(this.#at("sticky"), 65535, 65536);
    chmodSync(this.#at("bin/suid"), 0o4755); // chown takes setuid away
  }

  #attributes(): void {
    const set = (path: string, key: string, value: string | Uint8Array) => {
      const bytes = typeof value === "string" ? Buffer.from(value) : value;
      setXattr(toByteString(this.#at(path)), fromText(key), toByteString(bytes));
    };
    const acl =
      "0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff";
    set("bin/tool", "user.comment", "hello world");
    set("bin/script", "user.comment", "hello world");
    set(
      "data/s65",
      "user.bin",
      Uint8Array.from({ length: 200 }, (_, i) => i),
    );
    set("data/s0", "user.empty", "");
    set("etc", "trusted.t", "tv");
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    set("bin/suid", "security.capability", capability);
    set("data/s4096", "system.posix_acl_access", Buffer.from(acl, "hex"));
    set("opq", "trusted.overlay.opaque", "y");
    set("etc/hard1", "user.h", "hl");
    set("etc/link", "trusted.onlink", "L");
  }

  #at(path: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.#root}/`), Buffer.from(path, "latin1")]);
  }

  #directory(path: string, mode = 0o755, time = DEFAULT_TIME): void {
    mkdirSync(this.#at(path));
    chmodSync(this.#at(path), mode);
    this.#times.set(path, time);
  }

  #file(path: string, content: Uint8Array, mode = 0o644, time = DEFAULT_TIME): void {
    writeFileSync(this.#at(path), content);
    chmodSync(this.#at(path), mode);
    this.#times.set(path, time);
  }

  #symlink(target: string, path: string, time: string): void {
    symlinkSync(target, this.#at(path));
    this.#times.set(path, time);
  }
}

/** Nanoseconds exactly, which Node's own functions cannot do. */
function touch(path: Buffer, time: string): void {
  // Arguments are UTF-8: odd names go through the shell's printf.
  const octal = [...path].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  execFileSync("sh", [
    "-c",
    `touch -h -d "@$1" -- "$(printf '%b' "$2")"`,
    "sh",
    time,
    octal.replaceAll("\\", "\\0"),
  ]);
}

/** A socket file without a listener: Node removes its own unless it is killed. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require("net").createServer().listen(${JSON.stringify(path)})`;
  const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
  while (!existsSync(path)) await sleep(20);
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
}

/** Why this machine cannot make the tree; undefined when it can. */
export function goldenTreeObstacle(path: ByteString): string | undefined {
  if (process.getuid?.() !== 0) return "it needs root";
  try {
    setXattr(path, fromText("trusted.probe"), fromText("1"));
  } catch (error) {
    return `no trusted attributes in the temporary directory: ${(error as Error).message}`;
  }
  return undefined;
}
