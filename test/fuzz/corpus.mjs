/**
 * Makes `corpus/TARGET` anew, a few small inputs for each target (`seeds.ts`).
 *
 * Usage: npm run fuzz:corpus
 *
 * @module
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { bundle, here } from "./bundle.mjs";

const { seeds } = createRequire(import.meta.url)(await bundle("seeds.ts"));
for (const [target, inputs] of Object.entries(await seeds())) {
  const folder = join(here, "corpus", target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  inputs.forEach((bytes, number) => {
    writeFileSync(join(folder, String(number).padStart(2, "0")), bytes);
  });
}
