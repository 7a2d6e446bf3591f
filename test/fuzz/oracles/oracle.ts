/**
 * Readers of the same formats that are not ours: what sealfs accepts, they understand alike.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Image } from "../../../src/erofs/image.ts";

export interface Oracle {
  readonly name: string;
  /** Why it cannot be asked on this machine. */
  missing(): string | undefined;
  /** One in that many inputs is compared, besides those that do something new. */
  readonly every: number;
  /**
   * Throws where the oracle understands an input otherwise.
   *
   * @returns whether there was something to compare: sealfs accepts the input
   */
  check(data: Uint8Array): boolean | Promise<boolean>;
}

/** The image to compare; undefined when the checker refuses it. */
export type ImageOf = (data: Uint8Array) => Image | undefined;

let folder: string | undefined;

/** A folder for what tools read and write, gone when the process ends. */
export function oracleFolder(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "sealfs-fuzz-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}
