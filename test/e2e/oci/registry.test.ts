/** The registry client against a registry that has the habits of several real ones. */
import { createServer } from "node:http";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import { parseChallenges } from "../../../src/oci/registry/challenge.ts";
import { findCredential } from "../../../src/oci/registry/credentials.ts";
import { openRegistryImage } from "../../../src/oci/source/registry-image.ts";
import { parseRegistryReference, registryName } from "../../../src/oci/registry-reference.ts";
import { addToFallback, listReferrers, referrersTag } from "../../../src/oci/registry/referrers.ts";
import { type RegistryOptions, RegistrySession } from "../../../src/oci/registry/session.ts";
import { uploadBlob, putManifest } from "../../../src/oci/registry/upload.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { readRange } from "../../../src/oci/blob.ts";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { limits } from "../../../src/limits.ts";
import { TestLayout, layerTar, types } from "../../support/oci.ts";
import {
  PASSWORD,
  type RegistryHabits,
  TestRegistry,
  USER,
  sha256,
} from "../../support/registry.ts";
import { runMain } from "../../support/run.ts";
import { freePort } from "../../support/ports.ts";
import { scratchFolder } from "../../support/scratch.ts";

const REPO = "team/app";

async function start(habits: RegistryHabits = {}, options: RegistryOptions = {}) {
  const server = await TestRegistry.start(habits);
  return { server, registry: client(server, options) };
}

function client(server: TestRegistry, options: RegistryOptions = {}, repository = REPO): Registry {
  const registry = new Registry(
    { host: server.host, repository },
    { authFile: noAuth(), ...options },
  );
  onTestFinished(() => registry.close());
  return registry;
}

function authFile(content: unknown): string {
  const path = join(scratchFolder(), "auth.json");
  writeFileSync(path, JSON.stringify(content));
  return path;
}

test("a registry that could not be reached is asked again", async () => {
  const port = await freePort();
  const place = { host: `127.0.0.1:${port}`, repository: REPO };
  const session = new RegistrySession(place, { authFile: noAuth() });
  onTestFinished(() => session.close());
  await expect(session.url("x")).rejects.toMatchObject({ code: "UNREACHABLE" });
  const server = createServer((_, response) => response.end("{}"));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  expect((await session.url("x")).pathname).toMatch(/x$/);
});

const noAuth = () => authFile({});
const auth = Buffer.from(`${USER}:${PASSWORD}`).toString("base64");

/** An image of one layer, under a tag. */
async function addImage(server: TestRegistry, tag = "1.0", text = "x".repeat(5000)) {
  const layout = new TestLayout();
  const manifest = layout.image([await layerTar(text)]);
  for (const [path, bytes] of layout.files) {
    if (path === `blobs/${manifest.digest.replace(":", "/")}`) {
      server.addManifest(REPO, tag, types.manifest, bytes);
    } else if (path.startsWith("blobs/")) server.addBlob(REPO, bytes);
  }
  return { manifest, layout };
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => "accepted",
    (error: unknown) => (error instanceof SealfsError ? error.code : String(error)),
  );

describe("references", () => {
  test.each([
    ["docker://registry.example/app:1.0", "registry.example/app:1.0"],
    ["docker://registry.example:5000/a/b/c", "registry.example:5000/a/b/c:latest"],
    ["docker://localhost/app", "localhost/app:latest"],
    ["docker://[::1]:5000/app:x", "[::1]:5000/app:x"],
    ["docker://busybox", "docker.io/library/busybox:latest"],
    ["docker://index.docker.io/team/app", "docker.io/team/app:latest"],
    [`docker://h.example/a@sha256:${"a".repeat(64)}`, `h.example/a@sha256:${"a".repeat(64)}`],
    [`docker://h.example/a:t@sha256:${"a".repeat(64)}`, `h.example/a:t@sha256:${"a".repeat(64)}`],
  ])("%s is %s", (text, name) => {
    expect(registryName(parseRegistryReference(text))).toBe(name);
  });

  test.each([
    "docker:registry.example/app",
    "docker://",
    "docker://registry.example/",
    "docker://registry.example/App",
    "docker://registry.example/a/../b",
    "docker://registry.example/a:",
    "docker://registry.example/a@sha256:abc",
    "docker://user:secret@registry.example/a",
    "docker://registry.example/a?x=y",
    "docker://registry.example/a b",
    `docker://registry.example/${"a/".repeat(200)}a`,
  ])("%s is refused", (text) => {
    expect(() => parseRegistryReference(text)).toThrow(SealfsError);
  });
});

