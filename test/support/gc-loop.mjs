// Collects again and again until it is killed: node gc-loop.mjs STORE. Says how each run ended.
import { writeSync } from "node:fs";
import { collectGarbage } from "../../dist/store/gc/gc.js";
import { Store } from "../../dist/store/store.js";

const store = Store.open(process.argv[2]);
for (;;) {
  try {
    const { removed } = collectGarbage(store, { timeoutMs: 150_000 });
    writeSync(1, `collected ${removed.objects}\n`);
  } catch (error) {
    writeSync(1, `failed ${error.code} ${error.message}\n`);
  }
}
