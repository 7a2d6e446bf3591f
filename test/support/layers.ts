/**
 * Layers from tar archives made by hand, merged and listed: what tests of the profiles need.
 *
 * @module
 */
import type { ByteString } from "../../src/bytes/bytestring.ts";
import { type Directory, HardLink, inodeOf, isDirectory, typeOf } from "../../src/tree/inode.ts";
import {
  type Layer,
  type LayerEntry,
  type MergeOptions,
  type ProfileName,
  mergeLayers,
} from "../../src/tree/merge.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";
import { type HeaderFields, archive, header, member, pax, readTar } from "./tar.ts";

type Meta = Omit<HeaderFields, "name" | "type"> & { xattrs?: Record<string, string> };

function withXattrs({ xattrs, ...fields }: Meta, make: (fields: HeaderFields) => Uint8Array) {
  const made = make(fields);
  if (xattrs === undefined) return made;
  const records = Object.entries(xattrs).map(([k, v]) => [`SCHILY.xattr.${k}`, v] as const);
  return Buffer.concat([pax(records), made]);
}

/** A directory, 0755 unless `meta` says otherwise. */
export function directory(name: string, meta: Meta = {}): Uint8Array {
  return withXattrs(meta, (fields) => header({ mode: 0o755, ...fields, name, type: "5" }));
}

/** A regular file; its content is its name unless given. */
export function file(name: string, content: string = name, meta: Meta = {}): Uint8Array {
  return withXattrs(meta, (fields) => member({ ...fields, name }, content));
}

export function symlink(name: string, linkName: string): Uint8Array {
  return header({ name, type: "2", linkName, mode: 0o777 });
}

export function hardlink(name: string, linkName: string): Uint8Array {
  return header({ name, type: "1", linkName });
}

export function device(name: string, deviceMajor: number, deviceMinor: number): Uint8Array {
  return header({ name, type: "3", deviceMajor, deviceMinor });
}

/** Whiteouts, and anything else empty. */
export function empty(name: string): Uint8Array {
  return header({ name });
}

/** The layer that the members make, labelled `layer N`. */
export function layerOf(number: number, members: readonly Uint8Array[]): Layer {
  return { label: `layer ${number}`, entries: entriesOf(archive(...members)) };
}

/** What a build makes of a layer's archive. */
export function entriesOf(bytes: Uint8Array): LayerEntry[] {
  return readTar(bytes).map(({ content, ...entry }) => {
    if (content === undefined) return { entry };
    return content.length > 64
      ? { entry, digest: verityDigestOf(content, "sha256") }
      : { entry, content };
  });
}

/** Merges layers, each a list of members. */
export function merge(
  layers: readonly (readonly Uint8Array[])[],
  profile: ProfileName = "oci-v1",
  options?: MergeOptions,
): Directory {
  return mergeLayers(
    layers.map((members, index) => layerOf(index + 1, members)),
    profile,
    options,
  );
}

/**
 * The tree as sorted lines: `d/`, `f = content`, `l -> target`, `h => first name`, with anything else
 * by its type.
 */
export function listing(root: Directory): string[] {
  const lines: string[] = [];
  const names = new Map<unknown, string>();
  const walk = (directory: Directory, prefix: string) => {
    for (const [name, entry] of [...directory.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const path = prefix + name;
      const inode = inodeOf(entry);
      if (entry instanceof HardLink) lines.push(`${path} => ${names.get(inode)}`);
      else if (isDirectory(entry)) lines.push(`${path}/`);
      else if (inode.target !== undefined) lines.push(`${path} -> ${inode.target}`);
      else if (inode.digest !== undefined) lines.push(`${path} = ${inode.digest}`);
      else if (inode.content !== undefined) {
        lines.push(`${path} = ${Buffer.from(inode.content).toString("latin1")}`);
      } else lines.push(`${path} ${typeOf(inode).toString(8)}`);
      if (!(entry instanceof HardLink)) names.set(inode, path);
      if (isDirectory(entry)) walk(entry, `${path}/`);
    }
  };
  walk(root, "");
  return lines;
}

/** The entry at a path, through hard links. */
export function at(root: Directory, path: string) {
  let inode: ReturnType<typeof inodeOf> = root;
  for (const name of path.split("/")) {
    const entry = inode.entries?.get(name as ByteString);
    if (entry === undefined) throw new Error(`${path}: not in the tree`);
    inode = inodeOf(entry);
  }
  return inode;
}
