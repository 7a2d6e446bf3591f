/** Layers behind a plain web server over an OCI layout, and the credentials of web servers. */
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { authorizationFor } from "../../../src/mirror/http-credential.ts";
import { TestLayout, named, tar } from "../../support/oci.ts";
import { honestly, lyingly, serve } from "../../support/object-server.ts";
import { runMain } from "../../support/run.ts";
import { alice } from "../../support/trust.ts";
import { mixedBytes } from "../../support/compressed-layers.ts";
import { scratchFolder } from "../../support/scratch.ts";

const name = "registry.example/app:1.0";
const files = Array.from({ length: 12 }, (_, i) => mixedBytes(40_000 + i * 1000, i + 1));

/** A layout, and a client's store that has the image and its seek index but no object. */
async function bed() {
  const folder = scratchFolder();
  const at = (file: string) => join(folder, file);
  writeFileSync(at("alice.key"), alice.toPem(), { mode: 0o600 });
  writeFileSync(at("alice.pub"), alice.publicKey.toPem());
  const layer = await tar(files.map((content, i) => ({ name: `file-${i}`, content })));
  const layout = new TestLayout();
  layout.index([named(layout.image([layer]), "app")]).directory(at("layout"));
  const signed = ["--name", name, "--key", at("alice.key"), "--durability", "none"];
  const built = await runMain("build", `oci:${at("layout")}`, "--store", at("client"), ...signed);
  expect(built.status).toBe(0);
  const image = built.out.trim().split(/\s/)[0]!;
  const objects = at("client/objects");
  const all = readdirSync(objects).flatMap((fan) =>
    readdirSync(join(objects, fan)).map((rest) => `${fan}${rest}`),
  );
  const path = (digest: string) => join(objects, digest.slice(0, 2), digest.slice(2));
  const lost = all.filter((digest) => digest !== image);
  expect(lost.length).toBe(files.length);
  for (const digest of lost) rmSync(path(digest));
  const fetch = (url: string, ...more: string[]) => {
    const trust = ["--key", at("alice.pub"), "--state", "none"];
    const from = ["--mirrors", "none", "--mirror", `oci:${url}`];
    return runMain("fetch", name, "--store", at("client"), ...trust, ...from, ...more);
  };
  const lacks = () => lost.filter((digest) => !existsSync(path(digest)));
  return { at, folder, fetch, lacks };
}

describe("a web server over a layout", () => {
  test("gives all objects out of the layer's ranges", async () => {
    const { at, fetch, lacks } = await bed();
    const server = await serve(honestly(at("layout")));
    const { status, err } = await fetch(server.url);
    expect({ status, err }).toMatchObject({ status: 0 });
    expect(lacks()).toEqual([]);
    for (const path of server.requests) expect(path).toMatch(/^\/blobs\/sha256\/[0-9a-f]{64}$/);
    expect((await runMain("fsck", "--store", at("client"))).status).toBe(0);
  });

  test("and so does one below a path", async () => {
    const { folder, fetch, lacks } = await bed();
    const server = await serve(honestly(folder));
    expect(await fetch(`${server.url}layout`)).toMatchObject({ status: 0 });
    expect(lacks()).toEqual([]);
  });

  test("one that sends the whole blob for every range is used all the same", async () => {
    const { at, fetch, lacks } = await bed();
    const server = await serve((request, response) => {
      delete request.headers.range;
      honestly(at("layout"))(request, response);
    });
    expect(await fetch(server.url)).toMatchObject({ status: 0 });
    expect(lacks()).toEqual([]);
  });

  test("one that lies, or has nothing, is named with its reason, and nothing of it is kept", async () => {
    const { at, fetch, lacks } = await bed();
    const liar = await serve(lyingly(at("layout")));
    const lied = await fetch(liar.url);
    expect(lied.status).toBe(6);
    expect(lied.err).toContain(`oci:${liar.url}`);
    const empty = await serve((_, response) => void response.writeHead(404).end());
    const lacked = await fetch(empty.url);
    expect(lacked.status).toBe(6);
    expect(lacked.err).toContain(`oci:${empty.url}`);
    expect(lacks().length).toBe(files.length);
  });

  test("is told the credentials that are kept for it, and nobody else", async () => {
    const { at, fetch, lacks } = await bed();
    const seen: (string | undefined)[] = [];
    const server = await serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === undefined) response.writeHead(401).end();
      else honestly(at("layout"))(request, response);
    });
    const { host } = new URL(server.url);
    const auth = Buffer.from("me:secret").toString("base64");
    writeFileSync(at("auth.json"), JSON.stringify({ auths: { [host]: { auth } } }));
    writeFileSync(at("mirrors.json"), JSON.stringify({ mirrors: [] }));
    const refused = await fetch(server.url);
    expect(refused.status).toBe(6);
    expect(refused.err).not.toContain("secret");
    vi.stubEnv("REGISTRY_AUTH_FILE", at("auth.json"));
    try {
      expect(await fetch(server.url)).toMatchObject({ status: 0 });
    } finally {
      vi.unstubAllEnvs();
    }
    expect(lacks()).toEqual([]);
    expect(seen.at(-1)).toBe(`Basic ${auth}`);
  });
});

