/** The order of the tree: imports point only to the same folder or to an earlier row. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

// ARCHITECTURE.md, "The tree": one row per level, top to bottom.
const rows = [
  ["errors.ts", "limits.ts"],
  ["bytes"],
  ["verity", "tar"],
  ["tree", "trust"],
  ["erofs", "seek"],
  ["sys"],
  ["fs", "store", "http"],
  ["oci"],
  ["mirror"],
  ["image"],
  ["fuse", "tuf"],
  ["mount"],
  ["cli", "index.ts"],
];
const pure = ["bytes", "verity", "tar", "tree", "trust", "erofs", "seek"];
const rowOf = new Map(rows.flatMap((names, row) => names.map((name) => [name, row] as const)));

function sources(): string[] {
  return readdirSync(src, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|import\("([^"]+)"\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2]!);
}

const topOf = (file: string) => file.split("/")[0]!;

test("every source file stands in a folder of the tree", () => {
  expect(sources().filter((file) => !rowOf.has(topOf(file)))).toEqual([]);
});

test("imports point only to the same folder or an earlier row", () => {
  const wrong: string[] = [];
  for (const file of sources()) {
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith(".")) continue;
      const target = relative(src, resolve(src, dirname(file), specifier));
      const from = topOf(file);
      const to = topOf(target);
      const down = (rowOf.get(to) ?? Infinity) < rowOf.get(from)!;
      if (from !== to && !down) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("the pure folders import no Node module", () => {
  const wrong = sources()
    .filter((file) => pure.includes(topOf(file)))
    .flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("node:"))
        .map((specifier) => `${file} imports ${specifier}`),
    );
  expect(wrong).toEqual([]);
});
