// Packs golden dumps into cases.json.br: node pack.mjs FOLDER, with golden.json, dumps/, errors/ and
// trees/trees.json as `golden.json` names them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const folder = process.argv[2];
const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
const text = (path) => readFileSync(join(folder, path), "latin1");
const results = ({ v0, v1, auto }) =>
  Object.fromEntries(Object.entries({ v0, v1, auto }).map(([key, { sha256 }]) => [key, sha256 ?? null]));

const trees = JSON.parse(text("trees/trees.json"));

const packed = {
  cases: golden.cases.map((row) => ({
    name: row.name,
    description: row.description,
    strict: row.env.CFS_PARSE_STRICT !== undefined,
    sha256: results(row.results),
    dump: text(row.dump),
  })),
  errors: golden.errors.map((row) => ({
    name: row.name,
    description: row.description,
    strict: row.env.CFS_PARSE_STRICT !== undefined,
    args: row.args,
    dump: text(row.dump),
  })),
  generated: golden.generated.map((row) => {
    const [, entries, seed, profile] = row.generator.split(" ");
    return {
      entries: Number(entries),
      seed: Number(seed),
      profile,
      dumpSha256: row.dump_sha256,
      sha256: results(row.results),
    };
  }),
  tree: {
    runs: trees.runs.map(({ args, sha256, fsverity }) => ({ args, sha256, fsverity })),
    objects: trees.objects, // path, size and mode of each file in the digest store
  },
};
const bytes = Buffer.from(JSON.stringify(packed), "utf8");
const params = {
  [constants.BROTLI_PARAM_QUALITY]: 11,
  [constants.BROTLI_PARAM_LGWIN]: 24,
  [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
};
writeFileSync(new URL("cases.json.br", import.meta.url), brotliCompressSync(bytes, { params }));
