/**
 * The tree of a directory: small files have their content in it, the others in a digest store.
 *
 * @module
 */
import { ascii, fromText, toBytes } from "../bytes/bytestring.ts";
import { type ScanOptions, type ScannedFile, scanDirectory } from "../fs/scan.ts";
import { INLINE_BYTES } from "../tree/inline-content.ts";
import type { Directory } from "../tree/inode.ts";
import { objectPath } from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";
import { DigestStore } from "./digest-store.ts";

/** Scans `path`, hashes its files and stores them. */
export function treeOfDirectory(
  path: string,
  options: Omit<ScanOptions, "hardLinks"> & { readonly digestStore?: string | undefined },
): Directory {
  const store =
    options.digestStore === undefined ? undefined : new DigestStore(options.digestStore);
  const buffer = new Uint8Array(HELD_BYTES);
  try {
    const tree = scanDirectory(fromText(path), { ...options, hardLinks: false }, (file) => {
      if (file.inode.size <= INLINE_BYTES) readInline(file);
      else readObject(file, store, buffer);
    });
    store?.publish();
    return tree;
  } finally {
    store?.close();
  }
}

function readInline(file: ScannedFile): void {
  const content = new Uint8Array(Number(file.inode.size));
  let at = 0;
  file.read((chunk) => {
    content.set(chunk, at);
    at += chunk.length;
  });
  file.inode.content = content;
}

/** Files up to this size are kept in memory between hashing and storing. */
const HELD_BYTES = 1 << 20;

function readObject(file: ScannedFile, store: DigestStore | undefined, buffer: Uint8Array): void {
  const { inode, path } = file;
  const size = Number(inode.size);
  const held = store !== undefined && size <= buffer.length;
  const hasher = new VerityHasher("sha256");
  file.read((chunk) => {
    if (held) buffer.set(chunk, hasher.bytes);
    hasher.update(chunk);
  });
  const digest = hasher.digest();
  inode.digest = digest;
  inode.payload = ascii(objectPath(digest));
  if (store === undefined || store.has(digest, size)) return;
  if (held) store.put(digest, buffer.subarray(0, size));
  else store.copy(digest, toBytes(path), size);
}
