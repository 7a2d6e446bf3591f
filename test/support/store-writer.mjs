// Writes into a store in a process of its own, to be killed, traced or run beside others:
// node store-writer.mjs STORE NAME COUNT [SEED] [--pause] [--durability=HOW]
// Stages COUNT objects and publishes them with an image named NAME. With --pause it says "staged"
// and waits for a line on standard input before it publishes. Uses the compiled library.
import { once } from "node:events";
import { Store } from "../../dist/store/store.js";
import { Transaction } from "../../dist/store/transaction.js";
import { verityDigestOf } from "../../dist/verity/hasher.js";

const [directory, name, count, seed = "x"] = process.argv.slice(2);
const option = process.argv.find((argument) => argument.startsWith("--durability="));
const transaction = Transaction.begin(Store.open(directory), {
  durability: option?.slice("--durability=".length),
});
try {
  for (let i = 0; i < Number(count); i++) {
    const content = Buffer.from(`object ${i} of ${seed} `.repeat(50));
    transaction.put(verityDigestOf(content), content);
  }
  const image = Buffer.from(`image of ${seed} `.repeat(50));
  const id = verityDigestOf(image);
  transaction.put(id, image);
  if (process.argv.includes("--pause")) {
    console.log("staged");
    await once(process.stdin, "data");
    process.stdin.pause();
  }
  transaction.publish({ image: id, name });
  console.log(id);
} finally {
  transaction.close();
}
