/** The order of the house: rooms import only from rooms on an earlier row, and no files go in circles. */
import { expect, test } from "vitest";
import { drawHouse, drawRead } from "../support/figures.ts";
import {
  files,
  filesImportedBy,
  filesNamedIn,
  importsOf,
  linesOf,
  namesImportedBy,
  isThere,
  pure,
  roomOf,
  rows,
} from "../support/house.ts";

test("every folder of the source stands in one row", () => {
  const rooms = [...new Set(files.map(roomOf))].sort();
  expect(rows.flat().sort()).toEqual(rooms);
});

test("imports point only to the same folder or to an earlier row", () => {
  const rowOf = new Map(rows.flatMap((names, row) => names.map((name) => [name, row] as const)));
  const wrong: string[] = [];
  for (const file of files) {
    for (const target of filesImportedBy(file)) {
      const [from, to] = [roomOf(file), roomOf(target)];
      const isEarlier = (rowOf.get(to) ?? Infinity) < (rowOf.get(from) ?? -1);
      if (from !== to && !isEarlier) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no files import each other in a circle, not even types", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start !== -1) circles.push([...way.slice(start), file].join(" > "));
    if (start !== -1 || done.has(file)) return;
    for (const target of filesImportedBy(file)) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test("the pure folders import no Node module", () => {
  const wrong = files
    .filter((file) => pure.includes(roomOf(file)))
    .flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("node:"))
        .map((specifier) => `${file} imports ${specifier}`),
    );
  expect(wrong).toEqual([]);
});

test("the figures show the house and a read as they are (drawn anew by vitest -u)", async () => {
  await expect(drawHouse()).toMatchFileSnapshot("../../docs/figures/house.svg");
  await expect(drawRead()).toMatchFileSnapshot("../../docs/figures/read.svg");
});

test("ARCHITECTURE.md and CONTRIBUTING.md name files that are there", () => {
  const missing = ["ARCHITECTURE.md", "CONTRIBUTING.md"].flatMap((document) =>
    filesNamedIn(document).filter((path) => !isThere(path)),
  );
  expect(missing).toEqual([]);
});

/** What needs no path: these work on descriptors, or are types and numbers. */
const onDescriptors = new Set([
  "Stats",
  "closeSync",
  "constants",
  "createReadStream", // by its option `fd`
  "fchmodSync",
  "fchownSync",
  "fstatSync",
  "fsyncSync",
  "ftruncateSync",
  "read",
  "readSync",
]);
/** Others that take a path, each inside of `at` or `inside` of a held directory. */
const insideHeld: Readonly<Record<string, readonly string[]>> = {
  "store/boot-id.ts": ["readFileSync"], // of the kernel's
  "store/presence.ts": ["opendirSync"],
  "store/space.ts": ["statfsSync"],
  "store/staged-objects.ts": ["copyFileSync"],
};

test("in a store every path is looked up by one module", () => {
  const inStore = files.filter((file) => /^store\b/.test(roomOf(file)));
  const wrong = inStore.flatMap((file) =>
    namesImportedBy(file, "node:fs")
      .filter((name) => !onDescriptors.has(name) && !insideHeld[file]?.includes(name))
      .map((name) => `${file} uses ${name}`),
  );
  expect(inStore.length).toBeGreaterThan(30);
  expect(wrong).toEqual([]);
});

test("no other room makes paths into a store", () => {
  const wrong = files
    .filter((file) => !/^store\b/.test(roomOf(file)))
    .flatMap((file) =>
      linesOf(file)
        .filter((line) =>
          /(?:store|first|stores\[0\])!?\.path\}\/|join\([^)]*store\.path/.test(line),
        )
        .map((line) => `${file}: ${line.trim()}`),
    );
  expect(wrong).toEqual([]);
});
