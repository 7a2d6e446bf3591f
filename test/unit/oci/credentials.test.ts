/** Credentials in every spelling that docker and podman write, and the programs that keep them. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { findCredential } from "../../../src/oci/registry/credentials.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import type { RegistryOptions } from "../../../src/oci/registry/session.ts";
import { limits } from "../../../src/limits.ts";
import { types } from "../../support/oci.ts";
import { type RegistryHabits, TestRegistry, USER, PASSWORD } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";

const REPO = "team/app";
const pair = (user: string, password = "p:w") =>
  Buffer.from(`${user}:${password}`).toString("base64");
const entry = (user: string) => ({ auth: pair(user) });

function authFile(content: unknown): string {
  const path = join(scratchFolder(), "auth.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const find = (host: string, content: unknown, repository = "a/b") =>
  findCredential(host, repository, { file: authFile(content), env: {} });

describe("keys", () => {
  const known: [host: string, key: string][] = [
    ["registry.example", "registry.example"],
    ["registry.example", "https://registry.example"],
    ["registry.example", "https://registry.example/"],
    ["registry.example", "http://registry.example"],
    ["registry.example", "https://registry.example/v1/"],
    ["registry.example", "https://registry.example/v2"],
    ["registry.example", "registry.example/v2/"],
    ["registry.example", "https://registry.example/artifactory/api/docker"],
    ["registry.example", "registry.example:443"],
    ["registry.example", "Registry.Example"],
    ["registry.example:443", "https://registry.example/v2/"],
    ["registry.example:5000", "registry.example:5000"],
    ["registry.example:5000", "https://registry.example:5000/v1/"],
    ["[::1]:5000", "http://[::1]:5000/v2/"],
    ["docker.io", "https://index.docker.io/v1/"],
    ["docker.io", "https://index.docker.io/v2/"],
    ["docker.io", "index.docker.io"],
    ["docker.io", "docker.io"],
    ["docker.io", "https://registry-1.docker.io/v2/"],
    ["docker.io", "registry-1.docker.io"],
  ];
  test.each(known)("%s is known by the key %s", async (host, key) => {
    expect(await find(host, { auths: { [key]: entry("me") } })).toEqual({
      user: "me",
      password: "p:w",
    });
  });

  const foreign: [host: string, key: string][] = [
    ["registry.example", "registry.example:5000"],
    ["registry.example:5000", "registry.example"],
    ["registry.example", "https://registry.example.evil/v1/"],
    ["registry.example", "evil.registry.example"],
    ["registry.example", "registry.example/other"],
    ["registry.example", "https://evil/registry.example"],
    ["docker.io", "docker.io.evil"],
    ["docker.io", "hub.docker.com"],
  ];
  test.each(foreign)("%s is not told what is kept for %s", async (host, key) => {
    expect(await find(host, { auths: { [key]: entry("me") } })).toBeUndefined();
  });

  test("a namespace of Docker Hub counts before the whole of it", async () => {
    const auths = {
      "https://index.docker.io/v1/": entry("hub"),
      "docker.io/library": entry("official"),
    };
    expect(await find("docker.io", { auths }, "library/x")).toMatchObject({ user: "official" });
    expect(await find("docker.io", { auths }, "me/x")).toMatchObject({ user: "hub" });
  });

  test("a namespace may end with a slash", async () => {
    expect(await find("r.example", { auths: { "r.example/a/": entry("me") } })).toMatchObject({
      user: "me",
    });
  });

  test("an entry without credentials leaves room for another spelling", async () => {
    const auths = { "registry.example": {}, "https://registry.example/v1/": entry("old") };
    expect(await find("registry.example", { auths })).toMatchObject({ user: "old" });
  });
});

describe("fields", () => {
  const of = (value: unknown) => find("r.example", { auths: { "r.example": value } });

  test("user and password may be fields of their own, as Kubernetes writes them", async () => {
    expect(await of({ username: "me", password: "a:b" })).toEqual({ user: "me", password: "a:b" });
    expect(await of({ username: "x", password: "y", auth: pair("me", "pw") })).toEqual({
      user: "me",
      password: "pw",
    });
    expect(await of({ username: "me" })).toBeUndefined();
  });

  test("an identity token counts before a user", async () => {
    const zeros = "00000000-0000-0000-0000-000000000000";
    expect(await of({ auth: pair(zeros, ""), identitytoken: "refresh" })).toEqual({
      identityToken: "refresh",
    });
    expect(await of({ auth: pair("<token>", "refresh") })).toEqual({ identityToken: "refresh" });
  });

  test.each([
    {},
    { auth: "" },
    { auth: pair("", "") },
    { username: "", password: "" },
    { auth: null },
    null,
    { email: "me@example" },
  ])("an entry of %j has none", async (value) => {
    expect(await of(value)).toBeUndefined();
  });

  test.each(["", "\n", "{}", '{"auths":null}', '{"auths":{}}'])(
    "a file of %j has none",
    async (content) => {
      expect(await find("r.example", content)).toBeUndefined();
    },
  );

  test("a file up to its limit is read, a longer one is refused", async () => {
    const text = JSON.stringify({ auths: { "r.example": entry("me") } });
    const padded = (bytes: number) => text + " ".repeat(bytes - text.length);
    expect(await find("r.example", padded(limits.authFileBytes))).toMatchObject({ user: "me" });
    await expect(find("r.example", padded(limits.authFileBytes + 1))).rejects.toMatchObject({
      code: "LIMIT",
    });
  });
});

describe("files", () => {
  test("a variable may hold one, and .dockercfg is read last", async () => {
    const home = scratchFolder();
    const env = { HOME: home, XDG_RUNTIME_DIR: home } as NodeJS.ProcessEnv;
    const ask = () => findCredential("r.example", "a", { env });
    writeFileSync(join(home, ".dockercfg"), JSON.stringify({ "https://r.example": entry("cfg") }));
    expect(await ask()).toMatchObject({ user: "cfg" });
    mkdirSync(join(home, ".docker"));
    const file = (user: string) => JSON.stringify({ auths: { "r.example": entry(user) } });
    writeFileSync(join(home, ".docker/config.json"), file("file"));
    expect(await ask()).toMatchObject({ user: "file" });
    env["DOCKER_AUTH_CONFIG"] = file("variable");
    expect(await ask()).toMatchObject({ user: "variable" });
  });
});

/** Helpers in a folder of PATH. */
function helpers(scripts: Record<string, string>): void {
  const folder = scratchFolder();
  for (const [name, script] of Object.entries(scripts)) {
    const path = join(folder, `docker-credential-${name}`);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
  onTestFinished(() => void vi.unstubAllEnvs());
}

describe("helpers", () => {
  const failing: [name: string, script: string | undefined, why: string][] = [
    ["gone", undefined, "no such program in PATH"],
    ["fails", "echo 'not logged in' >&2; exit 7", "exit status 7: not logged in"],
    ["explains", "echo 'no keychain'; exit 1", "exit status 1: no keychain"],
    ["killed", "kill -9 $$", "killed by SIGKILL"],
    ["silent", "cat > /dev/null", "gave no answer"],
    ["babbles", "echo hello", "expected a JSON object with Username and Secret"],
    ["lists", "echo '[]'", "expected a JSON object with Username and Secret"],
    ["empty", `echo '{"Username":"","Secret":""}'`, "gave no secret"],
    ["no-shebang", "", "gave no answer"],
  ];
  test.each(failing)("%s: none, and the reason is told", async (name, script, why) => {
    helpers(script === undefined ? {} : { [name]: script });
    for (const section of [{ credsStore: name }, { credHelpers: { "r.example": name } }]) {
      const problems: string[] = [];
      const onProblem = (message: string) => problems.push(message);
      const file = authFile(section);
      expect(await findCredential("r.example", "a", { file, env: {}, onProblem })).toBeUndefined();
      expect(problems).toEqual([
        `docker-credential-${name}: ${why}; going on without credentials from it`,
      ]);
    }
  });

  test("one is given the registry as docker gives it, without a newline", async () => {
    helpers({
      exact: `if [ "$(od -An -c | tr -d ' ')" = r.example ]; then echo '{"Username":"me","Secret":"s"}'; fi`,
    });
    expect(await find("r.example", { credsStore: "exact" })).toMatchObject({ user: "me" });
  });

  test("those of registries.conf are asked before the files or after them, as it says", async () => {
    helpers({ conf: `echo '{"Username":"conf","Secret":"s"}'` });
    const home = scratchFolder();
    const env = {
      XDG_CONFIG_HOME: home,
      REGISTRY_AUTH_FILE: authFile({ auths: { "r.example": entry("file") } }),
    };
    mkdirSync(join(home, "containers"));
    const ask = (list: string) => {
      writeFileSync(join(home, "containers/registries.conf"), `credential-helpers = ${list}`);
      return findCredential("r.example", "a", { env });
    };
    expect(await ask('["conf", "containers-auth.json"]')).toMatchObject({ user: "conf" });
    expect(await ask('["containers-auth.json", "conf"]')).toMatchObject({ user: "file" });
  });

  test("what a helper says is not shown when it may be a secret", async () => {
    helpers({ half: `echo '{"Username":"me","Secret":'; echo 's3cret'` });
    const problems: string[] = [];
    const onProblem = (message: string) => problems.push(message);
    await findCredential("r.example", "a", { file: authFile({ credsStore: "half" }), onProblem });
    expect(problems).toHaveLength(1);
    expect(problems[0]).not.toContain("s3cret");
  });

  test("what the file has itself is used when a helper has none", async () => {
    helpers({ none: "echo 'credentials not found in native keychain'; exit 1" });
    const auths = { "r.example": entry("file") };
    for (const section of [{ credsStore: "none" }, { credHelpers: { "r.example": "none" } }]) {
      expect(await find("r.example", { ...section, auths })).toMatchObject({ user: "file" });
    }
  });

  test.each([
    ["docker.io", {}, "https://index.docker.io/v1/"],
    ["docker.io", {}, "docker.io"],
    ["docker.io", { "index.docker.io": {} }, "index.docker.io"],
    ["r.example", {}, "r.example"],
    ["r.example", { "https://r.example/v2/": {} }, "https://r.example/v2/"],
  ])("%s with the keys %j is asked for as %s", async (host, auths, known) => {
    const answer = `{"Username":"me","Secret":"s"}`;
    const absent = "credentials not found in native keychain";
    helpers({
      one: `read s; if [ "$s" = "${known}" ]; then echo '${answer}'; else echo '${absent}'; exit 1; fi`,
    });
    expect(await find(host, { credsStore: "one", auths })).toEqual({ user: "me", password: "s" });
  });

  test.each(["docker.io", "index.docker.io", "https://index.docker.io/v1/"])(
    "one for %s is one for Docker Hub",
    async (key) => {
      helpers({ hub: `echo '{"Username":"<token>","Secret":"refresh"}'` });
      expect(await find("docker.io", { credHelpers: { [key]: "hub" } })).toEqual({
        identityToken: "refresh",
      });
    },
  );
});

async function bed(habits: RegistryHabits, options: (host: string) => RegistryOptions) {
  const server = await TestRegistry.start(habits);
  server.addManifest(REPO, "1.0", types.manifest, Buffer.from("{}"));
  const registry = new Registry({ host: server.host, repository: REPO }, options(server.host));
  onTestFinished(() => registry.close());
  return { server, registry };
}

describe("a registry", () => {
  test.each(["gone", "fails"])(
    "that is public is read though the helper %s, and the user is warned once",
    async (name) => {
      helpers({ fails: "exit 1" });
      const problems: string[] = [];
      const { registry, server } = await bed({ auth: "bearer" }, () => ({
        authFile: authFile({ credsStore: name }),
        onProblem: (message) => problems.push(message),
      }));
      await registry.manifest("1.0");
      server.tokens.clear();
      await registry.manifest("1.0");
      expect(problems).toHaveLength(1);
    },
  );

  const token = (answer: (posted: URLSearchParams | undefined) => unknown): RegistryHabits => ({
    auth: "bearer",
    intercept: (request, response) => {
      if (request.url?.startsWith("/token") !== true) return false;
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const posted = request.method === "POST" ? new URLSearchParams(text) : undefined;
        response.end(JSON.stringify(answer(posted)));
      });
      return true;
    },
  });

  test.each([
    ["an empty token beside access_token", { token: "", access_token: "good" }],
    ["a token of null beside access_token", { token: null, access_token: "good" }],
    ["access_token alone", { access_token: "good", expires_in: 60 }],
    ["both", { token: "good", access_token: "other" }],
  ])("that answers with %s is believed", async (_, answer) => {
    const { registry, server } = await bed(
      token(() => answer),
      () => ({ authFile: authFile({}) }),
    );
    server.tokens.set("good", `repository:${REPO}:pull`);
    expect((await registry.manifest("1.0")).mediaType).toBe(types.manifest);
  });

  test("is given an identity token for a token, by OAuth2", async () => {
    const posts: (URLSearchParams | undefined)[] = [];
    const { registry, server } = await bed(
      token((posted) => {
        posts.push(posted);
        return { access_token: "good", refresh_token: "next" };
      }),
      (host) => ({ authFile: authFile({ auths: { [host]: { identitytoken: "refresh" } } }) }),
    );
    server.tokens.set("good", `repository:${REPO}:pull`);
    await registry.manifest("1.0");
    expect(Object.fromEntries(posts[0]!)).toEqual({
      grant_type: "refresh_token",
      client_id: "sealfs",
      refresh_token: "refresh",
      service: "test registry",
      scope: `repository:${REPO}:pull`,
    });
  });

  test("is shown a registry token as it is", async () => {
    const { registry, server } = await bed({ auth: "bearer" }, (host) => ({
      authFile: authFile({ auths: { [host]: { registrytoken: "mine" } } }),
    }));
    server.tokens.set("mine", `repository:${REPO}:pull`);
    await registry.manifest("1.0");
    expect(server.requests(/token/)).toEqual([]);
  });

  test.each(["basic", "bearer"] as const)(
    "is shown user and password of fields of their own: %s",
    async (auth) => {
      const { registry } = await bed({ auth }, (host) => ({
        authFile: authFile({ auths: { [host]: { username: USER, password: PASSWORD } } }),
      }));
      expect((await registry.manifest("1.0")).mediaType).toBe(types.manifest);
    },
  );
});
