// Damages a store and puts it right again, until its input ends; then everything that was exchanged is
// back in its place, though perhaps damaged. Prints how often each attack was made.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { VerityHasher, objectPath, verityDigestOf } from "../../dist/verity/index.js";
import { Turns } from "./turns.mjs";
import { contentOf, files, randomFrom } from "./contents.mjs";

const [store, scratch, seed, number, turnsPath] = process.argv.slice(2);
const turns = new Turns(turnsPath);
const random = randomFrom(`attacker ${seed}`);
const below = (limit) => Math.floor(random() * limit);
mkdirSync(scratch, { recursive: true });

// The attackers have files of their own, so that one does not put back what another has taken away.
const targets = files
  .filter((_, i) => i % 3 === Number(number))
  .map((file) => {
    const content = contentOf(file);
    const digest = verityDigestOf(content);
    const path = join(store, "objects", objectPath(digest));
    return { content, digest, path, leaves: join(store, "verity", objectPath(digest)) };
  });
const any = () => targets[below(targets.length)];

function evilOf({ content }) {
  const evil = Buffer.from(content);
  const at = below(evil.length);
  evil.fill("EVIL", at, Math.min(evil.length, at + 1 + below(10_000)));
  return evil;
}

const leavesOf = (bytes) => {
  const hasher = new VerityHasher("sha256", { keepLeaves: true });
  hasher.update(bytes);
  hasher.digest();
  return hasher.leaves();
};

function remove(path) {
  rmSync(path, { recursive: true, force: true });
}

/** A new file in the place of another, in one step. */
function put(path, bytes) {
  const temporary = join(scratch, "new");
  writeFileSync(temporary, bytes, { mode: 0o444 });
  try {
    renameSync(temporary, path);
  } catch {
    remove(path); // a directory
    renameSync(temporary, path);
  }
}

