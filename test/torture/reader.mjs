// Reads a mount in every way that programs do and compares what comes, until its input ends. Prints
// counts: { reads, errors, wrong, wrongReads }.
import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, readvSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Turns } from "./turns.mjs";
import { contentOf, files, randomFrom } from "./contents.mjs";

const [mount, copy, seed, turnsPath] = process.argv.slice(2);
const turns = new Turns(turnsPath);
const random = randomFrom(`reader ${seed}`);
const below = (limit) => Math.floor(random() * limit);

function withOpen(path, flags, use) {
  const fd = openSync(path, flags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function must(program, ...args) {
  const run = spawnSync(program, args, { maxBuffer: 1 << 28, encoding: "buffer" });
  if (run.status !== 0) throw new Error(program);
  return run.stdout;
}

/** A range of a file: where it starts, and what was read there. */
function part(path, size, flags = "r", unit = 1) {
  const start = Math.floor(below(size) / unit) * unit;
  const bytes = Buffer.alloc(Math.max(unit, Math.ceil(below(200_000) / unit) * unit));
  const got = withOpen(path, flags, (fd) => readSync(fd, bytes, 0, bytes.length, start));
  return [start, bytes.subarray(0, got)];
}

/** Each gives the place and the bytes of one read, and whether more should have come. */
const ways = {
  whole: (path) => [0, readFileSync(path), true],
  part: (path, size) => part(path, size),
  direct: (path, size) => part(path, size, constants.O_RDONLY | constants.O_DIRECT, 4096),
  vector: (path, size) => {
    const start = below(size);
    const bytes = [Buffer.alloc(100), Buffer.alloc(5000), Buffer.alloc(3)];
    const got = withOpen(path, "r", (fd) => readvSync(fd, bytes, start));
    return [start, Buffer.concat(bytes).subarray(0, got)];
  },
  copy: (path) => {
    // Not copyFile of Node: where a read fails midway, libuv goes on from the start of the file.
    must("cp", path, copy);
    return [0, readFileSync(copy), true];
  },
  program: (path) => {
    return [0, must("cat", path), true];
  },
  twice: (path, size) =>
    withOpen(path, "r", (fd) => {
      const start = below(size);
      const bytes = Buffer.alloc(Math.min(8192, size - start));
      readSync(fd, bytes, 0, bytes.length, start);
      const got = readSync(fd, bytes, 0, bytes.length, start);
      return [start, bytes.subarray(0, got)];
    }),
};
const names = Object.keys(ways);

const count = { reads: 0, errors: 0, wrong: 0, wrongReads: [] };

function readOnce() {
  const file = files[below(files.length)];
  const name = names[below(100) < 90 ? below(4) : below(names.length)];
  let start, bytes, isWhole;
  try {
    turns.read();
    [start, bytes, isWhole = false] = ways[name](join(mount, file.name), file.size);
  } catch {
    count.errors += 1;
    return;
  } finally {
    turns.end();
  }
  count.reads += 1;
  const expected = contentOf(file).subarray(start, isWhole ? file.size : start + bytes.length);
  if (expected.equals(bytes)) return;
  count.wrong += 1;
  let first = 0;
  while (first < bytes.length && bytes[first] === expected[first]) first++;
  if (count.wrongReads.length < 10) {
    count.wrongReads.push(
      `${file.name} ${name} from ${start}: ${bytes.length} bytes, wrong from ${start + first} on`,
    );
  }
}

let isOver = false;
process.stdin.on("end", () => (isOver = true)).resume();
while (!isOver) {
  readOnce();
  await turn();
}
rmSync(copy, { force: true });
console.log(JSON.stringify(count));
