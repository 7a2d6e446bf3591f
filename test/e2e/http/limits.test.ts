/** The caps on what servers, clients and registries send: what is at a cap passes, one more does not. */
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { join } from "node:path";
import { buildConnector } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import { findCandidates } from "../../../src/distribution/pull-candidates.ts";
import {
  ARTIFACT_TYPE,
  EMPTY_CONFIG,
  formatArtifact,
} from "../../../src/distribution/registry-artifact.ts";
import { NetworkError, NotFoundError, SealfsError } from "../../../src/errors.ts";
import { maySayCertificate } from "../../../src/http/client-certificate.ts";
import { HttpClient } from "../../../src/http/client.ts";
import { openTunnel } from "../../../src/http/tunnel.ts";
import { commandSigner } from "../../../src/keys/command-signer.ts";
import { limits } from "../../../src/limits.ts";
import { Health } from "../../../src/mirror/health.ts";
import { serveMirror } from "../../../src/mirror/serve/server.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import { challengeOf } from "../../../src/oci/registry/challenge.ts";
import { askHelper } from "../../../src/oci/registry/credential-helper.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { imageManifest } from "../../../src/oci/source/registry-image.ts";
import { Store } from "../../../src/store/store.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { FakeSource } from "../../support/fake-source.ts";
import { lower } from "../../support/limits.ts";
import { types } from "../../support/oci.ts";
import { answerWith, rawServer } from "../../support/raw-server.ts";
import { type RegistryHabits, TestRegistry, sha256 } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { alice } from "../../support/trust.ts";
import { until } from "../../support/until.ts";

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => "passes",
    (error: unknown) => (error instanceof SealfsError ? error.code : String(error)),
  );

/** Headers whose names and values have so many bytes together, with those of `others`. */
function headersOf(bytes: number, others: Record<string, string>): string {
  const taken = Object.entries(others).flat().join("").length + "X-A".length;
  const all = { ...others, "X-A": "b".repeat(bytes - taken) };
  return Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

describe("headers", () => {
  test("of an answer", async () => {
    const get = async (bytes: number) => {
      const headers = headersOf(bytes, { "Content-Length": "0" });
      const server = await rawServer(`HTTP/1.1 200 OK\r\n${headers}\r\n`);
      const client = new HttpClient();
      onTestFinished(() => client.close());
      return outcome(client.send("GET", server.url));
    };
    expect(await get(limits.httpHeaderBytes)).toBe("passes");
    expect(await get(limits.httpHeaderBytes + 1)).toBe("BAD_RESPONSE");
  });

  test("of a proxy that connects us on, with its reason phrase", async () => {
    const tunnel = async (bytes: number) => {
      const headers = headersOf(bytes - "OK".length, { Via: "x" });
      const server = await rawServer(`HTTP/1.1 200 OK\r\n${headers}\r\n`);
      const proxy = {
        kind: "http",
        url: server.url,
        credentials: undefined,
        looksUp: true,
      } as const;
      const opened = openTunnel(proxy, "x.example:443", buildConnector({}), 10_000);
      opened.then(
        (socket) => socket.destroy(),
        () => undefined,
      );
      return outcome(opened);
    };
    expect(await tunnel(limits.httpHeaderBytes)).toBe("passes");
    expect(await tunnel(limits.httpHeaderBytes + 1)).toBe("BAD_RESPONSE");
  });

  test("of a proxy come in time, or the connection to it ends", async () => {
    const server = await rawServer(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nX-A: ");
      const timer = setInterval(() => socket.write("b"), 20);
      socket.on("close", () => clearInterval(timer));
    });
    const proxy = {
      kind: "http",
      url: server.url,
      credentials: undefined,
      looksUp: true,
    } as const;
    const opened = openTunnel(proxy, "x.example:443", buildConnector({}), 200);
    expect(await outcome(opened)).toBe("TIMEOUT");
    await until(() => server.requests[0]!.socket.closed);
  });

  test("of a request to sealfs serve, with its path", async () => {
    const { port } = await served();
    const ask = async (bytes: number) => {
      const socket = await open(port);
      const headers = headersOf(bytes - "/x".length, { Host: "h", Connection: "close" });
      socket.write(`GET /x HTTP/1.1\r\n${headers}\r\n`);
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return Number(text.split(" ")[1]);
    };
    expect(await ask(limits.requestHeaderBytes)).toBe(404);
    expect(await ask(limits.requestHeaderBytes + 1)).toBe(431);
  });
});

