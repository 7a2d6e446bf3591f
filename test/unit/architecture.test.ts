/** The order of the house: rooms import only from rooms on an earlier row, and no files go in circles. */
import { expect, test } from "vitest";
import { drawHouse, drawRead } from "../support/figures.ts";
import {
  files,
  filesImportedBy,
  filesNamedIn,
  importsOf,
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
