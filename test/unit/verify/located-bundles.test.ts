/** How many bundles, and how many signatures in them, are looked at for one image. */
import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { limits } from "../../../src/limits.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { formatEnvelope } from "../../../src/trust/bundle.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import { verifyBundles } from "../../../src/trust/verify-bundles.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { locateImage } from "../../../src/verify/locate.ts";
import { contentOf, imageWith } from "../../support/store.ts";
import { lower } from "../../support/limits.ts";
import { scratchFolder } from "../../support/scratch.ts";
import {
  alice,
  envelopeOf,
  keyring,
  mallory,
  name,
  now,
  plainStatement,
  testKey,
} from "../../support/trust.ts";

const image = imageWith({ a: contentOf("a") });
let store: Store;
const keyNumbers = (count: number) => Array.from({ length: count }, (_, number) => number + 40);
const located = (trust: Keyring) =>
  locateImage("app", { stores: new Stores([store]) }, trust).bundles;

beforeEach(() => {
  store = Store.create(join(scratchFolder(), "store"));
});

/** Bundles about the image by this number of keys, under a name of their own. */
function sign(keys: readonly number[], as = "app") {
  const created = new Date("2026-09-01T00:00:00Z");
  const expires = new Date("2027-09-01T00:00:00Z");
  return keys.map((number) => {
    const key = testKey(number);
    const { bundle, keyId } = signImage(image, { name: as, key, version: 1, created, expires });
    return { keyId, bytes: bundle, name: as };
  });
}

function publishWith(bundles: ReturnType<typeof sign>): void {
  const transaction = Transaction.begin(store, { durability: "none" });
  const id = verityDigestOf(image);
  transaction.put(id, image);
  transaction.publish({ image: id, bundles, name: "app" });
  transaction.close();
}

test("bundles are looked at up to the limit, those by trusted keys first, and no others are read", () => {
  lower("bundles", 5);
  publishWith(sign(keyNumbers(limits.bundles)));
  expect(located(keyring)).toHaveLength(limits.bundles);
  const more = sign(keyNumbers(limits.bundles + 1));
  publishWith(more);
  expect(located(keyring)).toHaveLength(limits.bundles);
  for (const { bytes } of more) {
    const key = more.findIndex((each) => each.bytes === bytes);
    const trust = new Keyring([testKey(keyNumbers(more.length)[key]!).publicKey]);
    expect(Buffer.from(located(trust)[0]!).equals(bytes)).toBe(true);
  }
});

test("bundles that cannot be read take no good one's place", () => {
  lower("bundles", 5);
  publishWith(sign(keyNumbers(8)));
  const folder = join(store.path, "bundles", verityDigestOf(image));
  for (const file of readdirSync(folder).slice(0, 5)) truncateSync(join(folder, file), 1 << 30);
  expect(located(keyring)).toHaveLength(3);
});

test("signatures without a hint are tried up to the limit", () => {
  lower("signatureTries", 4);
  const both = new Keyring([alice.publicKey, testKey(3).publicKey]);
  const payload = JSON.stringify(plainStatement());
  // Two keys are tried with each of the strangers' signatures, and alice's is the last.
  const verdict = (strangers: number) => {
    const keys = [...Array.from({ length: strangers }, () => mallory), alice];
    const envelope = envelopeOf(payload, keys);
    const signatures = envelope.signatures.map((each) => ({ ...each, keyId: "" }));
    const { accepted } = verifyBundles([formatEnvelope({ ...envelope, signatures })], both, {
      name,
      now,
    });
    return accepted.length;
  };
  expect([verdict(1), verdict(2)]).toEqual([1, 0]);
});
