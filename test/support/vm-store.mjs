// Runs inside the virtual machine of vm.sh, in a directory that holds dist/ and node_modules/: what a
// store does where the file system has fs-verity. Prints one JSON document.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { checkStore } from "./dist/store/fsck/fsck.js";
import { collectGarbage } from "./dist/store/gc/gc.js";
import { repairFrom } from "./dist/store/fsck/repair-source.js";
import { Store } from "./dist/store/store.js";
import { Transaction } from "./dist/store/transaction.js";
import { measureVerity } from "./dist/sys/fsverity.js";
import { verityDigestOf } from "./dist/verity/hasher.js";

const content = (seed, size) => Buffer.alloc(size, `content of ${seed}, `);
const sizes = [100, 4096, 70_000, 600_000];

function measured(path) {
  const fd = openSync(path, "r");
  try {
    return measureVerity(fd) ?? "none";
  } catch (error) {
    return error.code;
  } finally {
    closeSync(fd);
  }
}
const objectsIn = (store) =>
  readdirSync(store.objects.directory).flatMap((fan) =>
    readdirSync(`${store.objects.directory}/${fan}`).map((rest) => fan + rest),
  );
const isProtected = (store) =>
  objectsIn(store).every((digest) => measured(store.objects.path(digest)) === digest);
const modes = (store) => [
  ...new Set(objectsIn(store).map((digest) => statSync(store.objects.path(digest)).mode & 0o777)),
];

/** Publishes and looks at what is there when the content is brought to the disk, before any name. */
function publish(store, durability, seed) {
  const before = [];
  const sync = () => {
    if (before.length > 0) return;
    for (const name of readdirSync(`${store.path}/tmp`)) {
      for (const file of readdirSync(`${store.path}/tmp/${name}`)) {
        if (file !== "lock") before.push(measured(`${store.path}/tmp/${name}/${file}`));
      }
    }
    before.push(`published: ${objectsIn(store).length}`);
  };
  const transaction = Transaction.begin(store, { durability, sync });
  try {
    for (const size of sizes) {
      const bytes = content(seed, size);
      transaction.put(verityDigestOf(bytes, store.algorithm), bytes);
    }
    transaction.publish();
  } finally {
    transaction.close();
  }
  return before.map((value) => (/^[0-9a-f]+$/.test(value) ? "protected" : value));
}

if (process.argv[2] === "user") {
  publish(Store.create("/scratch/home/store"), "transaction", "user");
  process.exit();
}

const result = {};
for (const algorithm of ["sha256", "sha512"]) {
  const store = Store.create(`/scratch/${algorithm}`, { algorithm });
  const before = publish(store, "transaction", "a");
  publish(store, "object", "b");
  result[algorithm] = {
    before,
    objects: objectsIn(store).length,
    protected: isProtected(store),
    modes: modes(store),
  };
}

const elsewhere = Store.create("/tmp/store");
publish(elsewhere, "transaction", "a");
const [any] = objectsIn(elsewhere);
result.without = {
  objects: objectsIn(elsewhere).length,
  measured: measured(elsewhere.objects.path(any)),
};

// As a user who may not write to a file of mode 0444, though it is theirs.
mkdirSync("/scratch/home");
chownSync("/scratch/home", 65534, 65534);
chmodSync("/scratch", 0o755);
const user = spawnSync(process.execPath, ["vm-store.mjs", "user"], {
  encoding: "utf8",
  uid: 65534,
  gid: 65534,
});
const home = Store.open("/scratch/home/store");
result.user = {
  status: user.status,
  said: user.stderr,
  objects: objectsIn(home).length,
  protected: isProtected(home),
  modes: modes(home),
};

// Nothing of this keeps a store from being kept.
const store = Store.open("/scratch/sha256");
const victim = verityDigestOf(content("a", 70_000));
const path = store.objects.path(victim);
try {
  closeSync(openSync(path, constants.O_RDWR));
  result.write = "ok";
} catch (error) {
  result.write = error.code;
}
rmSync(path);
writeFileSync(path, "wrong");
const transaction = Transaction.begin(store);
transaction.put(victim, content("a", 70_000));
const { replaced } = transaction.publish();
transaction.close();
result.replaced = [replaced.length, measured(path) === victim];
rmSync(path);
writeFileSync(path, "wrong again");
const { problems } = await checkStore(store, {
  threads: 0,
  repair: true,
  from: [repairFrom(elsewhere)],
});
result.fsck = [problems.map(({ kind, repair }) => `${kind}:${repair}`), measured(path) === victim];
const { removed } = collectGarbage(store, { quarantine: true });
result.gc = [
  removed.objects,
  objectsIn(store).length,
  readdirSync(`${store.path}/quarantine`).length,
];
console.log(JSON.stringify(result));