describe("credentials", () => {
  const find = (content: unknown, repository = "a/b/c", env: NodeJS.ProcessEnv = {}) =>
    findCredential("registry.example", repository, { file: authFile(content), env });
  const entry = (user: string) => ({ auth: Buffer.from(`${user}:p:w`).toString("base64") });

  test("those for the longest part of the path count", async () => {
    const auths = {
      "registry.example": entry("host"),
      "registry.example/a": entry("namespace"),
      "registry.example/a/b/c": entry("repository"),
      "registry.example/a/bc": entry("other"),
    };
    expect(await find({ auths })).toEqual({ user: "repository", password: "p:w" });
    expect(await find({ auths }, "a/b")).toEqual({ user: "namespace", password: "p:w" });
    expect(await find({ auths }, "ab")).toEqual({ user: "host", password: "p:w" });
    expect(await find({ auths: { "other.example": entry("x") } })).toBeUndefined();
  });

  test("docker login's keys are known", async () => {
    expect(await find({ auths: { "https://registry.example/v1/": entry("docker") } })).toEqual({
      user: "docker",
      password: "p:w",
    });
  });

  test("an entry that is no base64 of USER:PASSWORD is none, and told of without being shown", async () => {
    const file = authFile({
      auths: { "registry.example": { auth: Buffer.from("secret").toString("base64") } },
    });
    const problems: string[] = [];
    const onProblem = (message: string) => problems.push(message);
    const found = findCredential("registry.example", "a/b", { file, env: {}, onProblem });
    expect(await found).toBeUndefined();
    expect(problems).toEqual([expect.stringMatching(/registry\.example: auth: expected USER:/)]);
    expect(problems[0]).not.toMatch(/secret|c2Vj/);
  });

  test("the usual files are looked at in their order", async () => {
    const folder = scratchFolder();
    mkdirSync(join(folder, "containers"));
    mkdirSync(join(folder, ".docker"));
    const env = { XDG_RUNTIME_DIR: folder, HOME: folder };
    const docker = { auths: { "registry.example": entry("docker") } };
    writeFileSync(join(folder, ".docker/config.json"), JSON.stringify(docker));
    const ask = () => findCredential("registry.example", "a", { env });
    expect(await ask()).toMatchObject({ user: "docker" });
    const podman = { auths: { "registry.example": entry("podman") } };
    writeFileSync(join(folder, "containers/auth.json"), JSON.stringify(podman));
    expect(await ask()).toMatchObject({ user: "podman" });
  });

  test("a credential helper is asked for the registry", async () => {
    const folder = scratchFolder();
    const helper = join(folder, "docker-credential-test");
    const answer = '{"Username":"<token>","Secret":"refresh"}';
    writeFileSync(
      helper,
      `#!/bin/sh\nread host\n[ "$host" = registry.example ] && echo '${answer}'\n`,
    );
    chmodSync(helper, 0o755);
    const path = process.env["PATH"];
    process.env["PATH"] = `${folder}:${path}`;
    onTestFinished(() => void (process.env["PATH"] = path));
    const content = { credHelpers: { "registry.example": "test" } };
    expect(await find(content)).toEqual({ identityToken: "refresh" });
    const evil = find({ credHelpers: { "registry.example": "../../bin/sh" } });
    expect(await refusal(evil)).toBe("MALFORMED");
  });

  test("challenges are read as they are written in the wild, and nonsense is not one", () => {
    expect(parseChallenges('Bearer realm="https://a/t?x=1",service="s,\\"q\\""')).toEqual([
      { scheme: "bearer", realm: "https://a/t?x=1", service: 's,"q"', scope: undefined },
    ]);
    expect(parseChallenges('bearer  realm="x"')).toMatchObject([{ realm: "x" }]);
    expect(parseChallenges("Basic realm=x")).toEqual([{ scheme: "basic" }]);
    for (const text of ["", "Bearer", "Negotiate abc", 'Bearer realm="open', "=", "Bearer =x"]) {
      expect(parseChallenges(text)).toEqual([]);
    }
  });

  test.each([
    ['Negotiate, Basic realm="x"', ["basic"]],
    ["Negotiate YII=, NTLM, Basic", ["basic"]],
    ['Basic realm="a, Bearer realm=b", Bearer realm="x",service="y"', ["basic", "bearer"]],
    ['Bearer realm="x", scope="a:b:pull,push", Basic realm=y', ["bearer", "basic"]],
    [`${"X, ".repeat(20)}Basic`, []],
  ])("of several challenges in a line those that are known count: %s", (text, schemes) => {
    expect(parseChallenges(text).map(({ scheme }) => scheme)).toEqual(schemes);
  });
});

