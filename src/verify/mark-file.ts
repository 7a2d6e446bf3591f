/**
 * A mark that only goes up, on the disk. A folder per thing that has versions, a file per version
 * (`<epoch>.<version>`); the highest counts, lower ones are removed afterwards. A version appears
 * by link(2) of a file that is on the disk already: whole or not at all, and never replaces
 * another, so processes need no lock: none can lower the mark, and two images with one version are
 * noticed.
 *
 * Spec: docs/statement.md, "What a client remembers".
 *
 * @module
 */
import { readdirSync, rmSync } from "node:fs";
import { asObject, asSize, asString } from "../bytes/json-fields.ts";
import { NotFoundError, TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { makePrivateDirectories } from "../fs/directory.ts";
import { errnoOf } from "../fs/failure.ts";
import { readRegular } from "../fs/regular-file.ts";
import { createFileIfAbsent } from "../fs/atomic-file.ts";
import { parseDocument, refusing } from "../trust/document.ts";
import type { Mark } from "../trust/high-water.ts";
import { formatTime } from "../trust/time.ts";

/** A mark, and what is kept with it for people. */
export interface KeptMark extends Mark {
  /** The name or the policy that the version belongs to. */
  readonly about: string;
  /** When this version was first verified here. */
  readonly recorded: string;
}

const MARK_FILE = /^(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})$/;
const READ_ATTEMPTS = 8;

/**
 * The mark in a folder; undefined when there is none.
 *
 * @throws {@link TrustError} `BAD_STATE` for a mark that cannot be read or parsed
 */
export function readMark(folder: string, about: string): KeptMark | undefined {
  for (let i = 0; i < READ_ATTEMPTS; i++) {
    const name = highest(folder);
    if (name === undefined) return undefined;
    try {
      return parseMark(readRegular(`${folder}/${name}`, limits.markBytes, name), name, about);
    } catch (cause) {
      // Another process has replaced it by a higher one between the two calls.
      if (cause instanceof NotFoundError) continue;
      throw unreadable(folder, cause);
    }
  }
  throw unreadable(folder, new Error("it changes all the time"));
}

/**
 * Writes a mark durably, and removes lower ones. If the version has a mark already, that one stays
 * and is returned.
 *
 * @throws {@link TrustError} `STATE_NOT_KEPT`
 */
export function writeMark(
  folder: string,
  mark: Mark,
  about: string,
  now: Date,
): KeptMark | undefined {
  const name = `${mark.epoch}.${mark.version}`;
  const kept = { formatVersion: 1, about, ...mark, recorded: formatTime(now) };
  try {
    makePrivateDirectories(folder);
    const text = `${JSON.stringify(kept)}\n`;
    const added = createFileIfAbsent(`${folder}/${name}`, text, { mode: 0o600, sync: true });
    if (!added) return readExisting(folder, name, about);
  } catch (cause) {
    if (cause instanceof TrustError) throw cause;
    throw new TrustError("STATE_NOT_KEPT", `version ${mark.version} of ${about}: not remembered`, {
      cause,
      hint: "without a memory an older image would not be noticed: name a writable folder with --state, or go without it with --state none",
    });
  }
  removeLower(folder, mark);
  return undefined;
}

function readExisting(folder: string, name: string, about: string): KeptMark | undefined {
  try {
    return parseMark(readRegular(`${folder}/${name}`, limits.markBytes, name), name, about);
  } catch (cause) {
    if (cause instanceof NotFoundError) return undefined; // a higher one took its place
    throw unreadable(folder, cause);
  }
}

function highest(folder: string): string | undefined {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return undefined;
    throw unreadable(folder, cause);
  }
  return names
    .filter((name) => MARK_FILE.test(name))
    .sort(byHeight)
    .at(-1);
}

function byHeight(a: string, b: string): number {
  const [epochA = 0, versionA = 0] = a.split(".").map(Number);
  const [epochB = 0, versionB = 0] = b.split(".").map(Number);
  return epochA - epochB || versionA - versionB;
}

function parseMark(bytes: Uint8Array, name: string, about: string): KeptMark {
  const object = parseDocument(bytes, name, "BAD_STATE");
  const mark = refusing("BAD_STATE", () => {
    asObject(object, name);
    return {
      epoch: asSize(object.get("epoch"), "epoch"),
      version: asSize(object.get("version"), "version"),
      sha256: asString(object.get("sha256"), "sha256"),
      about: asString(object.get("about"), "about"),
      recorded: asString(object.get("recorded"), "recorded"),
    };
  });
  const fits = `${mark.epoch}.${mark.version}` === name && mark.about === about;
  if (fits && object.get("formatVersion") === 1 && /^[0-9a-f]{64}$/.test(mark.sha256)) return mark;
  throw new TrustError("BAD_STATE", `${name}: holds something else than its name says`);
}

/** Lower marks do no harm, so those that cannot be removed are left. */
function removeLower(folder: string, mark: Mark): void {
  const name = `${mark.epoch}.${mark.version}`;
  try {
    for (const other of readdirSync(folder)) {
      if (MARK_FILE.test(other) && byHeight(other, name) < 0) rmSync(`${folder}/${other}`);
    }
  } catch {
    // the highest counts
  }
}

/** The error for a memory that cannot be read. */
export function unreadable(folder: string, cause: unknown): TrustError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TrustError("BAD_STATE", `memory of versions in ${folder}: cannot be read: ${reason}`, {
    cause,
    hint: "nothing is verified that might be older than what was seen: repair the file, or remove the folder to start over",
  });
}
