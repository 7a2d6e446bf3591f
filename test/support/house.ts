/**
 * The structure of `src/` as it is, and as ARCHITECTURE.md says that it shall be.
 *
 * @module
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const src = join(root, "src");

/** Rooms that import no Node module. */
export const pure: readonly string[] = ["bytes", "verity", "tar", "tree", "trust", "erofs", "seek"];

/** The rows of the block in ARCHITECTURE.md, "The tree", top to bottom: the names of each one's rooms. */
export const rows: readonly (readonly string[])[] = readRows();

/** Every file of `src/`. */
export const files: readonly string[] = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .sort();

function readRows(): string[][] {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const block = /^## The tree\n[^]*?^```\n([^]*?)^```/m.exec(text)?.[1] ?? "";
  const lines = block.split("\n").filter((line) => /^\S/.test(line)); // others go on with a row's text
  return lines.map((line) => line.split(/ {2,}/)[0]!.split(" "));
}

/** The folder of a file; a file of `src/` itself is a room of its own. */
export function roomOf(file: string): string {
  return dirname(file) === "." ? file : dirname(file);
}

/** What a file names to import, or to start as a thread or process. */
export function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s(?:[^;"]*?from\s+)?"([^"]+)"|(?:import\(|workerUrl\(import\.meta\.url, )"([^"]+)"\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2]!);
}

/** The lines of a file of `src/`. */
export function linesOf(file: string): string[] {
  return readFileSync(join(src, file), "utf8").split("\n");
}

/** The names that a file imports from one module, types included. */
export function namesImportedBy(file: string, module: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  const lists = text.matchAll(/import (?:type )?\{([^}]*)\} from "([^"]+)"/g);
  return [...lists]
    .filter((match) => match[2] === module)
    .flatMap((match) => match[1]!.split(","))
    .map(
      (item) =>
        item
          .trim()
          .replace(/^type /, "")
          .split(" as ")[0]!,
    )
    .filter((name) => name !== "");
}

/** The files of the project that a file imports, types included. */
export function filesImportedBy(file: string): string[] {
  return importsOf(file)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => relative(src, resolve(src, dirname(file), specifier)));
}

/** The rooms that each room imports from. */
export function roomImports(): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>(rows.flat().map((room) => [room, new Set()]));
  for (const file of files) {
    for (const target of filesImportedBy(file)) {
      if (roomOf(target) !== roomOf(file)) all.get(roomOf(file))?.add(roomOf(target));
    }
  }
  return all;
}

/** The files that a document of the project names between backquotes. */
export function filesNamedIn(document: string): string[] {
  const text = readFileSync(join(root, document), "utf8");
  return [...text.matchAll(/`([\w/.-]+\/[\w.-]+\.(?:ts|mjs|sh|json|md))`/g)].map(
    (match) => match[1]!,
  );
}

/** Whether a path of the project, or of its `src/`, is there. */
export function isThere(path: string): boolean {
  return [root, src].some((folder) => existsSync(join(folder, path)));
}
