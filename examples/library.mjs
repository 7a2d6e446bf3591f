// Builds the bundled image into a store, signs it, verifies it and reads one of its files, every
// block checked. Needs neither root nor a mount.
//   node examples/library.mjs
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  Keyring,
  PrivateKey,
  Store,
  Stores,
  buildImage,
  fromText,
  imageFacts,
  openVerified,
  parseSource,
  readFileOf,
  settleValidity,
  signFacts,
} from "sealfs";

const archive = fileURLToPath(new URL("site.oci.tar", import.meta.url));
const name = "example.org/site:1.0";
const directory = mkdtempSync(join(tmpdir(), "sealfs-example-"));
try {
  // The build server: has the private key.
  const key = new PrivateKey(crypto.getRandomValues(new Uint8Array(32)));
  const store = Store.create(join(directory, "store"));
  const now = new Date();
  const { digest } = await buildImage(parseSource(`oci-archive:${archive}`), {
    store,
    name,
    sign: ({ bytes, algorithm, profile, source }) => {
      const facts = imageFacts(bytes, algorithm);
      const signed = signFacts(facts, { name, key, profile, source, ...settleValidity({}, now) });
      return [{ keyId: signed.keyId, name, bytes: signed.bundle }];
    },
  });
  console.log(`built ${digest}`);

  // The client: has the public key, and a store that it does not trust.
  const verified = openVerified(
    name,
    { stores: Stores.open([store.path]) },
    { trust: new Keyring([key.publicKey]), now: new Date() },
  );
  console.log(`verified ${verified.statement.name}, signed by ${verified.keyId}`);
  for await (const bytes of readFileOf(verified.image, fromText("/etc/site.conf"), [store.path])) {
    process.stdout.write(bytes);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
