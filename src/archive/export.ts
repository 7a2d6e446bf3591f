/**
 * Writing an image with all that belongs to it as one archive (see `archive-layout.ts`). Objects
 * are compared with their digests on the way out: what is damaged ends the export, and the archive
 * is left without its end.
 *
 * @module
 */
import { closeSync, readSync } from "node:fs";
import { type Header, type Pack, pack } from "tar-stream";
import { objectsOf } from "../erofs/object-list.ts";
import { IntegrityError, SealfsError } from "../errors.ts";
import { limits } from "../limits.ts";
import { bundlePath, readBundles } from "../store/bundles.ts";
import { claimsOf } from "../store/claims.ts";
import { REFS, imageLinkTarget, refLinkTarget } from "../store/layout.ts";
import { takeLease } from "../store/leases.ts";
import { formatMeta, STORE_VERSION } from "../store/meta.ts";
import { encodeName } from "../store/names.ts";
import { readSeekIndex, seekIndexPath } from "../store/seek-indexes.ts";
import type { Platform } from "../platform/platform.ts";
import type { Store } from "../store/store.ts";
import { openStoredImage } from "../store/stored-image.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import { type VerityDigest, algorithmOf, objectPath } from "../verity/verity-digest.ts";
import { VerityHasher } from "../verity/hasher.ts";

const READ_BYTES = 256 * 1024;

/** What was written. */
export interface Exported {
  readonly id: VerityDigest;
  /** Undefined when the image was asked for by its id. */
  readonly name: string | undefined;
  readonly objects: number;
  readonly bundles: number;
  /** Bytes of the archive. */
  readonly bytes: number;
}

export interface ExportOptions {
  /** Which image of a name; this machine's by default. */
  readonly platform?: Platform | undefined;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Exports an image by name or id; `write` takes the archive piece by piece. The same image gives
 * the same archive.
 *
 * @throws {@link NotFoundError} `NO_REF`, or `NO_OBJECT` for an object that the store lacks
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` for an object that is damaged
 */
export async function exportImage(
  store: Store,
  target: string,
  write: (bytes: Uint8Array) => unknown,
  { platform, onProgress }: ExportOptions = {},
): Promise<Exported> {
  const { id, name } = store.images.find(target, platform);
  const image = openStoredImage(store, id);
  const objects = objectsOf(image);
  const lease = takeLease(store, id, () => objects.keys());
  const archive = pack();
  const total = [...objects.values()].reduce((sum, size) => sum + size, image.bytes.length);
  let bytes = 0;
  const consume = async () => {
    for await (const chunk of archive as AsyncIterable<Uint8Array>) {
      await write(chunk);
      bytes += chunk.length;
      onProgress?.(bytes, total);
    }
  };
  const produce = async () => {
    try {
      const bundles = addHead(archive, store, id, name);
      await addObject(archive, store, id, image.bytes.length);
      for (const [digest, size] of objects) await addObject(archive, store, digest, size);
      archive.finalize();
      return bundles;
    } catch (error) {
      archive.destroy(error as Error);
      throw error;
    }
  };
  try {
    const [bundles] = await Promise.all([produce(), consume()]);
    return { id, name, objects: objects.size, bundles, bytes };
  } finally {
    lease?.release();
  }
}

/** Everything before the objects; small. Gives the number of bundles. */
function addHead(archive: Pack, store: Store, id: VerityDigest, name: string | undefined): number {
  const meta = formatMeta({ version: STORE_VERSION, algorithm: store.algorithm });
  addFile(archive, "meta.json", Buffer.from(meta));
  addLink(archive, `images/${id}`, imageLinkTarget(id));
  if (name !== undefined) addLink(archive, `${REFS}/${encodeName(name)}`, refLinkTarget(id));
  const indexes = new Map<string, SeekIndexFile>();
  const bundles = bundlesAbout(store, id, name);
  for (const { bundle, claim } of bundles) {
    addFile(archive, bundlePath(id, bundle.keyId, claim), Buffer.from(bundle.bytes));
    if (claim.seekIndex !== undefined) indexes.set(claim.seekIndex.digest, claim.seekIndex);
  }
  for (const index of indexes.values()) addSeekIndex(archive, store, id, index);
  return bundles.length;
}

/**
 * As many bundles as an import takes, in the order of the store: those about the name that is
 * exported before others, and of these the newest. Few are held at a time.
 */
function bundlesAbout(store: Store, id: VerityDigest, name: string | undefined) {
  const claimed = store.bundleFiles(id).flatMap((file) => {
    const claims = claimsOf(readBundles([file])).filter((claim) => claim.id === id);
    return claims.map((claim) => ({ file, claim }));
  });
  const ranked = claimed.toSorted((a, b) => {
    const isNamed = Number(b.claim.name === name) - Number(a.claim.name === name);
    return isNamed || b.claim.version - a.claim.version;
  });
  const taken = new Set(ranked.slice(0, limits.bundles));
  return claimed
    .filter((each) => taken.has(each))
    .flatMap(({ file, claim }) => [...readBundles([file])].map((bundle) => ({ bundle, claim })));
}

/** Without it, or with another one, the image is as good: it is left out then. */
function addSeekIndex(archive: Pack, store: Store, id: VerityDigest, index: SeekIndexFile): void {
  let bytes: Uint8Array;
  try {
    bytes = readSeekIndex(store, id, index);
  } catch (error) {
    if (error instanceof SealfsError) return;
    throw error;
  }
  addFile(archive, seekIndexPath(id, index), Buffer.from(bytes));
}

/** Nothing of the machine goes into a header. */
function header(name: string, more: Partial<Header>): Pick<Header, "name"> & Partial<Header> {
  return { name, uid: 0, gid: 0, mode: 0o444, mtime: new Date(0), ...more };
}

function addFile(archive: Pack, name: string, bytes: Buffer): void {
  archive.entry(header(name, { mode: 0o644 }), bytes);
}

function addLink(archive: Pack, name: string, linkname: string): void {
  archive.entry(header(name, { type: "symlink", linkname, mode: 0o777 }));
}

async function addObject(
  archive: Pack,
  store: Store,
  digest: VerityDigest,
  size: number,
): Promise<void> {
  const file = store.objects.openFile(digest);
  try {
    if (file.size !== size) throw damaged(digest, `expected ${size} bytes, got ${file.size}`);
    const hasher = new VerityHasher(algorithmOf(digest));
    const entry = archive.entry(header(`objects/${objectPath(digest)}`, { size }));
    entry.on("error", () => undefined); // the archive's error, which its reader gets
    const closed = new Promise<void>((resolve) => entry.once("close", resolve));
    for (let left = size; left > 0;) {
      const chunk = Buffer.allocUnsafe(Math.min(left, READ_BYTES));
      const got = readSync(file.fd, chunk);
      if (got === 0) throw damaged(digest, `ends ${left} bytes too early`);
      hasher.update(chunk.subarray(0, got));
      left -= got;
      if (entry.write(chunk.subarray(0, got))) continue;
      // Closed before it drained: the reader of the archive has gone, and tells why itself.
      await Promise.race([new Promise<void>((resolve) => entry.once("drain", resolve)), closed]);
      if (archive.destroying) return;
    }
    if (hasher.digest() !== digest) throw damaged(digest, `its content has ${hasher.digest()}`);
    entry.end(null);
    await closed;
  } finally {
    closeSync(file.fd);
  }
}

function damaged(digest: VerityDigest, message: string): IntegrityError {
  return new IntegrityError("DIGEST_MISMATCH", `object ${digest}: ${message}`, {
    hint: "sealfs fsck --repair --from STORE can restore it",
  });
}
