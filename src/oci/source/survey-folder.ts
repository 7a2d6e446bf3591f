/**
 * The survey of a folder. Its upper levels say what it is; further down it is only looked at while
 * nothing but parts of images has been seen.
 *
 * @module
 */
import { closeSync, readdirSync } from "node:fs";
import { type ByteString, ascii, toByteString, toBytes } from "../../bytes/bytestring.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import { failure } from "../../fs/failure.ts";
import { openRegular } from "../../fs/regular-file.ts";
import { type Finding, Survey } from "./survey.ts";

/** Levels that are always looked at. */
const LEVELS = 4;

/** @throws {@link SystemError} when the folder itself cannot be read */
export function surveyFolder(path: string): Finding {
  const survey = new Survey("folder");
  let level = [ascii("")];
  for (let depth = 0; level.length > 0 && (depth < LEVELS || survey.isUndecided); depth++) {
    level = level.flatMap((folder) => surveyLevel(survey, path, folder));
  }
  return survey.finding();
}

/** Tells the survey of the files in a folder, and returns the folders in it. */
function surveyLevel(survey: Survey, root: string, folder: ByteString): ByteString[] {
  const below: ByteString[] = [];
  for (const entry of entriesOf(root, folder)) {
    const own = toByteString(entry.name);
    const name = (folder === "" ? own : `${folder}/${own}`) as ByteString;
    if (entry.isDirectory()) {
      below.push(name);
      continue;
    }
    const wanted = survey.add(name, entry.isFile());
    if (wanted > 0) survey.content(name, startOf(pathOf(root, name), wanted));
  }
  return below;
}

/** What is in a folder; nothing when it has gone, or is closed to us: building will say so. */
function entriesOf(root: string, folder: ByteString) {
  try {
    return readdirSync(pathOf(root, folder), { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    if (folder === "") throw failure(root, error);
    return [];
  }
}

/** The first bytes of a regular file; none when it cannot be read. */
function startOf(path: Buffer, most: number): Uint8Array {
  try {
    const { fd, size } = openRegular(path, "file");
    try {
      const bytes = new Uint8Array(Math.min(size, most));
      return bytes.subarray(0, readFully(fd, bytes, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return new Uint8Array(0);
  }
}

function pathOf(root: string, name: ByteString): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), toBytes(name)]);
}
