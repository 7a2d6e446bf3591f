/**
 * What tuf-js gets its files through: every one is capped, metadata is looked at strictly first, and
 * what went wrong on the way is kept, because tuf-js puts it into words.
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

/** Stands for the repository in the URLs that tuf-js makes; no server of that name is ever asked. */
export const BASE = "http://repository.invalid/";

/** Reads from a place; for one update. */
export class CheckedFetcher implements Fetcher {
  readonly #place: TufPlace;
  readonly #folder: string;
  #failure: SealfsError | undefined;

  /** @param folder where a target may lie while it is checked */
  constructor(place: TufPlace, folder: string) {
    this.#place = place;
    this.#folder = folder;
  }

  /** Why the last file could not be had; undefined when it was there and in good form. */
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
      // The end of the chain of roots: tuf-js knows it by this.
      if (error instanceof NotFoundError) throw new DownloadHTTPError(error.message, 404);
      throw this.#failure;
    }
  }
}
