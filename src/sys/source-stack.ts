/**
 * Stack traces that lead to `src/`, by the source maps beside the bundles. They are read here, when
 * there is a trace to show: Node's own way would cost something at every start.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Replaces each place in compiled code that `trace` names by its place below the package's root. */
export function sourceStack(trace: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  return trace.replace(
    /(?:file:\/\/)?(\/[^()\n]*?\.[cm]?js):(\d+):(\d+)/g,
    (place, path: string, line: string, column: string) => {
      if (!maps.has(path)) maps.set(path, mapOf(path));
      const origin = maps.get(path)?.findEntry(Number(line) - 1, Number(column) - 1);
      if (origin === undefined || !("originalSource" in origin)) return place;
      const { originalSource, originalLine } = origin;
      return `${relative(root, resolve(dirname(path), originalSource))}:${originalLine + 1}`;
    },
  );
}

/** Undefined for code without a map that can be read. */
function mapOf(path: string): SourceMap | undefined {
  try {
    const text = readFileSync(`${path}.map`, "utf8");
    return new SourceMap(JSON.parse(text) as ConstructorParameters<typeof SourceMap>[0]);
  } catch {
    return undefined;
  }
}
