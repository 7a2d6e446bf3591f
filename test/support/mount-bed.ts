/**
 * A store with signed images, and mounts of them by the real command.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { writeImage } from "../../src/erofs/writer.ts";
import { signImage } from "../../src/sign/sign-image.ts";
import { Store } from "../../src/store/store.ts";
import { Transaction } from "../../src/store/transaction.ts";
import { type Directory, Inode, S_IFREG, newDirectory } from "../../src/tree/inode.ts";
import { PrivateKey } from "../../src/trust/private-key.ts";
import { objectPath, verityDigestOf } from "../../src/verity/index.ts";
import { bin, runProgram } from "./run.ts";
import { scratchFolder } from "./scratch.ts";

/** Why nothing can be mounted here; undefined when it can. */
export function noMount(): string | undefined {
  if (process.geteuid?.() !== 0) return "not root";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return "/dev/fuse cannot be opened";
  }
}

/** Why libfuse cannot be used here. */
export function noLibfuse(): string | undefined {
  const load = spawnSync(process.execPath, ["-e", 'require("fuse-native")'], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  return load.status === 0 ? noMount() : "libfuse.so.2 or fuse-native is missing";
}

/**
 * Makes a bed for all tests of a file, and closes it after them. Where there is a `reason` against
 * mounts they are skipped with it.
 */
export function useMountBed(
  reason: string | undefined,
  fill: (bed: MountBed) => void | Promise<void>,
): void {
  let bed: MountBed | undefined;
  beforeEach((context) => context.skip(reason !== undefined, reason));
  beforeAll(async () => {
    if (reason !== undefined) return;
    bed = new MountBed();
    await fill(bed);
  });
  afterAll(() => bed?.close());
}

export class MountBed {
  readonly path = scratchFolder();
  readonly store = Store.create(join(this.path, "store"));
  readonly key = new PrivateKey(new Uint8Array(32).fill(7));
  readonly keyFile = join(this.path, "key.pub");
  #count = 0;

  constructor() {
    chmodSync(this.path, 0o755); // for tests with other users
    writeFileSync(this.keyFile, this.key.publicKey.toPem());
  }

  /** Signs an image under a name and puts both into the store. */
  add(name: string, image: Uint8Array, key = this.key): string {
    const now = Date.now();
    const { bundle, keyId, statement } = signImage(image, {
      name,
      key,
      version: 1,
      created: new Date(Math.floor(now / 1000 - 60) * 1000),
      expires: new Date(Math.floor(now / 1000 + 86_400) * 1000),
    });
    const transaction = Transaction.begin(this.store, { durability: "none" });
    try {
      transaction.put(statement.verityDigest, image);
      const bundles = [{ keyId, bytes: bundle, name }];
      transaction.publish({ image: statement.verityDigest, name, bundles });
    } finally {
      transaction.close();
    }
    return statement.verityDigest;
  }

  /** The same for a tree; its objects are in the store already. */
  addTree(name: string, root: Directory): string {
    return this.add(name, writeImage(root));
  }

  /** A file whose content is an object of this store. */
  file(content: Uint8Array, mode = 0o644): Inode {
    const digest = verityDigestOf(content, "sha256");
    const inode = new Inode(S_IFREG | mode);
    inode.size = BigInt(content.length);
    if (content.length <= 64) {
      inode.content = content;
      return inode;
    }
    inode.digest = digest;
    inode.payload = ascii(objectPath(digest));
    writeFileSync(this.store.objects.path(digest), content);
    return inode;
  }

  /** Where a file's object lies. */
  objectOf(inode: Inode): string {
    return this.store.objects.path(inode.digest!);
  }

  /** A new, empty directory. */
  directory(): string {
    const path = join(this.path, `mnt${(this.#count += 1)}`);
    mkdirSync(path);
    return path;
  }

  args(name: string, directory: string, more: readonly string[] = []): string[] {
    const store = ["--store", this.store.path, "--key", this.keyFile];
    // The tests are about FUSE unless they say otherwise.
    const mode = more.some((each) => each.startsWith("--mode")) ? [] : ["--mode=fuse"];
    return [bin, "mount", name, directory, ...store, ...mode, "--log", this.log, ...more];
  }

  get log(): string {
    return join(this.path, "log");
  }

  readLog(): string[] {
    try {
      return readFileSync(this.log, "utf8").split("\n").filter(Boolean);
    } catch {
      return [];
    }
  }

  clearLog(): void {
    rmSync(this.log, { force: true });
  }

  /** Mounts in the background; the test fails when that fails. */
  mount(name: string, more: readonly string[] = [], directory = this.directory()): string {
    runProgram(process.execPath, this.args(name, directory, more));
    return directory;
  }

  /** Mounts in the foreground. */
  async hold(name: string, directory = this.directory(), more: readonly string[] = []) {
    const child = spawn(process.execPath, this.args(name, directory, ["-f", ...more]), {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      let text = "";
      child.stderr.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes("mounted ")) resolve();
      });
      child.once("exit", () => reject(new Error(`mount -f ended: ${text}`)));
    });
    return { child, directory };
  }

  unmount(directory: string, more: readonly string[] = []): void {
    runProgram(process.execPath, [bin, "umount", directory, ...more]);
  }

  /** Ends all mounts. */
  close(): void {
    const targets = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((target) => target.startsWith(`${this.path}/`));
    for (const target of targets.toReversed()) spawnSync("umount", ["-f", "-l", target]);
  }
}

/** Content without a pattern, the same for the same seed. */
export function noise(size: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let at = 0; at < words.length; at++)
    words[at] = Math.imul(at ^ seed, 2654435761) ^ (at >> 3);
  return Buffer.from(words.buffer, 0, size);
}

export function isMounted(directory: string): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${directory} `);
}

export { newDirectory };
