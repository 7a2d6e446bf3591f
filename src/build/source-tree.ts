/**
 * Trees of sources without layers: a directory on this machine, or a dump file.
 *
 * @module
 */
import { fromText, printable } from "../bytes/bytestring.ts";
import { FormatError, NotFoundError } from "../errors.ts";
import { type ScannedFile, scanDirectory } from "../fs/scan.ts";
import type { BlobRange } from "../oci/blob.ts";
import { failure } from "../fs/failure.ts";
import { readFully } from "../fs/descriptor-io.ts";
import type { Transaction } from "../store/transaction.ts";
import { parseDump } from "../tree/dump-reader.ts";
import { INLINE_BYTES } from "../tree/inline-content.ts";
import { type Directory, isDirectory } from "../tree/inode.ts";
import { WHITEOUT } from "../tree/whiteouts.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { ContentIntake, type FileContent } from "./content.ts";
import { objectsOfTree } from "./tree-objects.ts";

/**
 * The tree below a directory, its files staged as objects. Hard links are kept.
 *
 * @throws {@link IntegrityError} `SIZE_MISMATCH` when a file changes while it is read
 * @throws {@link FormatError} `UNSUPPORTED` for a name that would be a whiteout in a layer
 */
export function treeOfFolder(
  path: string,
  transaction: Transaction,
  { reflink = false }: { readonly reflink?: boolean } = {},
): Directory {
  const intake = new ContentIntake(transaction);
  let clones = reflink;
  try {
    const tree = scanDirectory(fromText(path), { xattrs: "shown" }, (scanned) => {
      if (clones && cloneObject(scanned, transaction) === "impossible") clones = false;
      if (scanned.inode.digest === undefined) readObject(scanned, intake);
    });
    refuseWhiteouts(tree);
    return tree;
  } catch (error) {
    throw failure(path, error);
  } finally {
    intake.abandon();
  }
}

/** One try tells whether the file systems of directory and store can share blocks. */
function cloneObject({ inode, open }: ScannedFile, transaction: Transaction) {
  if (inode.size <= INLINE_BYTES) return "inline";
  const digest = open((fd) => transaction.clone(fd));
  if (digest === undefined) return "impossible";
  inode.digest = digest;
  return "cloned";
}

function readObject({ inode, read }: ScannedFile, intake: ContentIntake): void {
  const file: FileContent = {};
  const sink = intake.sink(Number(inode.size), file);
  read((chunk) => sink.write(chunk));
  sink.end();
  if (file.content !== undefined) inode.content = file.content;
  if (file.digest !== undefined) inode.digest = file.digest;
}

/**
 * An image with such names would lose files when it becomes a layer again, and clients refuse it.
 */
function refuseWhiteouts(root: Directory): void {
  const pending = [root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const [name, entry] of next.entries) {
      if (name.startsWith(WHITEOUT)) {
        throw new FormatError("UNSUPPORTED", `${printable(name)}: the name of a whiteout`, {
          hint: "an unpacked layer is not a file system tree: build from its tar, or remove such files",
        });
      }
      if (isDirectory(entry)) pending.push(entry);
    }
  }
}

/**
 * The tree of a dump file. Its objects must be in the store, and right, unless `allowMissing`.
 *
 * @throws {@link NotFoundError} `NO_OBJECT`; {@link IntegrityError} `DIGEST_MISMATCH`;
 *   {@link FormatError} for a malformed dump file, or a name that would be a whiteout in a layer
 */
export function treeOfDump(
  { path, file }: { readonly path: string; readonly file: BlobRange },
  transaction: Transaction,
  options: { readonly strict?: boolean; readonly allowMissing?: boolean },
): Directory {
  const { store } = transaction;
  const { strict = false, allowMissing = false } = options;
  const tree = parseDump(chunksOf(file), { strict, algorithm: store.algorithm });
  refuseWhiteouts(tree);
  if (allowMissing) return tree;
  const missing: VerityDigest[] = [];
  for (const digest of objectsOfTree(tree).keys()) {
    try {
      store.objects.verify(digest);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      missing.push(digest);
    }
  }
  if (missing.length === 0) return tree;
  throw new NotFoundError(
    "NO_OBJECT",
    `${path}: the store lacks ${missing.length} of its objects, such as ${missing[0]}`,
    { hint: "add them, or build with --allow-missing" },
  );
}

const CHUNK_BYTES = 1024 * 1024;

function* chunksOf({ fd }: BlobRange): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let at = 0; ;) {
    const got = readFully(fd, buffer, at);
    if (got === 0) return;
    yield buffer.subarray(0, got);
    at += got;
  }
}