describe("credentials for a web server", () => {
  const file = (content: unknown) => {
    const path = join(scratchFolder(), "auth.json");
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const auth = (user: string) => Buffer.from(`${user}:pass:word`).toString("base64");
  const of = (url: string, content: unknown) => authorizationFor(new URL(url), file(content));

  test("are those for the longest part of its path", async () => {
    const auths = {
      "m.example": { auth: auth("host") },
      "m.example/a": { auth: auth("a") },
      "m.example/a/b": { auth: auth("ab") },
    };
    expect(await of("https://m.example/", { auths })).toBe(`Basic ${auth("host")}`);
    expect(await of("https://m.example/a/x/", { auths })).toBe(`Basic ${auth("a")}`);
    expect(await of("https://m.example/a/b/", { auths })).toBe(`Basic ${auth("ab")}`);
    expect(await of("https://m.example:8443/a/", { auths })).toBeUndefined();
    expect(await of("https://other.example/", { auths })).toBeUndefined();
  });

  test("never go over plain http to another machine", async () => {
    const auths = { "m.example": { auth: auth("me") }, "127.0.0.1:8080": { auth: auth("here") } };
    const refused = of("http://m.example/", { auths });
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(/^mirror http:\/\/m.example\/: .*plain http$/);
    expect(await of("http://127.0.0.1:8080/", { auths })).toBe(`Basic ${auth("here")}`);
    expect(await of("http://other.example/", { auths })).toBeUndefined();
  });

  test("an identity token is for registries alone", async () => {
    const auths = { "m.example": { identitytoken: "token" } };
    expect(await of("https://m.example/", { auths })).toBeUndefined();
  });

  test("a helper is asked, and may have none or fail", async () => {
    const folder = scratchFolder();
    const helper = (name: string, script: string) => {
      writeFileSync(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, `docker-credential-${name}`), 0o755);
    };
    helper("good", `read server; printf '{"Username":"me","Secret":"from %s"}' "$server"`);
    helper("empty", "echo 'credentials not found in native keychain'; exit 1");
    helper("broken", "exit 3");
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    try {
      const credHelpers = (name: string) => ({ credHelpers: { "m.example": name } });
      const expected = Buffer.from("me:from m.example").toString("base64");
      expect(await of("https://m.example/", credHelpers("good"))).toBe(`Basic ${expected}`);
      expect(await of("https://m.example/", { credsStore: "good" })).toBe(`Basic ${expected}`);
      expect(await of("https://m.example/", credHelpers("empty"))).toBeUndefined();
      expect(await of("https://m.example/", credHelpers("broken"))).toBeUndefined();
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("a file that is named must be there; one that a variable names may be missing", async () => {
    await expect(authorizationFor(new URL("https://m.example/"), "/nowhere")).rejects.toMatchObject(
      {
        code: "NO_FILE",
      },
    );
    vi.stubEnv("REGISTRY_AUTH_FILE", "/nowhere");
    try {
      expect(await authorizationFor(new URL("https://m.example/"), undefined)).toBeUndefined();
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("an entry without user and password counts as none, and is told without showing what it holds", async () => {
    const told: string[] = [];
    const path = file({ auths: { "m.example": { auth: "c2VjcmV0" } } });
    const found = authorizationFor(new URL("https://m.example/"), path, (line) => told.push(line));
    expect(await found).toBeUndefined();
    expect(told).toEqual([expect.stringContaining("m.example")]);
    expect(told.join()).not.toMatch(/secret|c2VjcmV0/);
  });

  test("a file that is not right is refused without showing what it holds", async () => {
    const bad = of("https://m.example/", { auths: { "m.example": { auth: ["c2VjcmV0"] } } });
    await expect(bad).rejects.toMatchObject({ code: "MALFORMED" });
    await expect(bad).rejects.not.toThrow(/secret|c2VjcmV0/);
  });
});
