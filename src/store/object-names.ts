/**
 * What stands below `objects/`, one fan-out directory after the other, so that memory does not grow
 * with the number of objects.
 *
 * @module
 */
import { IntegrityError } from "../errors.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { fanOut } from "./layout.ts";
import type { Store } from "./store.ts";

/** An entry of a fan-out directory. */
export interface ObjectName {
  /** Undefined when the name is no digest of the store's algorithm. */
  readonly digest: VerityDigest | undefined;
  /** In the store. */
  readonly name: string;
}

const HEX = /^[0-9a-f]+$/;
const DIGITS = { sha256: 64, sha512: 128 } as const;

export interface ObjectNamesOptions {
  /** Another directory that is laid out like `objects/`, such as the leaf cache. */
  readonly directory?: string;
  /** Whether what is not a directory, and should be one, counts as empty. */
  readonly skipWrong?: boolean;
}

/**
 * Every entry of every fan-out directory, in the order of names.
 *
 * @throws {@link SystemError} when a directory cannot be read; {@link IntegrityError} `WRONG_TYPE`
 */
export function* listObjectNames(
  store: Store,
  { directory = store.objects.name, skipWrong = false }: ObjectNamesOptions = {},
): Generator<ObjectName, void, undefined> {
  const prefix = directory === "" ? "" : `${directory}/`;
  for (const fan of fanOut) {
    try {
      yield* listFan(store, `${prefix}${fan}`, fan);
    } catch (error) {
      if (!skipWrong || !(error instanceof IntegrityError)) throw error;
    }
  }
}

function* listFan(store: Store, directory: string, fan: string): Generator<ObjectName> {
  const digits = DIGITS[store.algorithm] - 2;
  for (const name of store.files.names(directory)) {
    const isDigest = name.length === digits && HEX.test(name);
    const digest = isDigest ? ((fan + name) as VerityDigest) : undefined;
    yield { digest, name: `${directory}/${name}` };
  }
}
