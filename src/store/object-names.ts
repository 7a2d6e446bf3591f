/**
 * What stands below `objects/`, one fan-out directory after the other, so that memory does not grow
 * with the number of objects.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { fanOut } from "./layout.ts";
import type { Store } from "./store.ts";

/** An entry of a fan-out directory. */
export interface ObjectName {
  /** Undefined when the name is no digest of the store's algorithm. */
  readonly digest: VerityDigest | undefined;
  readonly path: string;
}

const HEX = /^[0-9a-f]+$/;
const DIGITS = { sha256: 64, sha512: 128 } as const;

/**
 * Every entry of every fan-out directory, in the order of names; `directory` may be another one that
 * is laid out like `objects/`, such as the leaf cache.
 *
 * @throws {@link SystemError} when a directory cannot be read
 */
export function* listObjectNames(
  store: Store,
  directory = store.objects.directory,
): Generator<ObjectName, void, undefined> {
  for (const fan of fanOut) yield* listFan(store, `${directory}/${fan}`, fan);
}

function* listFan(store: Store, directory: string, fan: string): Generator<ObjectName> {
  const digits = DIGITS[store.algorithm] - 2;
  for (const name of entriesOf(directory)) {
    const isDigest = name.length === digits && HEX.test(name);
    const digest = isDigest ? ((fan + name) as VerityDigest) : undefined;
    yield { digest, path: `${directory}/${name}` };
  }
}

/** Sorted names in a directory; none when it is not there. */
export function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw failure(directory, error);
  }
}
