/**
 * What a bare path is, by what is there.
 *
 * @module
 */
import { lstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { toByteString } from "../../bytes/bytestring.ts";
import { FormatError, NotFoundError, SealfsError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import { limits } from "../../limits.ts";
import { ArchiveFiles } from "./archive.ts";
import { type BlobRange, openNamed, partOf, readFile } from "../blob.ts";
import { SNIFF_BYTES, isTar, sniff } from "../codec/sniff.ts";
import { parseDockerManifest } from "./docker-archive.ts";
import { ONLY, type SourceReference } from "../reference.ts";

/** What a file is found to be; an archive comes open. */
export type Recognised =
  | { readonly kind: "oci-archive" | "docker-archive"; readonly files: ArchiveFiles }
  | { readonly kind: "tar" | "dump" };

/**
 * The reference that a bare path stands for; other references come back as they are.
 *
 * @throws {@link NotFoundError} `NO_FILE`
 * @throws {@link FormatError} `UNSUPPORTED` or `BAD_MAGIC` when it is nothing that sealfs reads
 */
export function resolveSource(reference: SourceReference): SourceReference {
  if (reference.transport !== "path") return reference;
  const { path } = reference;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new NotFoundError("NO_FILE", `${path}: no such file or directory`);
  if (stat.isDirectory()) {
    const layout = lstatSync(join(path, "oci-layout"), { throwIfNoEntry: false });
    return layout === undefined ? { transport: "dir", path } : { transport: "oci", path, ...ONLY };
  }
  const range = openNamed(path);
  try {
    const found = recogniseFile(range, path);
    if ("files" in found) return { transport: found.kind, path, ...ONLY };
    return found.kind === "tar" ? { transport: "tar", paths: [path] } : { transport: "dump", path };
  } finally {
    range.close();
  }
}

/**
 * What the bytes of a file are. `range` stays the caller's: an archive in the result reads from it.
 *
 * @throws {@link FormatError} `UNSUPPORTED` or `BAD_MAGIC`
 */
export function recogniseFile(range: BlobRange, label: string): Recognised {
  const head = new Uint8Array(SNIFF_BYTES);
  const got = readFully(
    range.fd,
    head.subarray(0, Math.min(head.length, range.size)),
    range.offset,
  );
  const start = head.subarray(0, got);
  const compression = sniff(start);
  if (compression === "gzip") verifyLayer(range, label);
  if (compression === "gzip" || compression === "zstd") return { kind: "tar" };
  if (compression !== "none") {
    throw new FormatError("UNSUPPORTED", `${label}: ${compression} compression is not supported`);
  }
  // composefs-dump(5): the first line is the root, "/ SIZE MODE …".
  if (start[0] === 0x2f && start[1] === 0x20) return { kind: "dump" };
  const empty = got === SNIFF_BYTES && start.every((byte) => byte === 0);
  if (empty) return { kind: "tar" };
  if (!isTar(start)) {
    throw new FormatError("BAD_MAGIC", `${label}: not an image archive, layer tar or dump file`, {
      hint: "name the transport: oci:, oci-archive:, docker-archive:, tar:, dir: or dump:",
    });
  }
  return archiveKind(range, label) ?? { kind: "tar" };
}

/** How the first member of an image archive is named by the tools that write them. */
const ARCHIVE_NAME = /^(?:\.\/)?(?:blobs\/|oci-layout|index\.json|manifest\.json|[0-9a-f]{64}[/.])/;

/** Refuses a compressed image archive, which would make an image of its blobs. */
function verifyLayer(range: BlobRange, label: string): void {
  const bytes = new Uint8Array(Math.min(4096, range.size));
  readFully(range.fd, bytes, range.offset);
  let head: Uint8Array;
  try {
    head = gunzipSync(bytes, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: 8 * 1024 * 1024,
    });
  } catch {
    return; // reading it as a layer will say what is wrong
  }
  if (!ARCHIVE_NAME.test(toByteString(head, 0, Math.min(100, head.length)))) return;
  throw new FormatError(
    "UNSUPPORTED",
    `${label}: a gzip archive of an image cannot be read in place`,
    {
      hint: `gzip -dc ${label} | sealfs build - …`,
    },
  );
}

/** An archive of an image by the files that make it one; undefined: a layer like any other. */
function archiveKind(range: BlobRange, label: string): Recognised | undefined {
  let files: ArchiveFiles;
  try {
    files = ArchiveFiles.open(partOf(range, 0, range.size), label);
  } catch (error) {
    // Whatever is wrong with it as a set of files, reading it as a layer will say it better.
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
  if (files.has("oci-layout") && files.has("index.json")) return { kind: "oci-archive", files };
  if (!files.has("manifest.json")) return undefined;
  try {
    const bytes = readFile(files, "manifest.json", limits.manifestBytes);
    const images = parseDockerManifest(bytes, `${label}: manifest.json`);
    return images.length > 0 ? { kind: "docker-archive", files } : undefined;
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
}
