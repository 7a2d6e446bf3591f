/**
 * The keys whose signatures count.
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { PublicKey } from "./public-key.ts";

/** Trusted keys, each of them once. */
export class Keyring {
  readonly keys: readonly PublicKey[];
  readonly #byId: ReadonlyMap<string, PublicKey>;

  /**
   * @throws {@link TrustError} `NO_KEY` for none; `BAD_KEY` for the same key twice (which would
   *   count twice towards a threshold) or more than `limits.keys`
   */
  constructor(keys: readonly PublicKey[]) {
    if (keys.length === 0) throw new TrustError("NO_KEY", "keyring: no key to trust");
    if (keys.length > limits.keys) {
      throw new TrustError(
        "BAD_KEY",
        `keyring: expected at most ${limits.keys} keys, got ${keys.length}`,
      );
    }
    const byId = new Map<string, PublicKey>();
    for (const key of keys) {
      if (byId.has(key.id)) throw new TrustError("BAD_KEY", `keyring: key ${key.id} given twice`);
      byId.set(key.id, key);
    }
    this.keys = [...keys];
    this.#byId = byId;
  }

  /** Whether the key with this id is trusted. */
  has(keyId: string): boolean {
    return this.#byId.has(keyId);
  }

  /** The key with this id, if it is trusted. */
  get(keyId: string): PublicKey | undefined {
    return this.#byId.get(keyId);
  }
}
