/** Packs tree1.tar.gz and tree1.hardlinks.dump of a folder made by mktree.py: pack.mjs FOLDER */
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gunzipSync } from "node:zlib";

const [from = "."] = process.argv.slice(2);
const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
const pack = (name, bytes) =>
  writeFileSync(new URL(name, import.meta.url), brotliCompressSync(bytes, { params }));
pack("tree1.tar.br", gunzipSync(readFileSync(`${from}/tree1.tar.gz`)));
pack("tree1.dump.br", readFileSync(`${from}/tree1.hardlinks.dump`));
