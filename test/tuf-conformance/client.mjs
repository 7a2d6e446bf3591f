#!/usr/bin/env node
/**
 * The client under test of theupdateframework/tuf-conformance, by its CLIENT-CLI.md: `init`, `refresh`
 * and `download` through the code that `sealfs verify --tuf` uses. Needs dist/ (npm run build).
 *
 *   pytest tuf_conformance --entrypoint "$PWD/test/tuf-conformance/client.mjs"
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openPlace } from "../../dist/tuf/place.js";
import { updateRepository } from "../../dist/tuf/update.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(
    ["metadata-dir", "metadata-url", "target-name", "target-base-url", "target-dir"].map((name) => [
      name,
      { type: "string" },
    ]),
  ),
});
const folder = values["metadata-dir"];
const [command, root] = positionals;

/** Metadata and targets of the suite's server stand under two URLs. */
function placeOf() {
  const places = { metadata: values["metadata-url"], targets: values["target-base-url"] };
  const opened = Object.entries(places)
    .filter(([, url]) => url !== undefined)
    .map(([kind, url]) => [kind, openPlace(url)]);
  const by = new Map(opened);
  return {
    text: values["metadata-url"],
    read: (path, max) => {
      const slash = path.indexOf("/");
      return by.get(path.slice(0, slash)).read(path.slice(slash + 1), max);
    },
    close: () => Promise.all(opened.map(([, place]) => place.close())),
  };
}

async function update(use) {
  const place = placeOf();
  try {
    await updateRepository({ place, folder }, new Date(), use);
  } finally {
    await place.close();
  }
}

async function download({ target }) {
  const name = values["target-name"];
  const path = join(values["target-dir"], encodeURIComponent(name));
  const before = existsSync(path) ? readFileSync(path) : undefined;
  const bytes = await target(name, before);
  if (bytes === undefined) throw new Error(`${name}: not listed`);
  if (bytes !== before) writeFileSync(path, bytes); // the suite looks at the order of changes
}

try {
  if (command === "init") copyFileSync(root, join(folder, "root.json"));
  else if (command === "refresh") await update(async () => {});
  else if (command === "download") await update(download);
  else throw new Error(`expected init, refresh or download, got ${command}`);
} catch (error) {
  console.error(`client: ${error.message}`);
  process.exitCode = 1;
}