describe("access", () => {
  test.each(["basic", "bearer"] as const)(
    "%s: with the right password all is given",
    async (kind) => {
      const auths = (host: string) => authFile({ auths: { [host]: { auth } } });
      const { server } = await start({ auth: kind });
      await addImage(server);
      const registry = client(server, { authFile: auths(server.host) });
      expect((await registry.manifest("1.0")).mediaType).toBe(types.manifest);
      const { how } = await uploadBlob(registry, Buffer.from("new"));
      expect(how).toBe("sent");
    },
  );

  test.each(["basic", "bearer"] as const)("%s: with a wrong password nothing is", async (kind) => {
    const wrong = { auth: Buffer.from("user:wrong").toString("base64") };
    const { server } = await start({ auth: kind });
    await addImage(server);
    const registry = client(server, { authFile: authFile({ auths: { [server.host]: wrong } }) });
    expect(await refusal(registry.manifest("1.0"))).toBe("UNAUTHORIZED");
  });

  test("bearer: what is public needs no password, writing does", async () => {
    const { server, registry } = await start({ auth: "bearer" });
    await addImage(server);
    await registry.manifest("1.0");
    expect(await refusal(uploadBlob(registry, Buffer.from("new")))).toBe("UNAUTHORIZED");
  });

  test("bearer: a token is asked for under the name that the registry has for the repository", async () => {
    const other = "repository:library/app:pull";
    const scopes: string[][] = [];
    const { server, registry } = await start({
      intercept: (request, response) => {
        const url = new URL(request.url!, "http://x/");
        if (url.pathname === "/token") {
          scopes.push(url.searchParams.getAll("scope"));
          response.end(JSON.stringify({ token: `t:${scopes.length}` }));
          return true;
        }
        if (url.pathname === "/v2/" || request.headers.authorization === "Bearer t:1") return false;
        const challenge = `Bearer realm=/token,scope="${other} registry:catalog:*",error="insufficient_scope"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
        return true;
      },
    });
    await addImage(server);
    await registry.manifest("1.0");
    expect(scopes).toEqual([[`repository:${REPO}:pull`, other]]);
  });

  test("that a program for all registries has no credentials is told when they are wanted", async () => {
    const folder = scratchFolder();
    const program = join(folder, "docker-credential-empty");
    writeFileSync(program, "#!/bin/sh\necho 'credentials not found in native keychain'; exit 1\n");
    chmodSync(program, 0o755);
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { server } = await start({ auth: "basic" });
    const problems: string[] = [];
    const registry = client(server, {
      authFile: authFile({ credsStore: "empty" }),
      onProblem: (message) => problems.push(message),
    });
    await expect(registry.manifest("1.0")).rejects.toThrow(
      `docker-credential-empty has no credentials for ${server.host}`,
    );
    expect(problems).toEqual([]);
  });

  test("bearer: a token that has grown too old is replaced", async () => {
    const { server, registry } = await start({ auth: "bearer" });
    const { layout } = await addImage(server);
    await registry.manifest("1.0");
    server.tokens.clear();
    await registry.manifest("1.0");
    server.tokens.clear();
    const [digest] = server.repository(REPO).blobs;
    const size = server.blobs.get(digest!)!.length;
    await registry.blob({ digest: digest as OciDigest, size }, 1 << 20);
    expect(layout).toBeDefined();
  });

  test("bearer: a registry that asks only where it wants to know is answered there", async () => {
    const intercept: RegistryHabits["intercept"] = ({ url }, response) => {
      if (url !== "/v2/") return false;
      response.end("{}");
      return true;
    };
    const { server, registry } = await start({ auth: "bearer", intercept });
    const bytes = Buffer.from("a blob");
    const digest = server.addBlob(REPO, bytes) as OciDigest;
    expect(await registry.blob({ digest, size: bytes.length }, 100)).toEqual(bytes);
  });

  test("a token of another shape than tokens have never becomes a header", async () => {
    const intercept: RegistryHabits["intercept"] = ({ url }, response) => {
      if (url?.startsWith("/token") !== true) return false;
      response.end(JSON.stringify({ token: "a\r\nHost: evil" }));
      return true;
    };
    const { registry } = await start({ auth: "bearer", intercept });
    expect(await refusal(registry.manifest("1.0"))).toBe("BAD_RESPONSE");
  });

  test("a registry cannot send us for tokens to a machine further inside", async () => {
    const intercept: RegistryHabits["intercept"] = (_, response) => {
      const challenge = 'Bearer realm="http://169.254.169.254/latest",service="x"';
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return true;
    };
    const { registry } = await start({ intercept });
    expect(await refusal(registry.manifest("1.0"))).toBe("ADDRESS");
  });

  test("plain http is spoken with this machine only, unless the user says otherwise", async () => {
    const { server } = await start();
    await addImage(server);
    await client(server).manifest("1.0");
    const elsewhere = new Registry(
      { host: "192.0.2.1:1", repository: REPO },
      { authFile: noAuth() },
    );
    onTestFinished(() => elsewhere.close());
    expect(await refusal(elsewhere.manifest("1.0"))).not.toBe("accepted");
  });
});

describe("pull", () => {
  const typed = async (headers: Record<string, string | string[]>) => {
    const bytes = Buffer.from(JSON.stringify({ mediaType: types.manifest, layers: [] }));
    const { registry } = await start({
      intercept: ({ url }, response) => {
        if (!url!.includes("/manifests/")) return false;
        response.writeHead(200, headers).end(bytes);
        return true;
      },
    });
    return registry.manifest("1.0");
  };

  test.each(["", "text/html; charset=utf-8", "application/x-unknown", "application/json"])(
    "a manifest whose Content-Type is %j is what it says of itself",
    async (type) => {
      expect((await typed({ "content-type": type })).mediaType).toBe(types.manifest);
    },
  );

  test.each(["", "no digest", `sha384:${"0".repeat(96)}`])(
    "a Docker-Content-Digest of %j says nothing",
    async (digest) => {
      const headers = { "content-type": types.manifest, "docker-content-digest": digest };
      expect((await typed(headers)).mediaType).toBe(types.manifest);
    },
  );

  test("headers that a proxy has written twice are read once", async () => {
    const headers = { "content-type": [types.manifest, types.manifest] };
    expect((await typed(headers)).mediaType).toBe(types.manifest);
    const both = typed({ "docker-content-digest": ["a", "b"] });
    expect(await refusal(both)).toBe("BAD_RESPONSE");
  });

  test("a manifest by digest is the one that was asked for", async () => {
    const { server, registry } = await start();
    const { manifest } = await addImage(server);
    const { digest } = await registry.manifest("1.0");
    expect(digest).toBe(manifest.digest);
    const other = Buffer.from("{}");
    server.repository(REPO).manifests.set(digest, { mediaType: types.manifest, bytes: other });
    expect(await refusal(registry.manifest(digest))).toBe("DIGEST_MISMATCH");
  });

  test("what is not there is not found, and the registry's own words are told", async () => {
    const { registry } = await start();
    const error = await registry.manifest("none").catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "NOT_FOUND" });
    expect((error as Error).message).toContain("MANIFEST_UNKNOWN");
  });

  const parts: [string, RegistryHabits][] = [
    ["ranges", {}],
    ["no ranges", { noRanges: true }],
    ["storage elsewhere", { redirectUses: 1000 }],
    ["signed URLs that are good once", { redirectUses: 1 }],
    ["credentials", { auth: "bearer", redirectUses: 2 }],
  ];
  test.each(parts)("a blob's parts are right with %s", async (_, habits) => {
    const { server, registry } = await start(habits);
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (__, i) => i * 31));
    const digest = server.addBlob(REPO, bytes) as OciDigest;
    const ranges = registry.ranges({ digest, size: bytes.length });
    for (const [from, to] of [
      [0, 10],
      [99_990, 100_000],
      [5, 70_000],
      [0, 100_000],
      [7, 7],
    ] as const) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of ranges.read(from, to, {})) chunks.push(Uint8Array.from(chunk));
      expect(Buffer.concat(chunks).equals(bytes.subarray(from, to))).toBe(true);
    }
    expect(server.storageAuthorizations.every((value) => value === undefined)).toBe(true);
  });

  test("a URL of storage is used as long as it is good, and asked for again once", async () => {
    const { server, registry } = await start({ redirectUses: 3 });
    const bytes = Buffer.alloc(1000, "b");
    const digest = server.addBlob(REPO, bytes) as OciDigest;
    const ranges = registry.ranges({ digest, size: 1000 });
    for (let i = 0; i < 6; i++) for await (const _ of ranges.read(i, i + 10, {}));
    expect(server.requests(/^GET .*\/blobs\//)).toHaveLength(2);
  });

  test("an image is opened and its layer read, whatever the compression of its way", async () => {
    const { server } = await start({ redirectUses: 2 });
    const { manifest } = await addImage(server);
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(
      reference,
      { platform: undefined },
      { authFile: noAuth() },
    );
    expect(image.manifestDigest).toBe(manifest.digest);
    const [layer] = image.layers;
    expect(server.requests(/blobs/)).toHaveLength(1); // the configuration; no layer before it is read
    await image.prepare!(layer!);
    const range = image.openBlob(layer!);
    expect(sha256(readRange(range, 1 << 20, "layer"))).toBe(layer!.digest);
    image.close();
  });

  test("a layer that breaks off goes on where it was", async () => {
    let broken = 0;
    const intercept: RegistryHabits["intercept"] = ({ url, method, headers }, response) => {
      if (!/blobs\/sha256/.test(url!) || method !== "GET" || broken >= 2 || !big) return false;
      if (!url!.includes(big)) return false;
      broken += 1;
      if (headers.range !== undefined) return false;
      const bytes = server.blobs.get(big)!;
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 100), () => response.destroy());
      return true;
    };
    let big = "";
    const { server } = await start({ intercept });
    await addImage(server, "1.0", Array.from({ length: 3000 }, (_, i) => String(i * i)).join(""));
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(
      reference,
      { platform: undefined },
      { authFile: noAuth() },
    );
    big = image.layers[0]!.digest!;
    await image.prepare!(image.layers[0]!);
    expect(broken).toBeGreaterThan(0);
    expect(sha256(readRange(image.openBlob(image.layers[0]!), 1 << 20, "x"))).toBe(big);
    image.close();
  });

  test("a layer of other bytes is refused", async () => {
    const { server } = await start();
    await addImage(server);
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(
      reference,
      { platform: undefined },
      { authFile: noAuth() },
    );
    const [layer] = image.layers;
    const bytes = server.blobs.get(layer!.digest!)!;
    server.blobs.set(layer!.digest!, Buffer.alloc(bytes.length, "evil"));
    expect(await refusal(image.prepare!(layer!))).toBe("DIGEST_MISMATCH");
    image.close();
  });

  test("sealfs build reads an image in a registry as it does a layout", async () => {
    const { server } = await start();
    const { layout, manifest } = await addImage(server);
    const store = join(scratchFolder(), "store");
    const source = `docker://${server.host}/${REPO}:1.0`;
    const fromRegistry = await runMain("build", source, "--store", store, "--json");
    expect(fromRegistry.err).toBe("");
    const directory = layout.index([manifest]).directory();
    const fromLayout = await runMain("build", `oci:${directory}`, "--store", store, "--json");
    const idOf = (out: string) => (JSON.parse(out) as { id: string }).id;
    expect(idOf(fromRegistry.out)).toBe(idOf(fromLayout.out));
  });
});

describe("an index in a registry", () => {
  async function several(server: TestRegistry, depth: number, more: unknown[] = []) {
    const layout = new TestLayout();
    const platforms = ["linux/arm64", "linux/s390x"];
    const images = [];
    for (const platform of platforms) {
      const [os, architecture] = platform.split("/");
      const image = layout.image([await layerTar(platform)], { platform });
      images.push({ ...image, platform: { os, architecture } });
    }
    let manifests: unknown[] = [...more, ...images];
    for (let i = 0; i <= depth; i++) {
      const index = { schemaVersion: 2, mediaType: types.index, manifests };
      manifests = [layout.json(index, types.index)];
    }
    const [{ digest }] = manifests as [{ digest: string }];
    for (const [path, bytes] of layout.files) {
      const own = path.replace("blobs/sha256/", "sha256:");
      const { mediaType } = JSON.parse(
        bytes[0] === 0x7b ? Buffer.from(bytes).toString() : "{}",
      ) as {
        mediaType?: string;
      };
      if (mediaType === undefined) server.addBlob(REPO, bytes);
      else server.addManifest(REPO, own === digest ? "1.0" : undefined, mediaType, bytes);
    }
    return images;
  }
  const open = async (server: TestRegistry, platform?: string, suffix = ":1.0") => {
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}${suffix}`);
    const asked = platform === undefined ? undefined : parsePlatform(platform);
    const image = await openRegistryImage(reference, { platform: asked }, { authFile: noAuth() });
    image.close();
    return image.manifestDigest;
  };

  test("gives the image of a platform, in nested indexes too, up to the limit of their depth", async () => {
    for (const depth of [0, 1, limits.indexDepth]) {
      const { server } = await start();
      const [arm, s390x] = await several(server, depth);
      expect(await open(server, "linux/aarch64")).toBe(arm!.digest);
      expect(await open(server, "linux/s390x")).toBe(s390x!.digest);
      expect(await refusal(open(server, "linux/386"))).toBe("NO_REF");
    }
    const { server } = await start();
    await several(server, limits.indexDepth + 1);
    await expect(open(server, "linux/arm64")).rejects.toMatchObject({
      code: "LIMIT",
      message: expect.stringContaining(
        `expected at most ${limits.indexDepth} indexes in one another`,
      ) as string,
    });
  });

  test("that does not say which is meant names choices that work", async () => {
    const { server } = await start();
    const [arm, s390x] = await several(server, 1);
    const error = (await open(server, "linux/386").catch(
      (reason: unknown) => reason,
    )) as SealfsError;
    expect(error.hint).toBe("it has: linux/arm64, linux/s390x");
    const two = await start();
    const layout = new TestLayout();
    const other = layout.image([await layerTar("other")], { platform: "linux/arm64" });
    for (const [path, bytes] of layout.files) {
      const isManifest = path.endsWith(other.digest.slice(7));
      if (isManifest) two.server.addManifest(REPO, undefined, types.manifest, bytes);
      else if (path.startsWith("blobs/")) two.server.addBlob(REPO, bytes);
    }
    const platform = { os: "linux", architecture: "arm64" };
    const images = await several(two.server, 0, [{ ...other, platform }]);
    const refused = (await open(two.server, "linux/arm64").catch(
      (reason: unknown) => reason,
    )) as SealfsError;
    const list = /^choose with (docker:.*)@DIGEST, DIGEST one of: (.*)$/.exec(refused.hint!)!;
    expect(list[1]).toBe(`docker://${two.server.host}/${REPO}`);
    expect(list[2]!.split(", ")).toEqual([other.digest, images[0]!.digest]);
    for (const digest of list[2]!.split(", ")) {
      expect(await open(two.server, undefined, `@${digest}`)).toBe(digest);
    }
    expect([arm!.digest, s390x!.digest]).toHaveLength(2);
  });

  test("whose other entries are odd or missing still gives its image", async () => {
    const { server } = await start();
    const missing = { mediaType: types.index, digest: `sha256:${"0".repeat(64)}`, size: 5 };
    const odd = { mediaType: types.manifest, digest: "md5:x", size: 1 };
    const [arm] = await several(server, 0, [missing, odd, null]);
    expect(await open(server, "linux/arm64")).toBe(arm!.digest);
  });

  test("may lead to so many documents, and no more", async () => {
    const layout = new TestLayout();
    const nested = (count: number) =>
      Array.from({ length: count }, (_, i) =>
        layout.json(
          {
            schemaVersion: 2,
            mediaType: types.index,
            manifests: [],
            annotations: { i: String(i) },
          },
          types.index,
        ),
      );
    for (const [count, expected] of [
      [limits.candidates, "accepted"],
      [limits.candidates + 1, "LIMIT"],
    ] as const) {
      const { server } = await start();
      const indexes = nested(count);
      for (const { digest } of indexes) {
        const bytes = layout.files.get(`blobs/${digest.replace(":", "/")}`)!;
        server.addManifest(REPO, undefined, types.index, bytes);
      }
      await several(server, 0, indexes);
      expect(await refusal(open(server, "linux/arm64"))).toBe(expected);
    }
  });
});

describe("push", () => {
  const bytes = Buffer.from("a blob");

  test.each([
    ["in one piece", {}],
    ["in chunks, where one piece is refused", { chunkedOnly: true }],
  ])("a blob is sent %s, and only once", async (_, habits) => {
    const { server, registry } = await start(habits);
    expect((await uploadBlob(registry, bytes)).how).toBe("sent");
    expect(server.blobs.get(sha256(bytes))).toEqual(bytes);
    expect((await uploadBlob(registry, bytes)).how).toBe("present");
  });

  test("the rest of a Location is sent back as it was written", async () => {
    const location = "/v2/team/app/blobs/uploads/1?_state=a%20b~%2F&x";
    const puts: string[] = [];
    const { registry } = await start({
      intercept: ({ method, url }, response) => {
        if (method === "POST") response.writeHead(202, { location }).end();
        if (method === "PUT") response.writeHead(204).end();
        if (method === "PUT") puts.push(url!);
        return method === "POST" || method === "PUT";
      },
    });
    await uploadBlob(registry, bytes);
    expect(puts).toEqual([`${location}&digest=${encodeURIComponent(sha256(bytes))}`]);
  });

  test("a Location leads to no address to which nobody may send us", async () => {
    const { registry } = await start({
      intercept: ({ method }, response) => {
        if (method !== "POST") return false;
        response.writeHead(202, { location: "http://169.254.169.254/upload" }).end();
        return true;
      },
    });
    expect(await refusal(uploadBlob(registry, bytes))).toBe("ADDRESS");
  });

  test("a blob that another repository has is mounted from there, or sent where that is not done", async () => {
    const { server, registry } = await start();
    server.addBlob("other/app", bytes);
    const from = ["nobody/has", "other/app"];
    expect((await uploadBlob(registry, bytes, { from })).how).toBe("mounted");
    const { server: second, registry: stubborn } = await start({ noMount: true });
    second.addBlob("other/app", bytes);
    expect((await uploadBlob(stubborn, bytes, { from })).how).toBe("sent");
  });
});

describe("referrers", () => {
  const KIND = "application/vnd.test";
  const subject = sha256(Buffer.from("subject")) as OciDigest;
  const artifact = (n: number) =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: types.manifest,
        artifactType: KIND,
        config: {
          mediaType: "application/vnd.oci.empty.v1+json",
          digest: sha256(Buffer.from("{}")),
          size: 2,
        },
        layers: [],
        subject: { mediaType: types.manifest, digest: subject, size: 7 },
        annotations: { n: String(n) },
      }),
    );
  const entryOf = (bytes: Buffer) => ({
    mediaType: types.manifest,
    digest: sha256(bytes) as OciDigest,
    size: bytes.length,
    artifactType: KIND,
    annotations: {},
  });

  test("the registry's own list is read page by page", async () => {
    const { registry } = await start({ referrers: true, pageSize: 2 });
    for (let n = 0; n < 5; n++) {
      const bytes = artifact(n);
      const { knowsSubject } = await putManifest(registry, sha256(bytes), types.manifest, bytes);
      expect(knowsSubject).toBe(true);
    }
    const found = await listReferrers(registry, subject, KIND);
    expect(found.map(({ digest }) => digest).sort()).toEqual(
      [0, 1, 2, 3, 4].map((n) => sha256(artifact(n))).sort(),
    );
    expect(await listReferrers(registry, subject, "application/vnd.other")).toEqual([]);
  });

  test("without one the list is kept under a tag, once for each entry, and those of others stay", async () => {
    const { server, registry } = await start();
    const broken = { mediaType: types.manifest, digest: "md5:1", size: -1 };
    const foreign = {
      ...entryOf(artifact(9)),
      artifactType: "application/vnd.other",
      more: { x: 1 },
    };
    const index = { schemaVersion: 2, mediaType: types.index, manifests: [foreign, broken] };
    server.addManifest(
      REPO,
      referrersTag(subject),
      types.index,
      Buffer.from(JSON.stringify(index)),
    );
    for (const n of [1, 2, 1]) await addToFallback(registry, subject, entryOf(artifact(n)));
    const found = await listReferrers(registry, subject, KIND);
    expect(found.map(({ digest }) => digest)).toEqual([1, 2].map((n) => sha256(artifact(n))));
    const kept = server.repository(REPO).manifests.get(referrersTag(subject))!.bytes;
    expect(JSON.parse(kept.toString()).manifests.slice(0, 2)).toEqual([foreign, broken]);
  });

  test("writers that add at the same time lose no entry", async () => {
    const { server, registry } = await start();
    const writers = Array.from({ length: 4 }, () => client(server));
    await Promise.all(
      writers.map((writer, n) => addToFallback(writer, subject, entryOf(artifact(n)))),
    );
    expect(await listReferrers(registry, subject, KIND)).toHaveLength(4);
  });

  test("no list at all is an empty one", async () => {
    const { registry } = await start();
    expect(await listReferrers(registry, subject, KIND)).toEqual([]);
  });
});
