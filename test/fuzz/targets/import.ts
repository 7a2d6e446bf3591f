/** Archives of `sealfs import`: a published image, or a typed error and an empty store. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importImage } from "../../../src/archive/import.ts";
import { TrustPolicy } from "../../../src/trust/policy.ts";
import { Store } from "../../../src/store/store.ts";
import { fixChecksum } from "../../support/tar.ts";
import { keyring, now } from "../../support/trust.ts";
import { acceptedLater, pieces, same } from "../invariant.ts";

const trust = { trust: TrustPolicy.ofKeyring(keyring), state: undefined };

export async function fuzz(data: Uint8Array): Promise<void> {
  const bytes = Uint8Array.from(data);
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (String.fromCharCode(...bytes.subarray(at + 257, at + 262)) === "ustar") {
      fixChecksum(bytes.subarray(at, at + 512));
    }
  }
  for (const trusted of [trust, undefined]) {
    const folder = mkdtempSync(join(tmpdir(), "sealfs-fuzz-"));
    try {
      const store = join(folder, "store");
      const options = { trust: trusted, now, durability: "none" as const };
      const done = await acceptedLater(() => importImage(store, chunks(bytes), options));
      if (done === undefined) continue;
      same(done.id, Store.open(store).images.resolve(done.name ?? done.id), "the image");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield* pieces(bytes);
}
