/**
 * Joins the compiled modules of `dist/` into few files for the command and its processes, because
 * loading hundreds of modules takes Node longer than a mount does. The library stays as it is. Shell
 * scripts, which the compiler does not copy, are copied.
 *
 * Usage: node bundle.mjs [DIST]
 *
 * @module
 */
import { copyFileSync, existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "rolldown";
import { thinMaps } from "./bundle-maps.mjs";

const root = dirname(fileURLToPath(import.meta.url));
const dist = process.argv[2] ?? join(root, "dist");

/** These are needed at every start; other packages stay outside, and are loaded when they are used. */
const bundled = /^(?:commander|@noble\/)/;
const isPackage = (id) => /^[@a-z]/.test(id) && !id.startsWith("node:");

/**
 * Of a module, `import.meta.url` is where it was compiled to; code of threads and processes is the
 * bundle of that name. All files of a bundle lie as deep as its entries.
 */
const placesAt = (entry) => ({
  name: "places",
  transform(code, id) {
    if (!id.startsWith(`${dist}/`) || !code.includes("import.meta.url")) return null;
    const module = relative(dist, id);
    const up = "../".repeat(entry.split("/").length - 1);
    const at = (from) => `new URL("${from}${module}", import.meta.url).href`;
    const placed = code
      .split("workerUrl(import.meta.url")
      .map((part) => part.replaceAll("import.meta.url", at(`${up}../`)))
      .join(`workerUrl(${at(up)}`);
    return { code: placed, map: null }; // the lines are the same
  },
});

/** Modules come with their maps, so that those of the bundles lead to `src/`. */
const maps = {
  name: "maps",
  load(id) {
    if (!id.startsWith(`${dist}/`) || !existsSync(`${id}.map`)) return null;
    return { code: readFileSync(id, "utf8"), map: readFileSync(`${id}.map`, "utf8") };
  },
};

/** Packages that some bundle carries. */
const packages = new Set();

/** The licences of these. */
const licences = {
  name: "licences",
  generateBundle(_, files) {
    this.emitFile({ type: "asset", fileName: "package.json", source: '{"type":"commonjs"}\n' });
    for (const id of Object.values(files).flatMap((file) => Object.keys(file.modules ?? {}))) {
      const path = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0];
      if (path !== undefined) packages.add(path);
    }
    const texts = [...packages].map(licenceOf);
    this.emitFile({ type: "asset", fileName: "LICENCES.txt", source: texts.join("\n") });
  },
};

function licenceOf(path) {
  const file = ["LICENSE", "LICENSE.md"].map((name) => join(path, name)).find(existsSync);
  if (file === undefined) throw new Error(`${path}: no licence`);
  return `${relative(join(root, "node_modules"), path)}\n\n${readFileSync(file, "utf8")}`;
}

/** All that a mount needs comes in one piece: the modules behind its command, lazy ones apart. */
function chunkOf() {
  const needed = new Set([join(dist, "cli/commands/mount.js")]);
  return (id, modules) => {
    // What is added meanwhile is looked at, too.
    if (needed.size === 1) {
      for (const each of needed) {
        modules.getModuleInfo(each)?.importedIds.forEach((imported) => needed.add(imported));
      }
    }
    return needed.has(id) ? "mount" : null;
  };
}

const bundle = (entries, output = {}) => ({
  input: Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.js`)])),
  platform: "node",
  external: (id) => isPackage(id) && !bundled.test(id),
  plugins: [maps, placesAt(entries[0]), licences],
  experimental: { attachDebugInfo: "none" },
  logLevel: "warn",
  output: {
    dir: join(dist, "bundle"),
    format: "cjs",
    sourcemap: "hidden", // read after a defect (src/sys/source-stack.ts), never at the start
    sourcemapExcludeSources: true,
    entryFileNames: "[name].js",
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
    ...output,
  },
});

/** The modules that others start as processes and threads, by the calls of `workerUrl`. */
function startedModules() {
  const started = readdirSync(dist, { recursive: true }).flatMap((name) => {
    if (!name.endsWith(".js") || name.startsWith("bundle/")) return [];
    const calls = readFileSync(join(dist, name), "utf8").matchAll(
      /workerUrl\(import\.meta\.url, "(\.[\w./-]+)\.ts"\)/g,
    );
    return Array.from(calls, ([, module]) => join(dirname(name), module));
  });
  return [...new Set(started)];
}

/** What is started: commands, the server process, threads. Each has a bundle of its own. */
const bundles = [
  bundle(["cli/main", "cli/mount-helper"], {
    chunkFileNames: "command/[name].js",
    codeSplitting: { groups: [{ name: chunkOf(), debugName: "mount" }] },
  }),
  ...startedModules().map((name) => bundle([name], { chunkFileNames: `${name}-[name].js` })),
];

for (const each of bundles) await build(each);

// Shell scripts lie beside the modules that run them.
for (const name of readdirSync(join(root, "src"), { recursive: true })) {
  if (name.endsWith(".sh")) copyFileSync(join(root, "src", name), join(dist, name));
}

thinMaps(join(dist, "bundle"));