async function served() {
  const store = Store.create(join(scratchFolder(), "store"));
  const mirror = await serveMirror({ store, host: "127.0.0.1", port: 0 });
  onTestFinished(() => mirror.close(0));
  return { port: Number(new URL(mirror.url).port) };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("connections to sealfs serve", async () => {
  const { port } = await served();
  const answers = async (socket: Socket) => {
    socket.write("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    return Promise.race([
      once(socket, "data").then(() => true),
      once(socket, "close").then(() => false),
    ]);
  };
  const sockets: Socket[] = [];
  for (let i = 0; i < limits.connections; i++) sockets.push(await open(port));
  expect(await answers(sockets.at(-1)!)).toBe(true);
  expect(await answers(await open(port))).toBe(false);
});

async function start(intercept?: RegistryHabits["intercept"], habits: RegistryHabits = {}) {
  const server = await TestRegistry.start(intercept ? { ...habits, intercept } : habits);
  const authFile = join(scratchFolder(), "auth.json");
  writeFileSync(authFile, "{}");
  const registry = new Registry({ host: server.host, repository: "team/app" }, { authFile });
  onTestFinished(() => registry.close());
  return { server, registry };
}

describe("documents of a registry", () => {
  test("a manifest", async () => {
    const { server, registry } = await start();
    const add = (bytes: number) =>
      server.addManifest("team/app", undefined, types.manifest, Buffer.from("{}".padEnd(bytes)));
    expect(await outcome(registry.manifest(add(limits.manifestBytes)))).toBe("passes");
    expect(await outcome(registry.manifest(add(limits.manifestBytes + 1)))).toBe("WRONG_SIZE");
  });

  test("an answer with a token", async () => {
    const withToken = async (bytes: number) => {
      const { server, registry } = await start(undefined, { auth: "bearer" });
      const digest = server.addManifest("team/app", "1.0", types.manifest, Buffer.from("{}"));
      Object.assign(server.habits, {
        intercept: ({ url }: { url?: string }, response: { end: (text: string) => void }) => {
          if (url?.startsWith("/token") !== true) return false;
          server.tokens.set("good", "repository:team/app:pull");
          response.end('{"token":"good"}'.padEnd(bytes));
          return true;
        },
      });
      return outcome(registry.manifest(digest));
    };
    expect(await withToken(limits.httpErrorBytes)).toBe("passes");
    expect(await withToken(limits.httpErrorBytes + 1)).toBe("WRONG_SIZE");
  });

  test("an error, whose words are done without beyond", async () => {
    const words = async (bytes: number) => {
      const { registry } = await start(({ url }, response) => {
        if (url === "/v2/") return false;
        const document = JSON.stringify({ errors: [{ code: "DENIED", message: "no" }] });
        response.writeHead(403).end(document.padEnd(bytes));
        return true;
      });
      const error: unknown = await registry.manifest("1.0").catch((each: unknown) => each);
      expect(error).toBeInstanceOf(NetworkError);
      return (error as NetworkError).message.includes("DENIED: no");
    };
    expect(await words(limits.httpErrorBytes)).toBe(true);
    expect(await words(limits.httpErrorBytes + 1)).toBe(false);
  });

  test("a small blob", async () => {
    const { server, registry } = await start();
    const digest = server.addBlob("team/app", Buffer.alloc(1000)) as OciDigest;
    expect(await outcome(registry.blob({ digest, size: 1000 }, 1000))).toBe("passes");
    expect(await outcome(registry.blob({ digest, size: 1000 }, 999))).toBe("LIMIT");
  });
});

