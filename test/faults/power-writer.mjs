// Publishes, re-publishes, removes and collects on a store until it is killed or the store fails, and
// says on standard output what it has begun and what it has been told is done:
// node power-writer.mjs STORE SEED DURABILITY [PREFIX [nogc]]
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { parseDump } from "../../dist/tree/dump-reader.js";
import { writeImage } from "../../dist/erofs/writer.js";
import { collectGarbage } from "../../dist/store/gc/gc.js";
import { removeNames } from "../../dist/store/remove-name.js";
import { Store } from "../../dist/store/store.js";
import { Transaction } from "../../dist/store/transaction.js";
import { verityDigestOf } from "../../dist/verity/hasher.js";

const [directory, seed, durability, prefix = "n", nogc] = process.argv.slice(2);
const say = (...words) => writeSync(1, `${words.join(" ")}\n`);
const store = Store.open(directory);
const NAMES = 6;

function publish(name) {
  const objects = [
    randomBytes(100),
    randomBytes(5000),
    randomBytes(70_000),
    Buffer.alloc(5000, "shared"),
  ];
  const lines = objects.map((content, i) => {
    const digest = verityDigestOf(content);
    const path = `${digest.slice(0, 2)}/${digest.slice(2)}`;
    return `/f${i} ${content.length} 100644 1 0 0 0 1.0 ${path} - ${digest}\n`;
  });
  const image = writeImage(
    parseDump(Buffer.from(`/ 4096 40755 2 0 0 0 1.0 - - -\n${lines.join("")}`)),
  );
  const id = verityDigestOf(image);
  say("publishing", name, id);
  const transaction = Transaction.begin(store, { durability });
  try {
    for (const content of objects) transaction.put(verityDigestOf(content), content);
    transaction.put(id, image);
    transaction.publish({ image: id, name });
  } finally {
    transaction.close();
  }
  say("published", name, id);
}

for (let turn = Number(seed); ; turn++) {
  const name = `${prefix}${turn % NAMES}`;
  if (turn % 5 === 4 && store.images.lookup(name) !== undefined) {
    say("removing", name);
    removeNames(store, [name]);
    say("removed", name);
  } else publish(name);
  if (turn % 4 === 3 && nogc === undefined) {
    collectGarbage(store);
    say("collected");
  }
}
