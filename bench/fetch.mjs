/**
 * Fetching an image from a registry over a link of 3 MB/s and 20 ms, and over one without limits: all of
 * it, only /etc, and what a lazy mount takes from nothing to the first byte of a file and to 5 % of the
 * files read, beside `skopeo copy` and `umoci unpack` of all of it. Whole processes in
 * alternation, medians and the medians of the rounds' ratios. The link is a network namespace: the
 * kernel limits its rate, a forwarder delays. Needs root, iproute2, dist/ (npm run build), the oracles
 * (.ci/oracles) and an OCI layout.
 *
 * Usage: node bench/fetch.mjs [ROUNDS] [LAYOUT]
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Namespace } from "./support/namespace.mjs";
import { Results } from "./support/results.mjs";
import { oracle, run, sealfs } from "./support/tools.mjs";

const rounds = Number(process.argv[2] ?? 3);
const bed = process.env.SEALFS_BED ?? join(homedir(), ".cache/sealfs-bed");
const layout = process.argv[3] ?? join(bed, "images/minbase/gzip");
const RATE = 3_000_000;
const DELAY_MS = 20;
const PORT = 5810;
const NAME = "registry.example/bench:1";

const tools = ["skopeo", "umoci", "docker-registry"].map((name) => [name, oracle(name)]);
const missing = tools.filter(([, path]) => path === undefined).map(([name]) => name);
if (!existsSync(join(layout, "index.json"))) missing.push(layout);
if (missing.length > 0) {
  console.log(`fetch: needs ${missing.join(", ")}`);
  process.exit(0);
}
const [skopeo, umoci, registry] = tools.map(([, path]) => path);

mkdirSync(join(homedir(), ".cache"), { recursive: true });
const lazyReader = fileURLToPath(new URL("support/lazy-reader.mjs", import.meta.url));
const folder = mkdtempSync(join(homedir(), ".cache/sealfs-bench-fetch-"));
let fresh = 0;
const freshPath = () => join(folder, `${fresh++}`);
const at = (name) => join(folder, name);
const ours = (argv, options) => run(process.execPath, [sealfs, ...argv], options);

/** A store with the image and none of its objects. */
function thinStore(id) {
  const path = freshPath();
  cpSync(at("full"), path, { recursive: true, verbatimSymlinks: true });
  for (const fan of readdirSync(join(path, "objects"))) {
    for (const rest of readdirSync(join(path, "objects", fan))) {
      if (fan + rest !== id) rmSync(join(path, "objects", fan, rest));
    }
  }
  return path;
}

const namespace = new Namespace();
const host = (port) => `${namespace.address}:${port}`;
const config = {
  version: 0.1,
  log: { level: "error" },
  storage: { filesystem: { rootdirectory: at("registry") } },
  http: { addr: host(PORT) },
};
writeFileSync(at("registry.yml"), JSON.stringify(config));
const server = spawn(registry, ["serve", at("registry.yml")], { stdio: "ignore" });

try {
  for (let up = false; !up;) {
    up = await fetch(`http://${host(PORT)}/v2/`).then(
      (answer) => answer.ok,
      () => false,
    );
  }
  const copy = ["copy", "--insecure-policy", "--quiet"];
  const target = `docker://${host(PORT)}/app:1`;
  run(skopeo, [...copy, "--dest-tls-verify=false", "--preserve-digests", `oci:${layout}`, target]);
  ours(["keygen", "-o", at("signer")]);
  const signing = ["--name", NAME, "--key", at("signer.key")];
  const id = ours(["build", `oci:${layout}`, "--store", at("full"), ...signing]).trim();
  const auth = at("auth.json");
  writeFileSync(auth, "{}");
  const reach = ["--tls-verify", "false", "--authfile", auth];
  ours(["push", NAME, target, "--store", at("full"), ...reach]);
  const delayed = await namespace.delayed(PORT, DELAY_MS);

  const fetchWith = (port, ...more) => {
    const store = thinStore(id);
    const mirrors = freshPath();
    const mirror = { location: `docker://${host(port)}/app`, insecure: true };
    writeFileSync(mirrors, JSON.stringify({ mirrors: [mirror] }));
    const places = ["--store", store, "--mirrors", mirrors, "--json"];
    const argv = [sealfs, "fetch", NAME, ...places, "--key", at("signer.pub"), "--state", "none"];
    run("sync", []);
    const start = performance.now();
    const result = JSON.parse(namespace.run(process.execPath, [...argv, ...more]));
    const ms = performance.now() - start;
    rmSync(store, { recursive: true });
    return { ms, bytes: result.sources[0].received, objects: result.fetched.objects };
  };
  const unpack = (port) => {
    const place = freshPath();
    run("sync", []);
    const start = performance.now();
    const source = `docker://${host(port)}/app:1`;
    namespace.run(skopeo, [...copy, "--src-tls-verify=false", source, `oci:${place}:1`]);
    namespace.run(umoci, ["unpack", "--image", `${place}:1`, freshPath()]);
    const ms = performance.now() - start;
    rmSync(place, { recursive: true });
    return { ms };
  };
  /** Everything is new for it: store, image, index. */
  const lazy = (port) => {
    const store = freshPath();
    const mnt = freshPath();
    mkdirSync(mnt);
    const pull = [`docker://${host(port)}/app:1`, "--store", store, "--name", NAME, ...reach];
    const trust = ["--key", at("signer.pub"), "--state", "none"];
    run("sync", []);
    const argv = [lazyReader, sealfs, mnt, ...pull, ...trust];
    const result = JSON.parse(namespace.run(process.execPath, argv));
    rmSync(store, { recursive: true });
    return { ms: result.first, later: result.share, bytes: result.received, objects: result.files };
  };
  const systems = [
    ["lazy: first byte", lazy],
    ["fetch", (port) => fetchWith(port)],
    ["fetch /etc", (port) => fetchWith(port, "--path", "/etc")],
    ["skopeo+umoci", unpack],
  ];
  const results = new Results();
  const links = [
    [`${RATE / 1e6} MB/s, ${DELAY_MS} ms`, delayed, () => namespace.limit(RATE)],
    ["no limits", PORT, () => namespace.unlimit()],
  ];
  for (const [link, port, shape] of links) {
    shape();
    for (let round = 0; round < rounds; round++) {
      for (const [name, work] of round % 2 === 0 ? systems : systems.toReversed()) {
        const { ms, later, bytes, objects } = work(port);
        results.note(link, "s", name, ms / 1000);
        if (later !== undefined) results.note(link, "s", "lazy: 5 %", later / 1000);
        if (round === 0 && bytes !== undefined) {
          console.log(`  ${link}: ${name}: ${objects} objects for ${bytes} bytes`);
        }
      }
    }
  }
  console.log(`fetching ${layout}, ${rounds} rounds: median (best)`);
  const columns = systems.map(([name]) => name);
  results.printTable([columns[0], "lazy: 5 %", ...columns.slice(1)]);
  console.log("ratios (median of the rounds):");
  for (const [link] of links) {
    results.printRatio(link, "lazy: first byte", "skopeo+umoci", 1);
    results.printRatio(link, "lazy: 5 %", "skopeo+umoci", 1);
    results.printRatio(link, "fetch", "skopeo+umoci", 1);
    results.printRatio(link, "fetch /etc", "skopeo+umoci");
  }
} finally {
  server.kill();
  namespace.remove();
  rmSync(folder, { recursive: true, force: true });
}
