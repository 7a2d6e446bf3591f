/**
 * What mkcomposefs does: an image from a dump file or from a directory, with the files' content in
 * a digest store.
 *
 * Spec: docs/image-format.md, "Dump files" and "Directory mode".
 *
 * @module
 */
import { closeSync, lstatSync, openSync, readSync, writeFileSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { type FormatVersion, writeImage } from "../erofs/writer.ts";
import { replaceFile } from "../fs/atomic-file.ts";
import { parseDump } from "../tree/dump-reader.ts";

/** mkcomposefs's options. Versions may be any number; one that no format has is refused. */
export interface MakeOptions {
  /** The source is a dump file (`-` is standard input), not a directory. */
  readonly fromFile?: boolean;
  /** Dump files: as with CFS_PARSE_STRICT. */
  readonly strict?: boolean;
  /** Directories: where the content of files that are not in the image goes; nowhere by default. */
  readonly digestStore?: string | undefined;
  /** Directories: all times are zero. */
  readonly epoch?: boolean;
  /** Directories: whether devices are taken; true by default. */
  readonly devices?: boolean;
  readonly skipXattrs?: boolean;
  readonly userXattrs?: boolean;
  readonly minVersion?: number | undefined;
  readonly maxVersion?: number | undefined;
}

/**
 * The image of a dump file or of a directory. Of a directory every name becomes a file of its own,
 * hard links or not, as with mkcomposefs; its objects are in the store, synced, before this
 * returns.
 *
 * @throws {@link FormatError} when the source is malformed or does not fit the format
 * @throws {@link IntegrityError} `SIZE_MISMATCH` or `DIGEST_MISMATCH` when a file changes while it
 *   is read
 * @throws {@link SystemError} `NO_KOFFI` when attributes have to be read without koffi
 * @throws {@link UsageError} for options that exclude each other
 */
export async function makeComposefs(source: string, options: MakeOptions): Promise<Uint8Array> {
  const versions = versionsOf(options);
  if (options.fromFile) return writeImage(readDump(source, options.strict ?? false), versions);
  if (options.skipXattrs && options.userXattrs) {
    throw new UsageError("USAGE", `${source}: --skip-xattrs and --user-xattrs exclude each other`);
  }
  // Not needed for dump files, where start-up counts.
  const { treeOfDirectory } = await import("./directory-tree.ts");
  const tree = treeOfDirectory(source, {
    xattrs: options.skipXattrs ? "none" : options.userXattrs ? "user" : "all",
    devices: options.devices ?? true,
    epoch: options.epoch ?? false,
    digestStore: options.digestStore,
  });
  return writeImage(tree, versions);
}

/** @throws {@link UsageError} for a version that no format has */
function versionsOf({ minVersion, maxVersion }: MakeOptions) {
  const versions: { minVersion?: FormatVersion; maxVersion?: FormatVersion } = {};
  if (minVersion !== undefined) versions.minVersion = formatVersion(minVersion);
  if (maxVersion !== undefined) versions.maxVersion = formatVersion(maxVersion);
  return versions;
}

function formatVersion(version: number): FormatVersion {
  if (version === 0 || version === 1) return version;
  throw new UsageError("USAGE", `format version: expected 0 or 1, got ${version}`);
}

function readDump(path: string, strict: boolean) {
  const fd = path === "-" ? 0 : openSync(path, "r");
  try {
    return parseDump(chunksOf(fd), { strict });
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}

const CHUNK_BYTES = 1 << 20;

/** The bytes from a descriptor; each chunk is valid until the next one is asked for. */
function* chunksOf(fd: number): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (;;) {
    let got: number;
    try {
      got = readSync(fd, buffer, 0, CHUNK_BYTES, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      // A pipe in non-blocking mode with nothing to read yet.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      continue;
    }
    if (got === 0) return;
    yield buffer.subarray(0, got);
  }
}

const IMAGE_MODE = 0o644;

/**
 * Writes an image to a file, which appears under its name whole or not at all. Anything but a
 * regular file (a device, a fifo, a symlink) is written through instead.
 */
export function writeImageFile(path: string, bytes: Uint8Array): void {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing === undefined || existing.isFile()) {
    replaceFile(path, bytes, { mode: IMAGE_MODE, sync: false });
  } else {
    writeFileSync(path, bytes, { mode: IMAGE_MODE });
  }
}
