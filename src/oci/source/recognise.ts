/**
 * What a source without a transport is, by what is inside. What is none of the things that are read
 * is refused, and so is what nobody means to be a root file system: to sign the wrong thing is worse
 * than to ask.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import type { BlobRange, LayoutFiles } from "../blob.ts";
import { isTar, sniff } from "../codec/sniff.ts";
import { headOf, plainCopy, verifyCompression, verifyTimes } from "./archive-file.ts";
import { ArchiveFiles } from "./archive.ts";
import { hasTool } from "./decompress-tool.ts";
import { type DecompressOptions, decompressed, decompressedCopy } from "./decompressed.ts";
import { DirectoryFiles } from "./oci-layout.ts";
import { otherFile } from "./other-files.ts";
import type { Finding } from "./survey.ts";
import { surveyArchive, surveyStream } from "./survey-archive.ts";
import { surveyFolder } from "./survey-folder.ts";

type FoundImage = Extract<Finding, { kind: "image" }>;

/** The files of an image. */
export interface RecognisedImage extends FoundImage {
  readonly files: LayoutFiles;
}

/** What a file is: an image, or a layer or dump file that `range` holds as it came. */
export type RecognisedFile =
  RecognisedImage | { readonly kind: "tar" | "dump"; readonly range: BlobRange };

/** What is known of a file besides its bytes. */
interface Named extends DecompressOptions {
  readonly label: string;
  /** Undefined for standard input. */
  readonly path: string | undefined;
}

/**
 * What the bytes of a file are. Owns `range`, also when it fails.
 *
 * @throws {@link FormatError} `BAD_MAGIC` or `UNSUPPORTED` when it is nothing that is read, `LIMIT`
 *   when it decompresses to too much, and for broken archives
 */
export function recogniseFile(range: BlobRange, named: Named): Promise<RecognisedFile> {
  return recogniseOwn(range, named, 0);
}

async function recogniseOwn(
  range: BlobRange,
  named: Named,
  times: number,
): Promise<RecognisedFile> {
  let found: Judged;
  try {
    found = await judge(range, named, times);
  } catch (error) {
    range.close();
    throw error;
  }
  if (found.kind === "plain") {
    range.close();
    return recogniseOwn(found.copy, named, times + 1);
  }
  if (found.kind === "archive") {
    return { ...found.image, files: ArchiveFiles.open(range, named.label) };
  }
  if (found.kind !== "image") return { ...found, range };
  range.close();
  return found;
}

/** @throws {@link FormatError} `UNSUPPORTED`; {@link SystemError} */
export function recogniseFolder(path: string): RecognisedImage | { readonly kind: "dir" } {
  const finding = surveyFolder(path);
  if (finding.kind === "files") return { kind: "dir" };
  if (finding.kind === "image" && finding.form !== "docker") {
    return { ...finding, files: new DirectoryFiles(path) };
  }
  const force = `dir:${path} takes it as a root file system`;
  if (finding.kind === "misplaced") throw refusal(finding, path, force);
  throw new FormatError("UNSUPPORTED", `${path}: an unpacked archive of docker save`, {
    hint: `pack it again: tar -C ${path} -cf - . | sealfs build - …; ${force}`,
  });
}

/** What a file is, whose range is still the caller's. */
type Judged =
  | RecognisedImage // in a copy of its own
  | { readonly kind: "archive"; readonly image: FoundImage }
  /** Decompressed by a program: to be looked at again. */
  | { readonly kind: "plain"; readonly copy: BlobRange }
  | { readonly kind: "tar" | "dump" };

async function judge(range: BlobRange, named: Named, times: number): Promise<Judged> {
  const { label, path } = named;
  const head = headOf(range);
  const compression = sniff(head);
  if (compression !== "none") {
    verifyTimes(times, label);
    if (hasTool(compression)) {
      return { kind: "plain", copy: await plainCopy(range, compression, label, named) };
    }
    verifyCompression(compression, label, path);
    return judgeCompressed(range, named, times);
  }
  // composefs-dump(5): the first line is the root, "/ SIZE MODE …".
  if (head[0] === 0x2f && head[1] === 0x20) return { kind: "dump" };
  const isEmpty = head.length === 512 && head.every((byte) => byte === 0);
  if (!isEmpty && !isTar(head)) {
    throw unknown(label, range);
  }
  let finding: Finding;
  try {
    finding = surveyArchive(range, label);
  } catch (error) {
    // Disk images begin with zeros, and so does an archive of nothing.
    throw isEmpty ? unknown(label, range, error) : error;
  }
  if (finding.kind === "files") return { kind: "tar" };
  if (finding.kind === "misplaced") throw refusal(finding, label, forceOf(path, times));
  return { kind: "archive", image: finding };
}

async function judgeCompressed(range: BlobRange, named: Named, times: number): Promise<Judged> {
  const { label, path } = named;
  const found = await surveyStream(decompressed(range, label, named), label);
  if (found.kind === "files") return { kind: "tar" };
  if (found.kind === "misplaced") throw refusal(found, label, forceOf(path, times));
  const copy = await decompressedCopy(range, label, named);
  if (found.kind === "image") return { ...found, files: ArchiveFiles.open(copy, label) };
  const inner = await recogniseOwn(copy, named, times + 1);
  if (inner.kind === "image") return inner;
  inner.range.close();
  throw new FormatError("UNSUPPORTED", `${label}: a layer that has been compressed twice`, {
    hint: "decompress it once",
  });
}

function unknown(label: string, range: BlobRange, cause?: unknown): FormatError {
  const other = otherFile(range);
  if (other !== undefined) {
    const message = `${label}: expected an image archive, layer tar or dump file, got ${other.what}`;
    return new FormatError("BAD_MAGIC", message, { hint: other.remedy });
  }
  const message = `${label}: not an image archive, layer tar or dump file`;
  return new FormatError("BAD_MAGIC", message, {
    cause,
    hint: "what is read: tar archives, also by gzip or zstd, folders, and composefs dump files",
  });
}

function refusal(
  { misplaced: { what, remedy } }: Extract<Finding, { kind: "misplaced" }>,
  label: string,
  force: string,
): FormatError {
  const message = `${label}: expected an image or the files of a root file system, got ${what}`;
  return new FormatError("UNSUPPORTED", message, { hint: `${remedy}; ${force}` });
}

function forceOf(path: string | undefined, times: number): string {
  const how = times > 0 ? "decompressed into a file" : "saved in a file";
  const file = `${how}${path?.includes(",") ? " without a comma in its name" : ""}, tar:FILE`;
  const isWritten = path !== undefined && times === 0 && !path.includes(",");
  const source = isWritten ? `tar:${path}` : file;
  return `${source} takes it as a root file system`;
}
