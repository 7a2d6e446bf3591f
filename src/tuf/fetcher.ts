/**
 * The fetcher through which tuf-js reads a repository. It caps every file, checks metadata strictly
 * before tuf-js sees it, and keeps the error of a failed read, because tuf-js keeps only its
 * message.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fetcher } from "tuf-js";
import { DownloadHTTPError } from "tuf-js/dist/error.js";
import { FormatError, NotFoundError, SealfsError } from "../errors.ts";
import { limits } from "../limits.ts";
import { checkMetadata } from "./metadata.ts";
import { type TufPlace, tooLong } from "./place.ts";

/**
 * Base of the URLs that tuf-js makes. It is cut off again: no server of that name is ever asked.
 */
export const BASE = "http://repository.invalid/";

/** Reads the files of one place during one update. */
export class CheckedFetcher implements Fetcher {
  readonly #place: TufPlace;
  readonly #folder: string;
  #failure: SealfsError | undefined;

  /** @param folder where a target is stored while it is checked */
  constructor(place: TufPlace, folder: string) {
    this.#place = place;
    this.#folder = folder;
  }

  /** Why the last file could not be read; undefined when it was read and is well-formed. */
  get failure(): SealfsError | undefined {
    return this.#failure;
  }

  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const bytes = await this.#read(url, Math.min(maxLength, limits.tufMetadataBytes), true);
    return Buffer.from(bytes);
  }

  async downloadFile<T>(
    url: string,
    maxLength: number,
    handler: (file: string) => Promise<T>,
  ): Promise<T> {
    const bytes = await this.#read(url, Math.min(maxLength, limits.envelopeBytes), false);
    const folder = mkdtempSync(join(this.#folder, "target-"));
    try {
      const file = join(folder, "file");
      writeFileSync(file, bytes, { mode: 0o600 });
      return await handler(file);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  async #read(url: string, max: number, isMetadata: boolean): Promise<Uint8Array> {
    this.#failure = undefined;
    const path = url.slice(BASE.length);
    const what = `${this.#place.text}: ${path}`;
    try {
      const bytes = await this.#place.read(path, max);
      if (bytes.length > max) throw tooLong(what, max);
      if (isMetadata) checkMetadata(bytes, what);
      return bytes;
    } catch (error) {
      if (!(error instanceof SealfsError)) throw error;
      const long = error instanceof FormatError && error.code === "LIMIT";
      this.#failure = long ? tooLong(what, max) : error;
      // For tuf-js a 404 is the end of the chain of roots.
      if (error instanceof NotFoundError) throw new DownloadHTTPError(error.message, 404);
      throw this.#failure;
    }
  }
}
