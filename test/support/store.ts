/**
 * Stores with small images for tests, and ways to damage them.
 *
 * @module
 */
import { chmodSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeImage } from "../../src/erofs/writer.ts";
import { signImage } from "../../src/sign/sign-image.ts";
import type { PrivateKey } from "../../src/trust/private-key.ts";
import { fanOut } from "../../src/store/layout.ts";
import type { Store } from "../../src/store/store.ts";
import { Transaction, type TransactionOptions } from "../../src/store/transaction.ts";
import { parseDump } from "../../src/tree/dump-reader.ts";
import { type VerityDigest, objectPath } from "../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";
import { alice } from "./trust.ts";

/** Content of an object, more than what an image holds itself; the same for the same seed. */
export function contentOf(seed: string, bytes = 5000): Buffer {
  return Buffer.alloc(bytes, `object of ${seed}, `);
}

/** The image of files in the root, each an object. */
export function imageWith(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const lines = Object.entries(files).map(([name, content]) => {
    const digest = verityDigestOf(content);
    return `/${name} ${content.length} 100644 1 0 0 0 1.0 ${objectPath(digest)} - ${digest}`;
  });
  return writeImage(
    parseDump(Buffer.from(`/ 4096 40755 2 0 0 0 1.0 - - -\n${lines.join("\n")}\n`)),
  );
}

export interface PublishOptions {
  readonly key?: PrivateKey;
  /** Version of the signed statement; unsigned when not given. */
  readonly version?: number;
  readonly durability?: TransactionOptions["durability"];
}

/** Publishes an image whose files are objects of these seeds; returns its id. */
export function publish(
  store: Store,
  name: string | undefined,
  seeds: readonly string[],
  { key = alice, version, durability = "none" }: PublishOptions = {},
): VerityDigest {
  const files = Object.fromEntries(seeds.map((seed) => [seed, contentOf(seed)]));
  const image = imageWith(files);
  const id = verityDigestOf(image);
  const transaction = Transaction.begin(store, { durability });
  try {
    for (const content of Object.values(files)) transaction.put(verityDigestOf(content), content);
    transaction.put(id, image);
    const bundles = version === undefined ? [] : [bundleFor(image, name ?? "app", version, key)];
    transaction.publish({ image: id, bundles, ...(name === undefined ? {} : { name }) });
    return id;
  } finally {
    transaction.close();
  }
}

/** A signed statement about an image, valid in the tests' year. */
export function bundleFor(image: Uint8Array, name: string, version: number, key = alice) {
  const signed = signImage(image, {
    name,
    key,
    version,
    created: new Date("2026-09-01T00:00:00Z"),
    expires: new Date("2027-09-01T00:00:00Z"),
  });
  return { keyId: signed.keyId, bytes: signed.bundle, name };
}

/** Every object of a store, sorted, unchecked. */
export function objectsIn(store: Store): string[] {
  return fanOut.flatMap((fan) =>
    readdirSync(join(store.path, "objects", fan)).map((rest) => fan + rest),
  );
}

/** The object of a seed. */
export const digestOf = (seed: string) => verityDigestOf(contentOf(seed));

/** Flips a byte of an object. */
export function damage(store: Store, digest: VerityDigest): void {
  const path = store.objects.path(digest);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
  chmodSync(path, 0o444);
}
