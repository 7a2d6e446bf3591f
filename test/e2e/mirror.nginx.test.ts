/** `sealfs fetch` from nginx over a store: as it should be, and as some are. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import { TestAuthority, hasOpenssl } from "../support/certificates.ts";
import { bin, sealfs } from "../support/run.ts";
import { oracle } from "../support/oracle.ts";
import { freePort } from "../support/ports.ts";
import { bundleFor, contentOf, imageWith, objectsIn } from "../support/store.ts";
import { alice } from "../support/trust.ts";
import { Transaction } from "../../src/store/transaction.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";
import { until } from "../support/until.ts";
import { scratchFolder } from "../support/scratch.ts";

const nginx = oracle("nginx");
const name = "registry.example/app:1";
const seeds = Array.from({ length: 12 }, (_, i) => `file-${i}`);
const large = contentOf("large", 1_500_000);

const variants = [
  "plain",
  "tls",
  "noRange",
  "redirect",
  "busy",
  "slow",
  "crawling",
  "wrongCertificate",
] as const;
type Variant = (typeof variants)[number];

describe.skipIf(nginx === undefined || !hasOpenssl)("nginx (needs nginx and openssl)", () => {
  let folder: string;
  let server: Store;
  let client: Store;
  let process: ChildProcess;
  let authority: TestAuthority;
  const ports = {} as Record<Variant, number>;
  const at = (file: string) => join(folder, file);
  const log = () => readFileSync(at("access.log"), "utf8");

  beforeAll(async () => {
    folder = scratchFolder();
    authority = new TestAuthority();
    const good = authority.issue("good", "DNS:localhost,IP:127.0.0.1");
    const bad = authority.issue("bad", "DNS:elsewhere.example");
    for (const [file, { cert, key }] of Object.entries({ good, bad })) {
      writeFileSync(at(`${file}.crt`), cert);
      writeFileSync(at(`${file}.key`), key);
    }
    server = Store.create(at("server"));
    fill(server);
    writeFileSync(at("alice.pub"), alice.publicKey.toPem());
    for (const variant of variants) ports[variant] = await freePort();
    mkdirSync(at("tmp"));
    writeFileSync(at("nginx.conf"), configuration());
    process = spawn(nginx!, ["-p", folder, "-c", at("nginx.conf"), "-e", at("error.log")]);
    await until(() => globalThis.fetch(`http://127.0.0.1:${ports.plain}/meta.json`));
  });
  afterAll(() => {
    process.kill();
  });
  beforeEach(() => {
    rmSync(at("client"), { recursive: true, force: true });
    client = Store.create(at("client"));
    fill(client);
    for (const object of objectsIn(client)) {
      if (object !== id) unlinkSync(client.objects.path(object as typeof id));
    }
    writeFileSync(at("access.log"), "");
  });

  const contents = Object.fromEntries([
    ...seeds.map((seed) => [seed, contentOf(seed)] as const),
    ["large", large] as const,
  ]);
  const image = imageWith(contents);
  const id = verityDigestOf(image);

  function fill(store: Store): void {
    const transaction = Transaction.begin(store, { durability: "none" });
    for (const content of Object.values(contents)) {
      transaction.put(verityDigestOf(content), content);
    }
    transaction.put(id, image);
    transaction.publish({ image: id, name, bundles: [bundleFor(image, name, 1)] });
    transaction.close();
  }

  function configuration(): string {
    const listen = (variant: Variant, more = "") =>
      `server { listen 127.0.0.1:${ports[variant]}${more} }`;
    const ssl = (file: string) =>
      ` ssl; ssl_certificate ${at(file)}.crt; ssl_certificate_key ${at(file)}.key;`;
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (kind) => `${kind}_temp_path ${at("tmp")};`,
    );
    return `daemon off; worker_processes 1; pid ${at("nginx.pid")};
user root;
events { worker_connections 128; }
http {
  log_format brief '$server_port $status $body_bytes_sent $request_uri $http_range';
  access_log ${at("access.log")} brief;
  default_type application/octet-stream;
  root ${server.path};
  ${paths.join(" ")}
  limit_req_zone $binary_remote_addr zone=two:1m rate=2r/s;
  ${listen("plain", ";")}
  ${listen("tls", ssl("good"))}
  ${listen("noRange", "; max_ranges 0;")}
  ${listen("redirect", `; return 302 http://127.0.0.1:${ports.plain}$request_uri;`)}
  ${listen("busy", "; limit_req zone=two burst=2 nodelay;")}
  ${listen("slow", "; limit_rate 256k;")}
  ${listen("crawling", "; limit_rate 8k;")}
  ${listen("wrongCertificate", ssl("bad"))}
}
`;
  }

  const trust = () => ["--key", at("alice.pub"), "--state", "none"];
  const fetch = (variant: Variant, scheme = "http", ...more: string[]) => {
    const host = scheme === "https" ? "localhost" : "127.0.0.1";
    const mirrors = [
      { location: `${scheme}://${host}:${ports[variant]}`, caFile: authority.caFile },
    ];
    writeFileSync(at("mirrors.json"), JSON.stringify({ mirrors }));
    const places = ["--store", client.path, "--mirrors", at("mirrors.json")];
    return sealfs(["fetch", name, ...places, ...trust(), "--json", ...more]);
  };
  const lacks = () =>
    Object.values(contents)
      .map((content) => verityDigestOf(content))
      .filter((digest) => !existsSync(client.objects.path(digest)));

  test.each([
    ["plain", "http"],
    ["tls", "https"],
    ["noRange", "http"],
    ["redirect", "http"],
    ["slow", "http"],
    ["busy", "http"],
  ] as const)("%s over %s: everything comes", (variant, scheme) => {
    const { status, stdout, stderr } = fetch(variant, scheme);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(lacks()).toEqual([]);
    const { fetched, sources } = JSON.parse(stdout);
    expect(fetched).toEqual({ objects: 13, bytes: 1_500_000 + 12 * 5000 });
    // Once and no more, whatever the server does.
    expect(sources[0].bytes).toBe(fetched.bytes);
    if (variant === "busy") expect(sources[0].faults.busy).toBeGreaterThan(0);
    else expect(sources[0].received).toBe(fetched.bytes);
    expect(sealfs(["fsck", "--store", client.path]).status).toBe(0);
  });

  test("a wrong certificate: nothing comes, http is not tried, and the error says why", () => {
    const { status, stderr } = fetch("wrongCertificate", "https");
    expect(status).toBe(6);
    expect(stderr).toContain("certificate");
    expect(lacks()).toHaveLength(13);
    expect(log()).toBe("");
  });

  test("what an interrupted run left is gone on with by a range, or from the start without ranges", () => {
    for (const variant of ["plain", "noRange"] as const) {
      const partial = join(client.path, "tmp", `partial-${verityDigestOf(large)}`);
      rmSync(client.objects.path(verityDigestOf(large)), { force: true });
      writeFileSync(partial, large.subarray(0, 1_000_000));
      writeFileSync(at("access.log"), "");
      expect(fetch(variant).status).toBe(0);
      expect(lacks()).toEqual([]);
      const [line] = log()
        .split("\n")
        .filter((each) => each.includes(verityDigestOf(large).slice(2)));
      const sent = variant === "plain" ? "206 500000" : "200 ";
      expect(line).toContain(`${ports[variant]} ${sent}`);
      expect(line).toContain("bytes=1000000-1499999");
      expect(readdirSync(join(client.path, "tmp"))).toEqual([]);
    }
  });

  test("Ctrl-C leaves a store from which the next run goes on", async () => {
    const places = ["--store", client.path, "--mirrors", "none"];
    const mirror = ["--mirror", `http://127.0.0.1:${ports.crawling}`, "--jobs", "16"];
    const argv = [bin, "fetch", name, ...places, ...mirror, ...trust()];
    const child = spawn(globalThis.process.execPath, argv);
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const partial = join(client.path, "tmp", `partial-${verityDigestOf(large)}`);
    await until(() => existsSync(partial) && lacks().length === 1);
    child.kill("SIGINT");
    const status = await new Promise((resolve) => child.on("exit", resolve));
    expect(status).toBe(130);
    expect(said).toContain("ended by SIGINT");
    expect(lacks()).toEqual([verityDigestOf(large)]);
    expect(readdirSync(join(client.path, "tmp"))).toEqual([`partial-${verityDigestOf(large)}`]);
    writeFileSync(at("access.log"), "");
    expect(fetch("plain").status).toBe(0);
    expect(lacks()).toEqual([]);
    expect(log()).toMatch(/ 206 \d+ .* bytes=[1-9]/);
  });
});