test("artifacts beside an image that are looked at", async () => {
  const subject = sha256(Buffer.from("subject")) as OciDigest;
  const find = async (count: number) => {
    const { server, registry } = await start(undefined, { referrers: true });
    const add = (bytes: Uint8Array) =>
      server.addManifest("team/app", undefined, types.manifest, bytes);
    const of = { mediaType: types.manifest, digest: subject, size: 7 };
    const { bytes } = formatArtifact({
      subject: of,
      id: "0".repeat(64) as VerityDigest,
      bootstrap: EMPTY_CONFIG,
      bundles: [{ bytes: Buffer.from("{}"), keyId: "k", name: "n" }],
      seekIndexes: [],
      leafHashes: new Uint8Array(0),
    });
    server.addBlob("team/app", Buffer.from("{}"));
    // The first that is listed is the last that is looked at.
    add(bytes);
    for (let n = 1; n < count; n++) {
      add(Buffer.from(JSON.stringify({ subject: of, artifactType: ARTIFACT_TYPE, n })));
    }
    try {
      return (await findCandidates(registry, subject, new Keyring([alice.publicKey]), undefined))
        .length;
    } catch (error) {
      expect(error).toBeInstanceOf(NotFoundError);
      return 0;
    }
  };
  expect(await find(limits.candidates)).toBe(1);
  expect(await find(limits.candidates + 1)).toBe(0);
});

test("bundles beside an image that are fetched", async () => {
  lower("candidateBundles", 5);
  lower("bundles", 3);
  const subject = sha256(Buffer.from("subject")) as OciDigest;
  const { server, registry } = await start(undefined, { referrers: true });
  const of = { mediaType: types.manifest, digest: subject, size: 7 };
  for (const artifact of ["a", "b", "c"]) {
    const bundles = ["1", "2", "3", alice.publicKey.id].map((keyId) => {
      const bytes = Buffer.from(JSON.stringify({ artifact, keyId }));
      server.addBlob("team/app", bytes);
      return { bytes, keyId, name: "n" };
    });
    const { bytes } = formatArtifact({
      subject: of,
      id: "0".repeat(64) as VerityDigest,
      bootstrap: Buffer.from(artifact),
      bundles,
      seekIndexes: [],
      leafHashes: new Uint8Array(0),
    });
    server.addManifest("team/app", undefined, types.manifest, bytes);
  }
  const found = await findCandidates(registry, subject, new Keyring([alice.publicKey]), undefined);
  const fetched = found.map(({ bundles }) => bundles.map((each) => JSON.parse(String(each)).keyId));
  expect(fetched.flat()).toHaveLength(limits.candidateBundles);
  // Those that claim to be by a trusted key come first, wherever they stand in their artifact.
  expect(fetched.map(([first]) => first)).toEqual(Array(3).fill(alice.publicKey.id));
  const most = Math.max(...fetched.map(({ length }) => length));
  expect(most).toBe(limits.bundles);
});

test("indexes in an index that are looked at", async () => {
  const select = async (count: number) => {
    const { server, registry } = await start();
    const add = (document: object, mediaType: string) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
      const digest = server.addManifest("team/app", undefined, mediaType, bytes);
      return { mediaType, digest, size: bytes.length };
    };
    const config = { mediaType: types.config, digest: sha256(EMPTY_CONFIG), size: 2 };
    const image = add({ config, layers: [] }, types.manifest);
    const inner = Array.from({ length: count }, (_, n) =>
      add({ manifests: [], annotations: { n: String(n) } }, types.index),
    );
    const outer = add({ manifests: [...inner, image] }, types.index);
    const document = await registry.manifest(outer.digest);
    return outcome(imageManifest(registry, document, { platform: undefined }, "app"));
  };
  expect(await select(limits.candidates)).toBe("passes");
  expect(await select(limits.candidates + 1)).toBe("LIMIT");
});

test("objects that a source is remembered to lack", () => {
  const health = new Health(() => 0);
  const source = new FakeSource("m", []);
  const object = (n: number) => ({
    digest: n.toString(16).padStart(64, "0") as VerityDigest,
    size: 1,
  });
  const isRemembered = (n: number) => health.order([source], object(n)).faults.length === 1;
  const lacks = (n: number) =>
    health.blame(source, object(n), new NotFoundError("NO_OBJECT", "not there"));
  for (let n = 0; n < limits.objectsSetAside; n++) lacks(n);
  expect([isRemembered(0), isRemembered(limits.objectsSetAside - 1)]).toEqual([true, true]);
  lacks(limits.objectsSetAside);
  expect([isRemembered(0), isRemembered(1)]).toEqual([false, true]);
});

