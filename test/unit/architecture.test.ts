/** The order of the house: rooms import only from rooms on an earlier row, and no files go in circles. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL("../../src", import.meta.url));

/** ARCHITECTURE.md, "The tree": every folder that holds files, one row per level, top to bottom. */
const rows = [
  ["errors.ts", "limits.ts", "optional.ts"],
  ["error-transfer.ts"],
  ["bytes"],
  ["verity", "tar"],
  ["tree", "trust"],
  ["erofs", "seek"],
  ["sys"],
  ["fs"],
  ["store", "http"],
  ["oci", "store/fsck", "store/gc"],
  ["oci/codec", "oci/registry"],
  ["oci/layer", "oci/source"],
  ["mirror", "mirror/serve"],
  ["keys", "verify"],
  ["policy", "sign", "composefs", "mkcomposefs"],
  ["build", "fetch", "archive", "distribution"],
  ["inspect"],
  ["fuse", "tuf"],
  ["fuse/libfuse", "fuse/prefetch"],
  ["mount/table", "mount/kernel"],
  ["mount/guard"],
  ["mount/probe", "mount/report"],
  ["mount/server"],
  ["mount"],
  ["cli/terminal", "index.ts"],
  ["cli/options"],
  ["cli/commands"],
  ["cli"],
];
const pure = ["bytes", "verity", "tar", "tree", "trust", "erofs", "seek"];

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((f) =>
  f.endsWith(".ts"),
);
/** The folder of a file; a file of `src/` itself is a room of its own. */
const roomOf = (file: string) => (dirname(file) === "." ? file : dirname(file));
const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** What a file names to import, or to start as a thread or process. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s(?:[^;"]*?from\s+)?"([^"]+)"|(?:import\(|workerUrl\(import\.meta\.url, )"([^"]+)"\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2]!);
}

/** The files of the project that a file imports, types included. */
function filesImportedBy(file: string): string[] {
  return imports
    .get(file)!
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => relative(src, resolve(src, dirname(file), specifier)));
}

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
      imports
        .get(file)!
        .filter((specifier) => specifier.startsWith("node:"))
        .map((specifier) => `${file} imports ${specifier}`),
    );
  expect(wrong).toEqual([]);
});
