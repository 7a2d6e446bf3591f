/**
 * Trees that are no layers: a directory of this machine, or a dump file.
 *
 * @module
 */
import { fromText } from "../bytes/bytestring.ts";
import { NotFoundError } from "../errors.ts";
import { scanDirectory } from "../fs/scan.ts";
import { openNamed } from "../oci/blob.ts";
import { readFully } from "../store/files.ts";
import type { Transaction } from "../store/transaction.ts";
import { parseDump } from "../tree/dump-reader.ts";
import type { Directory } from "../tree/inode.ts";
import type { VerityDigest } from "../verity/digest.ts";
import { ContentIntake, type FileContent } from "./build-content.ts";
import { objectsOfTree } from "./tree-objects.ts";

/**
 * The tree below a directory, its files staged as objects. Names of one inode stay its names.
 *
 * @throws {@link IntegrityError} `SIZE_MISMATCH` when a file changes meanwhile
 */
export function treeOfFolder(path: string, transaction: Transaction): Directory {
  const intake = new ContentIntake(transaction);
  try {
    return scanDirectory(fromText(path), {}, (scanned) => {
      const { inode } = scanned;
      const file: FileContent = {};
      const sink = intake.sink(Number(inode.size), file);
      scanned.read((chunk) => sink.write(chunk));
      sink.end();
      if (file.content !== undefined) inode.content = file.content;
      if (file.digest !== undefined) inode.digest = file.digest;
    });
  } finally {
    intake.abandon();
  }
}

/**
 * The tree of a dump file. Its objects must be in the store, and right, unless `allowMissing`.
 *
 * @throws {@link NotFoundError} `NO_OBJECT`; {@link IntegrityError} `DIGEST_MISMATCH`
 */
export function treeOfDump(
  path: string,
  transaction: Transaction,
  options: { readonly strict?: boolean; readonly allowMissing?: boolean },
): Directory {
  const { store } = transaction;
  const { strict = false, allowMissing = false } = options;
  const tree = parseDump(chunksOf(path), { strict, algorithm: store.algorithm });
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

const CHUNK = 1024 * 1024;

function* chunksOf(path: string): Generator<Uint8Array> {
  const range = openNamed(path);
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    for (let at = 0; ;) {
      const got = readFully(range.fd, buffer, at);
      if (got === 0) return;
      yield buffer.subarray(0, got);
      at += got;
    }
  } finally {
    range.close();
  }
}