function withOpen(path, flags, use) {
  const fd = openSync(path, flags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Puts something into an object's place, and after a moment the object again. */
const inPlace = (make) => async (target) => {
  remove(target.path);
  make(target.path, target);
  await sleep(below(30));
};

/** Exchanges a directory of the store for another one, and back. */
async function exchange(path, fill) {
  const [aside, evil] = [join(scratch, "aside"), join(scratch, "evil")];
  remove(evil);
  mkdirSync(evil);
  fill(evil);
  renameSync(path, aside);
  try {
    renameSync(evil, path);
    await sleep(below(50));
    remove(path);
  } finally {
    renameSync(aside, path);
  }
}

const attacks = {
  "byte flipped": ({ path, content }) =>
    withOpen(path, "r+", (fd) => {
      const at = below(content.length);
      writeSync(fd, Buffer.from([content[at] ^ (1 << below(8))]), 0, 1, at);
    }),
  "block of zeros": ({ path, content }) =>
    withOpen(path, "r+", (fd) => {
      const at = below(content.length) & ~4095;
      writeSync(fd, Buffer.alloc(Math.min(4096, content.length - at)), 0, undefined, at);
    }),
  cut: ({ path, content }) => truncateSync(path, below(content.length)),
  "cut and grown with a hole": ({ path, content }) =>
    withOpen(path, "r+", (fd) => {
      ftruncateSync(fd, below(content.length));
      ftruncateSync(fd, content.length);
    }),
  "bytes added": ({ path, content }) =>
    withOpen(path, "r+", (fd) => writeSync(fd, "more", content.length)),
  "another file of the same size": (target) => put(target.path, evilOf(target)),
  "another object": (target) => put(target.path, any().content),
  "a link to other content": inPlace((path, target) => {
    writeFileSync(join(scratch, "linked"), evilOf(target));
    symlinkSync(join(scratch, "linked"), path);
  }),
  "a fifo": inPlace((path) => spawnSync("mkfifo", [path])),
  "a directory": inPlace((path) => mkdirSync(path)),
  nothing: inPlace(() => undefined),
  "a descriptor kept from before": async (target) => {
    put(target.path, target.content);
    const fd = openSync(target.path, "r+");
    try {
      await sleep(below(60)); // it is read, and found good, meanwhile
      const evil = evilOf(target);
      for (let i = 0; i < 4; i++)
        writeSync(fd, i % 2 === 0 ? evil : target.content, 0, undefined, 0);
    } finally {
      closeSync(fd);
    }
  },
  "another name of the file": async (target) => {
    const other = join(scratch, "other");
    remove(other);
    put(target.path, target.content);
    linkSync(target.path, other);
    await sleep(below(30));
    chmodSync(other, 0o644);
    withOpen(other, "r+", (fd) => writeSync(fd, evilOf(target), 0, undefined, 0));
  },
  "flipped and back at once": async (target) => {
    put(target.path, target.content);
    chmodSync(target.path, 0o644);
    await withOpenAsync(target.path, async (fd) => {
      for (let i = 0; i < 40; i++) {
        const at = below(target.content.length);
        writeSync(fd, Buffer.from([target.content[at] ^ 0x55]), 0, 1, at);
        if (i % 8 === 0) await sleep(0);
        writeSync(fd, target.content, at, 1, at);
      }
    });
  },
  "a mapping kept from before": async (target) => {
    put(target.path, target.content);
    chmodSync(target.path, 0o644);
    const code =
      "import mmap,sys,time\nf=open(sys.argv[1],'r+b')\nm=mmap.mmap(f.fileno(),0)\nf.close()\n" +
      "time.sleep(0.05)\nfor i in range(0,len(m),4096):\n b=m[i]\n m[i]=b^1\n m[i]=b\n m[i]=b^2\n";
    spawnSync("python3", ["-c", code, target.path]);
  },
  "leaf hashes of something else": (target) => {
    mkdirSync(dirname(target.leaves), { recursive: true });
    put(target.leaves, leavesOf(evilOf(target)));
  },
  "content with leaf hashes that fit it": (target) => {
    const evil = evilOf(target);
    mkdirSync(dirname(target.leaves), { recursive: true });
    put(target.leaves, leavesOf(evil));
    put(target.path, evil);
  },
  "leaf hashes cut, or none": (target) => {
    if (below(2) === 0) remove(target.leaves);
    else if (existsSync(target.leaves)) truncateSync(target.leaves, below(64));
  },
  "a fan-out directory exchanged": (target) =>
    exchange(dirname(target.path), (evil) =>
      writeFileSync(join(evil, target.digest.slice(2)), evilOf(target)),
    ),
  "the store's papers": async () => {
    const bundles = join(store, "bundles");
    for (const id of readdirSync(bundles)) {
      for (const name of readdirSync(join(bundles, id))) {
        const path = join(bundles, id, name);
        const good = readFileSync(path);
        writeFileSync(path, "{}");
        await sleep(below(10));
        writeFileSync(path, good);
      }
    }
  },
};
// Only one of them exchanges everything.
if (number === "0") {
  attacks["all objects exchanged"] = () =>
    exchange(join(store, "objects"), (evil) => {
      const target = any();
      const path = join(evil, objectPath(target.digest));
      mkdirSync(dirname(path));
      writeFileSync(path, evilOf(target));
    });
}

async function withOpenAsync(path, use) {
  const fd = openSync(path, "r+");
  try {
    await use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Those that write to a file that may be open. */
const writing = new Set([
  "byte flipped",
  "block of zeros",
  "cut",
  "cut and grown with a hole",
  "bytes added",
  "a descriptor kept from before",
  "another name of the file",
  "flipped and back at once",
  "a mapping kept from before",
]);

const count = {};
const names = Object.keys(attacks);
let isOver = false;
process.stdin.on("end", () => (isOver = true)).resume();
while (!isOver) {
  const name = names[below(names.length)];
  const target = any();
  try {
    if (writing.has(name)) turns.write();
    await attacks[name](target);
    count[name] = (count[name] ?? 0) + 1;
  } catch (error) {
    // Another attacker has the directory out of its place; or the kernel protects what is mapped.
    if (error.code === undefined) throw error;
  } finally {
    turns.end();
  }
  await sleep(below(15));
  try {
    if (below(4) > 0) put(target.path, target.content);
  } catch {
    // the same
  }
}
remove(scratch);
console.log(JSON.stringify(count));
