/**
 * The golden results of mkcomposefs in test/vectors/composefs (see the README there).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import type { WriteOptions } from "../../src/erofs/writer.ts";
import type { Profile } from "./random-dump.ts";

export type VersionName = "v0" | "v1" | "auto";

/** SHA-256 of the image by format version; null where mkcomposefs refuses. */
type Results = Readonly<Record<VersionName, string | null>>;

export interface ComposefsVectors {
  readonly cases: readonly {
    name: string;
    description: string;
    strict: boolean;
    sha256: Results;
    dump: string;
  }[];
  readonly errors: readonly {
    name: string;
    description: string;
    strict: boolean;
    args: string[];
    dump: string;
  }[];
  readonly generated: readonly {
    entries: number;
    seed: number;
    profile: Profile;
    dumpSha256: string;
    sha256: Results;
  }[];
  readonly tree: {
    readonly runs: readonly { args: string[]; sha256: string; fsverity: string }[];
    readonly objects: readonly string[];
  };
}

/** The options that stand for each recorded version. */
export const versions: Readonly<Record<VersionName, WriteOptions>> = {
  v0: { minVersion: 0, maxVersion: 0 },
  v1: { minVersion: 1, maxVersion: 1 },
  auto: {},
};

export const versionNames = Object.keys(versions) as VersionName[];

let cache: ComposefsVectors | undefined;

export function composefsVectors(): ComposefsVectors {
  if (cache === undefined) {
    const file = readFileSync(new URL("../vectors/composefs/cases.json.br", import.meta.url));
    cache = JSON.parse(brotliDecompressSync(file).toString("utf8")) as ComposefsVectors;
  }
  return cache;
}

/** The bytes of a dump in the vectors. */
export function dumpBytes(dump: string): Uint8Array {
  return Buffer.from(dump, "latin1");
}