describe("answers of programs", () => {
  test("a credential helper", async () => {
    const answer = async (bytes: number) => {
      const folder = scratchFolder();
      const document = JSON.stringify({ ServerURL: "x", Username: "me", Secret: "s" });
      writeFileSync(join(folder, "answer"), document.padEnd(bytes));
      const program = join(folder, "docker-credential-test");
      writeFileSync(program, `#!/bin/sh\ncat >/dev/null\ncat "${folder}/answer"\n`);
      chmodSync(program, 0o755);
      const { PATH } = process.env;
      process.env["PATH"] = `${folder}:${PATH}`;
      onTestFinished(() => void (process.env["PATH"] = PATH));
      return askHelper("test", ["x.example"]);
    };
    expect(await answer(limits.authFileBytes)).toMatchObject({ user: "me" });
    const { problem } = (await answer(limits.authFileBytes + 1)) as { problem: string };
    expect(problem).toContain(`over ${limits.authFileBytes} bytes`);
  });

  test("a signing command", async () => {
    const sign = (bytes: number) => {
      const path = join(scratchFolder(), "signature");
      writeFileSync(path, Buffer.alloc(64, 7).toString("base64").padEnd(bytes));
      return commandSigner(`cat >/dev/null; cat "${path}"`, alice.publicKey).sign(Buffer.from("m"));
    };
    expect(await sign(limits.keyBytes)).toEqual(new Uint8Array(64).fill(7));
    await expect(sign(limits.keyBytes + 1)).rejects.toThrow(`over ${limits.keyBytes} bytes`);
  });
});

test("informational answers and redirects", async () => {
  const info = "HTTP/1.1 103 Early Hints\r\n\r\n";
  const ask = async (answer: Parameters<typeof rawServer>[0]) => {
    const server = await rawServer(answer);
    const client = new HttpClient();
    onTestFinished(() => client.close());
    return outcome(client.send("GET", server.url));
  };
  const good = answerWith("");
  const informed = (count: number) => Buffer.concat([Buffer.from(info.repeat(count)), good]);
  expect(await ask(informed(limits.httpInformational))).toBe("passes");
  expect(await ask(informed(limits.httpInformational + 1))).toBe("BAD_RESPONSE");
  const chain = (length: number) =>
    ask(({ socket, path }) => {
      const at = Number(path.slice(1));
      socket.write(at === length ? good : answerWith("", { Location: `/${at + 1}` }, "302 F"));
    });
  expect(await chain(limits.httpRedirects)).toBe("passes");
  expect(await chain(limits.httpRedirects + 1)).toBe("BAD_REDIRECT");
});

test("challenges that are read", () => {
  const read = (count: number) => {
    const value = [...Array(count - 1).fill("Digest a=b"), "Basic realm=x"];
    const header = (lines: string | string[]) => challengeOf({ "www-authenticate": lines })?.scheme;
    return [header(value), header(value.join(", "))];
  };
  expect(read(limits.challenges)).toEqual(["basic", "basic"]);
  expect(read(limits.challenges + 1)).toEqual([undefined, undefined]);
});

test("what is read of an answer that is not wanted", async () => {
  const connectionOf = async (bytes: number) => {
    const moved = answerWith(Buffer.alloc(bytes), { Location: "/next" }, "302 F");
    const server = await rawServer(({ socket, path }) => {
      socket.write(path === "/" ? moved : answerWith(""));
    });
    const client = new HttpClient();
    onTestFinished(() => client.close());
    for (const path of ["", "again"]) {
      expect(await outcome(client.send("GET", new URL(path, server.url)))).toBe("passes");
    }
    return server.requests[0]!.socket;
  };
  expect((await connectionOf(limits.httpRestBytes)).closed).toBe(false);
  const given = await connectionOf(limits.httpRestBytes + 1);
  await until(() => given.closed);
});

test("the page by which a server demands a certificate", () => {
  const may = (bytes: number) =>
    maySayCertificate(new URL("https://x.example/"), 400, {
      "content-length": String(bytes),
      "content-type": "text/html",
    });
  expect(may(limits.httpCertificatePageBytes)).toBe(true);
  expect(may(limits.httpCertificatePageBytes + 1)).toBe(false);
});
