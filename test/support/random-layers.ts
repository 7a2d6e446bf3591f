/**
 * Random sets of layers that get into each other's way: few names, used for everything.
 *
 * @module
 */
import * as fc from "fast-check";
import { FormatError } from "../../src/errors.ts";
import { device, directory, empty, file, hardlink, layerOf, symlink } from "./layers.ts";
import { mergeLayers } from "../../src/tree/merge.ts";
import { header } from "./tar.ts";

/** One entry of a layer. */
export interface LayerOperation {
  readonly kind: "directory" | "file" | "symlink" | "hardlink" | "fifo" | "device" | "whiteout";
  readonly path: string;
  /** Of links. */
  readonly target: string;
  /** Tells entries apart: mode, owner, time and content come from it. */
  readonly number: number;
  /** Of whiteouts: the type of the entry, which says nothing. */
  readonly shape?: keyof typeof shapes;
  /** Stays in the layer even when the profile refuses it. */
  readonly stays: boolean;
}

const shapes = {
  empty,
  content: (own: string) => file(own, "of no meaning"),
  directory: (own: string) => directory(`${own}/`),
  symlink: (own: string) => symlink(own, "a"),
  hardlink: (own: string) => hardlink(own, "no/where"),
  fifo: (own: string) => header({ name: own, type: "6" }),
  device: (own: string) => device(own, 0, 0),
} as const;

const name = fc.constantFrom("a", "b", "c", "l", "m");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
/** The ways in which tools write the same path. */
const written = fc
  .tuple(fc.constantFrom("", "", "", "./", "/", ".//"), path)
  .map(([start, rest]) => start + rest);

const operation: fc.Arbitrary<LayerOperation> = fc
  .record({
    kind: fc.constantFrom(
      ...(["directory", "directory", "file", "file", "file", "symlink", "symlink"] as const),
      ...(["hardlink", "hardlink", "fifo", "device", "whiteout", "whiteout"] as const),
    ),
    path: written,
    symlinkTarget: fc
      .tuple(fc.constantFrom("", "", "/", "../", "../../", "./", "no/../", "no/"), path)
      .map(([start, rest]) => start + rest),
    linkTarget: fc.oneof({ weight: 6, arbitrary: written }, fc.constant(".wh..wh.plnk/7")),
    name: fc.oneof(
      { weight: 20, arbitrary: name },
      { weight: 4, arbitrary: fc.constant(".wh..opq") },
      fc.constantFrom("", ".", ".."),
    ),
    shape: fc.oneof(
      { weight: 3, arbitrary: fc.constant("empty" as const) },
      fc.constantFrom(...(Object.keys(shapes) as (keyof typeof shapes)[])),
    ),
    root: fc.nat(30).map((number) => number === 0),
    number: fc.nat(999),
    stays: fc.nat(15).map((number) => number === 0),
    leftover: fc.nat(20).map((number) => number === 0),
  })
  .map(({ kind, path: own, symlinkTarget, linkTarget, leftover, ...fields }) => {
    const { number, stays, shape } = fields;
    const target = kind === "symlink" ? symlinkTarget : kind === "hardlink" ? linkTarget : "";
    if (leftover) return { kind: "file", path: ".wh..wh.plnk/7", target: "", number, stays };
    if (fields.root) return { kind: "directory", path: ".", target: "", number, stays };
    if (kind !== "whiteout") return { kind, path: own, target, number, stays };
    const parent = own.slice(0, own.lastIndexOf("/") + 1);
    return { kind, path: `${parent}.wh.${fields.name}`, target, number, stays, shape };
  });

/** Two to four layers, the lowest with a tree for the others to change. */
export const randomLayers: fc.Arbitrary<readonly (readonly LayerOperation[])[]> = fc
  .array(fc.array(operation, { minLength: 1, maxLength: 9 }), { minLength: 2, maxLength: 4 })
  .map(([first, ...others]) => possible([[...ground, ...first!], ...others]));

/** What most random operations need to be possible. */
const ground: readonly LayerOperation[] = [
  ["directory", "a", ""] as const,
  ["directory", "a/b", ""] as const,
  ["file", "a/b/c", ""] as const,
  ["directory", "b", ""] as const,
  ["file", "b/a", ""] as const,
  ["symlink", "l", "a"] as const,
  ["symlink", "b/m", "../a/b"] as const,
  ["symlink", "a/l", "/b"] as const,
].map(([kind, own, target], number) => ({ kind, path: own, target, number, stays: true }));

/** Leaves out what the profile refuses, but for the operations that stay. */
function possible(layers: readonly (readonly LayerOperation[])[]): LayerOperation[][] {
  const out: LayerOperation[][] = [];
  for (const layer of layers) {
    const kept: LayerOperation[] = [];
    out.push(kept);
    for (const next of layer) {
      kept.push(next);
      if (!next.stays && isRefused(out)) kept.pop();
    }
  }
  return out;
}

function isRefused(layers: readonly (readonly LayerOperation[])[]): boolean {
  try {
    mergeLayers(
      layers.map((layer, index) => layerOf(index + 1, membersOf(layer))),
      "oci-v1",
    );
    return false;
  } catch (error) {
    if (error instanceof FormatError) return true;
    throw error;
  }
}

/** The members of the layer's archive. */
export function membersOf(layer: readonly LayerOperation[]): Uint8Array[] {
  return layer.map(({ kind, path: own, target, number, shape = "empty" }) => {
    const uid = number % 3;
    const meta = { mode: number % 2 === 0 ? 0o755 : 0o700, uid, gid: uid, mtime: 1000 + number };
    const described = number % 5 === 0 ? { ...meta, xattrs: { "user.number": `${number}` } } : meta;
    const slash = number % 7 === 0 ? "/" : "";
    switch (kind) {
      case "directory":
        return directory(own + ["/", "", "//", "/."][number % 4]!, described);
      case "file":
        return file(own, `content ${number}`, described);
      case "fifo":
        return header({ ...meta, name: own + slash, type: "6" });
      case "device":
        return device(own + slash, 0, number % 2);
      case "symlink":
        return symlink(own + slash, target);
      case "hardlink":
        return hardlink(own + slash, target);
      case "whiteout":
        return shapes[shape](own);
    }
  });
}

/** The layers in words, for messages. */
export function describeLayers(layers: readonly (readonly LayerOperation[])[]): string {
  return layers
    .map((layer, index) => {
      const lines = layer.map(
        ({ kind, path: own, target, number, shape }) =>
          `  ${[kind, own, target && `-> ${target}`, number, shape].filter((part) => part !== "").join(" ")}`,
      );
      return [`layer ${index + 1}`, ...lines].join("\n");
    })
    .join("\n");
}
