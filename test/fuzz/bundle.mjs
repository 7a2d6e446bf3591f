/**
 * A fuzz target, or the maker of its corpus, as one CommonJS file, so that the branches of all that it
 * runs can be counted (`instrument.mjs`).
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "rolldown";

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, "../..");
/** Bundles, what the fuzzer has found interesting, and inputs that failed. */
export const work = join(root, ".fuzz");

const isPackage = (id) => /^(?:node:|@?[a-z])/.test(id);

/** Modules find the files beside them, though the bundle lies elsewhere. */
const places = {
  name: "places",
  transform(code, id) {
    if (!code.includes("import.meta.")) return null;
    return code
      .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(id).href))
      .replaceAll("import.meta.dirname", JSON.stringify(dirname(id)));
  },
};

/** Bundles a module of this folder and returns where the bundle is. */
export async function bundle(module) {
  const file = join(work, "code", `${module.replaceAll("/", "-").replace(/\.ts$/, "")}.cjs`);
  await build({
    input: join(here, module),
    platform: "node",
    external: isPackage,
    plugins: [places],
    logLevel: "warn",
    output: { file, format: "cjs", codeSplitting: false, sourcemap: false },
  });
  return file;
}
