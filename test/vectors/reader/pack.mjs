// Packs golden images and what reference tools say of them; see README.md.
// Usage: node pack.mjs VECTORS-DIRECTORY
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gunzipSync } from "node:zlib";

const [from] = process.argv.slice(2);
const golden = JSON.parse(readFileSync(join(from, "golden.json"), "utf8"));
const images = [];
const cases = [];
for (const { name, results } of golden.cases) {
  if (name === "inline-mix") continue; // 400 kB of random bytes that show nothing new
  for (const version of ["v0", "v1"]) {
    const result = results[version];
    const image = gunzipSync(readFileSync(join(from, result.image)));
    images.push(image);
    cases.push({
      name: `${name}.${version}`,
      size: image.length,
      sha256: result.sha256,
      dump: result.info_dump_exit === 0 ? text(`info/${name}.${version}.dump`) : null,
      view: gunzipSync(readFileSync(join(from, result.kview)))
        .toString("utf8")
        .trimEnd()
        .split("\n")
        // Larger numbers than a double holds stay exact as text.
        .map((line) => JSON.parse(line.replace(/"(mtime_ns|size)": (-?\d{16,})/g, '"$1": "$2"'))),
    });
  }
}

function text(path) {
  return readFileSync(join(from, path), "latin1");
}

function pack(path, bytes) {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  writeFileSync(new URL(path, import.meta.url), brotliCompressSync(bytes, { params }));
}

pack("images.br", Buffer.concat(images));
pack("cases.json.br", Buffer.from(JSON.stringify(cases)));
