/**
 * What a store remembers of layers, as the next build may use it. It decides what is signed, so it
 * is only used where nobody but this user and root can have written it; whatever is missing, damaged
 * or of another version is read from its layer again.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { type Stats, closeSync, fstatSync } from "node:fs";
import { SealfsError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import { errnoOf } from "../../fs/failure.ts";
import type { HeldDirectory } from "../../fs/held-directory.ts";
import { isOnlyOwn } from "../../fs/own-directory.ts";
import { limits } from "../../limits.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";
import { layerDirectories } from "../layout.ts";
import type { Store } from "../store.ts";
import { blobName, entriesName } from "./layer-names.ts";
import {
  type RememberedBlob,
  type RememberedEntries,
  decodeBlob,
  decodeEntries,
} from "./remembered-layer.ts";

const DIRECTORIES = ["", ...layerDirectories];

/** The bytes of a file by its name in the store; undefined when it is not to be had. */
type Read = (name: string) => Uint8Array | undefined;

/** Remembered layers, wherever their files come from. */
export class LayerMemory {
  readonly #read: Read;
  readonly #algorithm: VerityAlgorithm;

  /** @param algorithm of the digests of objects */
  constructor(read: Read, algorithm: VerityAlgorithm) {
    this.#read = read;
    this.#algorithm = algorithm;
  }

  /** What a layer holds, by its diffID. */
  entries(diffId: string): RememberedEntries | undefined {
    return this.#about(entriesName(diffId), (file) => decodeEntries(file, diffId, this.#algorithm));
  }

  /** What is known of a blob, by its digest. */
  blob(digest: string): RememberedBlob | undefined {
    return this.#about(blobName(digest), (file) => decodeBlob(file, digest, this.#algorithm));
  }

  #about<T>(name: string, decode: (file: Uint8Array) => T): T | undefined {
    try {
      const file = this.#read(name);
      return file && decode(file);
    } catch (error) {
      if (error instanceof SealfsError || errnoOf(error) !== undefined) return undefined;
      throw error;
    }
  }
}

/**
 * Reads the files of a store's memory, whose folders are made where they are missing. Undefined when
 * others than this user and root can write to where it lies, or nothing can be written there.
 */
export function memoryReader({ files }: Store): Read | undefined {
  const uid = process.geteuid?.();
  if (uid === undefined || !DIRECTORIES.every((name) => isOwnPlace(files, name, uid))) {
    return undefined;
  }
  try {
    for (const name of layerDirectories) files.makeDirectory(name);
  } catch (error) {
    if (error instanceof SealfsError || errnoOf(error) !== undefined) return undefined;
    throw error;
  }
  return (name) => readOwn(files, name, uid);
}

function isOwnPlace(files: HeldDirectory, name: string, uid: number): boolean {
  try {
    const stat = files.stat(name);
    return stat === undefined || (stat.isDirectory() && isOnlyOwn(stat, uid));
  } catch {
    return false; // something else than a directory is on the way
  }
}

function readOwn(files: HeldDirectory, name: string, uid: number): Uint8Array | undefined {
  const { fd, size } = files.openRegular(name, files.pathOf(name));
  try {
    const stat: Stats = fstatSync(fd);
    if (size > limits.rememberedBytes || !isOnlyOwn(stat, uid)) return undefined;
    const bytes = Buffer.allocUnsafeSlow(size);
    return bytes.subarray(0, readFully(fd, bytes, 0));
  } finally {
    closeSync(fd);
  }
}
