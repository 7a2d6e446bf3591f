/**
 * Builds that follow a build: the same image again, the same without memory (`--no-cache`), and a second
 * version whose uppermost layer is another; against the first build. Whole processes, signed and
 * durable, from a registry on this machine that counts the bytes of layers that it sends. The layers are
 * folders of this machine.
 *
 * Usage: node bench/rebuild.mjs [ROUNDS] [FOLDER…]: a layer of each folder; the last one
 * takes the place of the one before it in the second version
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { median, run, sealfs } from "./support/tools.mjs";

const rounds = Number(process.argv[2] ?? 3);
const given = process.argv.slice(3);
const usual = [
  "/usr/bin",
  "/usr/include",
  "/usr/share/doc",
  "/usr/share/man",
  "/usr/share/locale",
  "/usr/share/perl",
  "/usr/lib/git-core",
];
const folders = (given.length > 0 ? given : usual).filter((path) => existsSync(path));

// Not in /tmp, which is often a file system in memory.
mkdirSync(join(homedir(), ".cache"), { recursive: true });
const place = mkdtempSync(join(homedir(), ".cache/sealfs-bench-rebuild-"));
const blobs = new Map();
let sent = 0;

function keep(bytes, isLayer = false) {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  blobs.set(digest, { bytes, isLayer });
  return { digest, size: bytes.length };
}

function layerOf(folder) {
  const args = ["-C", "/", "-cf", "-", folder.slice(1)];
  const { stdout } = spawnSync("tar", args, {
    maxBuffer: 1 << 30,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { digest } = keep(stdout);
  blobs.delete(digest);
  const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
  return { diffId: digest, bytes: stdout.length, ...keep(gzipSync(stdout), true), mediaType };
}

function manifestOf(layers) {
  const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  const config = keep(Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", rootfs })));
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    }),
  );
}

function serve(manifests) {
  const server = createServer(({ url, headers }, response) => {
    const [, kind, name] = /^\/v2\/app\/(manifests|blobs)\/(.*)$/.exec(url) ?? [];
    const { bytes, isLayer } =
      kind === "manifests" ? { bytes: manifests.get(name) } : (blobs.get(name) ?? {});
    if (bytes === undefined) return void response.writeHead(url === "/v2/" ? 200 : 404).end();
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const part = from === undefined ? bytes : bytes.subarray(Number(from), Number(to) + 1);
    if (isLayer) sent += part.length;
    response.writeHead(from === undefined ? 200 : 206, {
      "content-type": "application/vnd.oci.image.manifest.v1+json",
      "content-length": part.length,
      ...(from !== undefined && {
        "content-range": `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`,
      }),
    });
    response.end(part);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Wall and CPU seconds, the most memory in MB, and MB of layers that were asked for. */
async function timeOf(...args) {
  spawnSync("sync"); // what the last command left to the kernel is not this one's
  sent = 0;
  const child = spawn("/usr/bin/time", ["-f", "%e %U %S %M", process.execPath, sealfs, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  for await (const chunk of child.stderr) text += chunk;
  const [wall, user, system, kilobytes] = text.trim().split("\n").at(-1).split(" ").map(Number);
  if (!(wall > 0)) throw new Error(text);
  return { wall, cpu: user + system, memory: kilobytes / 1000, sent: sent / 1e6 };
}

try {
  const layers = folders.map(layerOf);
  const first = layers.slice(0, -1);
  const manifests = new Map([
    ["1", manifestOf(first)],
    ["2", manifestOf([...first.slice(0, -1), layers.at(-1)])],
  ]);
  const server = await serve(manifests);
  const source = `docker://127.0.0.1:${server.address().port}/app`;
  const mb = (list, key) => (list.reduce((sum, layer) => sum + layer[key], 0) / 1e6).toFixed(0);
  console.log(
    `${first.length} layers, ${mb(first, "size")} MB, ${mb(first, "bytes")} MB uncompressed`,
  );
  run(process.execPath, [sealfs, "keygen", "-o", join(place, "key")]);
  const results = {};
  for (let round = 0; round <= rounds; round++) {
    const store = join(place, `store-${round}`);
    const build = async (what, tag, ...more) => {
      const options = ["--store", store, "--name", "app", "--key", join(place, "key.key")];
      const version = ["--version", `${1_900_000_000 + Number(tag)}`];
      const taken = await timeOf("build", `${source}:${tag}`, ...options, ...version, ...more);
      if (round > 0) (results[what] ??= []).push(taken); // one to warm up
    };
    await build("first build", "1");
    await build("the same again", "1");
    await build("the same, --no-cache", "1", "--no-cache");
    await build("second version", "2");
  }
  server.close();
  const of = (list, key) => median(list.map((each) => each[key]));
  const base = results["first build"];
  for (const [what, list] of Object.entries(results)) {
    const ratio = median(list.map(({ wall }, i) => wall / base[i].wall));
    console.log(
      `${what}: ${of(list, "wall").toFixed(2)} s (CPU ${of(list, "cpu").toFixed(2)} s, ` +
        `${of(list, "memory").toFixed(0)} MB), ratio ${ratio.toFixed(2)}; ` +
        `${of(list, "sent").toFixed(1)} MB of layers asked for`,
    );
  }
} finally {
  rmSync(place, { recursive: true, force: true });
}
