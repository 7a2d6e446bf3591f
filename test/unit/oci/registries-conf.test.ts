/** registries.conf, read as podman reads it, and what is asked then. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { limits } from "../../../src/limits.ts";
import { parseRegistryReference } from "../../../src/oci/registry-reference.ts";
import {
  optionsFor,
  pullPlaces,
  pushPlace,
  withPullPlaces,
} from "../../../src/oci/registry/pull-places.ts";
import {
  AUTH_FILES,
  parseRegistriesConf,
  readRegistriesConf,
} from "../../../src/oci/registry/registries-conf.ts";
import { namesMeant } from "../../../src/oci/registry/short-names.ts";
import { parseSource } from "../../../src/oci/reference.ts";
import { openSource } from "../../../src/oci/source/open-source.ts";
import type { RegistryOptions } from "../../../src/oci/registry/session.ts";
import { types } from "../../support/oci.ts";
import { type RegistryHabits, TestRegistry } from "../../support/registry.ts";
import { scratchFolder } from "../../support/scratch.ts";

const parse = (text: string) => ({
  ...parseRegistriesConf(Buffer.from(text), "r.conf"),
  helpers: [AUTH_FILES],
});
const places = (text: string, reference: string) =>
  pullPlaces(parseRegistryReference(`docker://${reference}`), parse(text)).map(
    ({ host, repository, insecure }) => `${host}/${repository}${insecure ? " insecure" : ""}`,
  );
const DIGEST = `sha256:${"a".repeat(64)}`;

describe("the places of", () => {
  const cases: [title: string, text: string, reference: string, expected: string[]][] = [
    [
      "what no rule is about",
      '[[registry]]\nprefix = "r.example/x"',
      "r.example/xy",
      ["r.example/xy"],
    ],
    [
      "a rule with a location alone",
      '[[registry]]\nlocation = "r.example"\ninsecure = true',
      "r.example/a:1",
      ["r.example/a insecure"],
    ],
    [
      "what lies elsewhere",
      '[[registry]]\nprefix = "docker.io/library"\nlocation = "mirror:5000/hub/"',
      "busybox",
      ["mirror:5000/hub/busybox"],
    ],
    [
      "the longest prefix",
      '[[registry]]\nprefix = "r.example"\nlocation = "a.example"\n[[registry]]\nprefix = "r.example/team"\nlocation = "b.example/t"',
      "r.example/team/app",
      ["b.example/t/app"],
    ],
    [
      "a host, and not of all hosts of its domain, whatever comes first",
      '[[registry]]\nprefix = "*.r.example"\nlocation = "a.example"\n[[registry]]\nprefix = "name.r.example"\nlocation = "b.example"',
      "name.r.example/app",
      ["b.example/app"],
    ],
    [
      "a registry that version 1 says to be without TLS",
      '[registries.insecure]\nregistries = ["r.example/"]',
      "r.example/app",
      ["r.example/app insecure"],
    ],
    [
      "a prefix that is a repository with its tag",
      '[[registry]]\nprefix = "r.example/app:1"\nlocation = "a.example/one"',
      "r.example/app:1",
      ["a.example/one"],
    ],
    [
      "hosts below a domain",
      '[[registry]]\nprefix = "*.r.example"\nlocation = "a.example/all"',
      "eu.west.r.example/app",
      ["a.example/all/app"],
    ],
    [
      "hosts below a domain that stay",
      '[[registry]]\nprefix = "*.r.example"\ninsecure = true',
      "eu.r.example/app",
      ["eu.r.example/app insecure"],
    ],
    [
      "another domain",
      '[[registry]]\nprefix = "*.r.example"\nlocation = "x"',
      "eu.r.example.net/app",
      ["eu.r.example.net/app"],
    ],
    [
      "the domain itself",
      '[[registry]]\nprefix = "*.r.example"\nlocation = "x"',
      "r.example/app",
      ["r.example/app"],
    ],
    [
      "mirrors, in their order",
      '[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "m1.example/r"\ninsecure = true\n[[registry.mirror]]\nlocation = "m2.example"',
      "r.example/a/b",
      ["m1.example/r/a/b insecure", "m2.example/a/b", "r.example/a/b"],
    ],
    [
      "mirrors for digests, by tag",
      '[[registry]]\nlocation = "r.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example"',
      "r.example/a",
      ["r.example/a"],
    ],
    [
      "mirrors for digests, by digest",
      '[[registry]]\nlocation = "r.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example"',
      `r.example/a@${DIGEST}`,
      ["m.example/a", "r.example/a"],
    ],
    [
      "mirrors for one kind each, by tag",
      '[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "d.example"\npull-from-mirror = "digest-only"\n[[registry.mirror]]\nlocation = "t.example"\npull-from-mirror = "tag-only"',
      "r.example/a:1",
      ["t.example/a", "r.example/a"],
    ],
  ];
  test.each(cases)("%s", (_, text, reference, expected) => {
    expect(places(text, reference)).toEqual(expected);
  });

  test("a push are its own, whatever the mirrors", () => {
    const text = '[[registry]]\nprefix = "r.example"\nlocation = "x.example"\ninsecure = true';
    const reference = parseRegistryReference("docker://r.example/a:1");
    expect(pushPlace(reference, parse(text))).toEqual({
      host: "r.example",
      repository: "a",
      insecure: true,
    });
  });

  test("a registry that is blocked are refused, by the name of the file", () => {
    const text = '[[registry]]\nprefix = "r.example/team"\nblocked = true';
    expect(() => places(text, "r.example/team/app")).toThrow(
      /r\.example\/team\/app.* blocked in r\.conf/,
    );
    expect(places(text, "r.example/other")).toEqual(["r.example/other"]);
    expect(() =>
      pushPlace(parseRegistryReference("docker://r.example/team/x"), parse(text)),
    ).toThrow(SealfsError);
  });
});

test("what the user says of TLS counts before what the file says", () => {
  const place = { host: "r.example", repository: "a", insecure: true };
  expect(optionsFor(place, {}).insecure).toBe(true);
  expect(optionsFor({ ...place, insecure: false }, {}).insecure).toBe(false);
  expect(optionsFor(place, { insecure: false }).insecure).toBe(false);
  expect(optionsFor({ ...place, insecure: false }, { insecure: true }).insecure).toBe(true);
});

describe("is refused:", () => {
  test.each([
    ["[[registry]]\ninsecure = true", "neither"],
    ['[[registry]]\nlocation = "https://r.example"', "no scheme"],
    ['[[registry]]\nlocation = "r.example"\ninsecure = "yes"', "true or false"],
    ['[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\ninsecure = true', "location"],
    [
      '[[registry]]\nlocation = "r.example"\n[[registry.mirror]]\nlocation = "m"\npull-from-mirror = "never"',
      "digest-only",
    ],
    ['[[registry]]\nprefix = "r.*.example"\nlocation = "x"', "first part"],
    [
      'unqualified-search-registries = []\n[registries.search]\nregistries = ["docker.io"]',
      "mixes versions 1 and 2",
    ],
    ['registry = "x"', "an array"],
    ["unqualified-search-registries = [1]", "a string"],
  ])("%j", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  test("a location that makes no repository", () => {
    const text = '[[registry]]\nprefix = "r.example"\nlocation = "x.example/UPPER"';
    expect(() => places(text, "r.example/a")).toThrow(/r\.conf: location x\.example\/UPPER/);
  });
});

describe("files", () => {
  function write(root: string, files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
  }

  test("the user's, and those beside it in the order of their names", () => {
    const root = scratchFolder();
    write(root, {
      "containers/registries.conf":
        'unqualified-search-registries = ["a.example"]\n[[registry]]\nlocation = "r.example"\ninsecure = true',
      "containers/registries.conf.d/10-x.conf":
        '[[registry]]\nlocation = "r.example"\nblocked = true\n[aliases]\nx = "a.example/x"\ny = "a.example/y"',
      "containers/registries.conf.d/20-y.conf":
        'unqualified-search-registries = ["b.example"]\n[aliases]\nx = "b.example/x"\ny = ""',
      "containers/registries.conf.d/30-z.txt": "nonsense",
    });
    const conf = readRegistriesConf({ XDG_CONFIG_HOME: root });
    expect(conf.rules).toMatchObject([{ prefix: "r.example", insecure: false, blocked: true }]);
    expect(conf.search).toEqual(["b.example"]);
    expect([...conf.aliases]).toEqual([["x", "b.example/x"]]);
  });

  test("a file that is named stands in for the others, has to be there, and takes back no drop-in", () => {
    const root = scratchFolder();
    write(root, {
      "named.conf": '[[registry]]\nlocation = "named.example"',
      "containers/registries.conf": '[[registry]]\nlocation = "user.example"',
      "containers/registries.conf.d/a.conf":
        '[[registry]]\nlocation = "drop.example"\nblocked = true',
    });
    const env = { XDG_CONFIG_HOME: root, CONTAINERS_REGISTRIES_CONF: join(root, "named.conf") };
    const prefixes = readRegistriesConf(env).rules.map(({ prefix }) => prefix);
    expect(prefixes).toContain("named.example");
    expect(prefixes).toContain("drop.example");
    expect(prefixes).not.toContain("user.example");
    expect(() => readRegistriesConf({ CONTAINERS_REGISTRIES_CONF: "/nowhere" })).toThrow(
      /CONTAINERS_REGISTRIES_CONF.*\/nowhere/,
    );
  });

  test("one of version 1 searches, leaves out TLS and blocks as podman reads it", () => {
    const text =
      '[registries.search]\nregistries = ["a.example", "b.example/"]\n' +
      '[registries.insecure]\nregistries = ["plain.example"]\n' +
      '[registries.block]\nregistries = ["bad.example"]\n';
    const conf = parse(text);
    expect(conf.search).toEqual(["a.example", "b.example"]);
    expect(places(text, "plain.example/x")).toEqual(["plain.example/x insecure"]);
    expect(() => places(text, "bad.example/x")).toThrow(/blocked in r\.conf/);
  });

  test("one of version 1 does not stand in a directory", () => {
    const root = scratchFolder();
    write(root, {
      "containers/registries.conf": "",
      "containers/registries.conf.d/a.conf": '[registries.search]\nregistries = ["a.example"]',
    });
    expect(() => readRegistriesConf({ XDG_CONFIG_HOME: root })).toThrow(
      /expected version 2, got version 1/,
    );
  });

  test("says who is asked for credentials, files with them among the programs", () => {
    const root = scratchFolder();
    write(root, {
      "containers/registries.conf": 'credential-helpers = ["one"]',
      "containers/registries.conf.d/a.conf": 'credential-helpers = ["containers-auth.json", "two"]',
    });
    const conf = readRegistriesConf({ XDG_CONFIG_HOME: root });
    expect(conf.helpers).toEqual([AUTH_FILES, "two"]);
    expect(readRegistriesConf({ XDG_CONFIG_HOME: scratchFolder() }).helpers).toEqual([AUTH_FILES]);
  });

  test("a file up to its limit is read, a longer one is refused", () => {
    const path = join(scratchFolder(), "r.conf");
    const env = { CONTAINERS_REGISTRIES_CONF: path };
    writeFileSync(path, "\n".repeat(limits.registriesConfBytes));
    expect(readRegistriesConf(env).rules).toEqual([]);
    writeFileSync(path, "\n".repeat(limits.registriesConfBytes + 1));
    expect(() => readRegistriesConf(env)).toThrow(
      expect.objectContaining({ code: "LIMIT" }) as Error,
    );
  });
});

describe("a name without transport means", () => {
  const conf = parse(
    'unqualified-search-registries = ["a.example", "docker.io"]\n[aliases]\nfedora = "r.example/fedora"',
  );
  test.each([
    ["fedora", ["docker://r.example/fedora:latest"]],
    ["fedora:40", ["docker://r.example/fedora:40"]],
    [`fedora@${DIGEST}`, [`docker://r.example/fedora@${DIGEST}`]],
    ["app:1", ["docker://a.example/app:1", "docker://docker.io/library/app:1"]],
    ["team/app:1", ["docker://a.example/team/app:1", "docker://docker.io/team/app:1"]],
    ["x.example:5000/app", ["docker://x.example:5000/app:latest"]],
    ["app", []],
    ["image.tar", []],
    ["./app:1", []],
    ["/srv/app:1", []],
    ["App:1", []],
  ])("%s: %j", (text, expected) => {
    expect(namesMeant(text, conf)).toEqual(expected);
  });

  test("one of Docker Hub where nothing is said", () => {
    expect(namesMeant("busybox:1", parse(""))).toEqual(["docker://docker.io/library/busybox:1"]);
  });

  test("what the hint of a missing file says", async () => {
    await expect(openSource(parseSource("x.example/nothing-here:1"))).rejects.toMatchObject({
      code: "NO_FILE",
      hint: "an OCI image of that name in a registry is docker://x.example/nothing-here:1",
    });
  });
});

describe("pulling", () => {
  function configure(text: string): void {
    const path = join(scratchFolder(), "registries.conf");
    writeFileSync(path, text);
    vi.stubEnv("CONTAINERS_REGISTRIES_CONF", path);
    vi.stubEnv("REGISTRY_AUTH_FILE", "/dev/null");
    onTestFinished(() => void vi.unstubAllEnvs());
  }

  async function serving(repository: string, habits: RegistryHabits = {}) {
    const server = await TestRegistry.start(habits);
    server.addManifest(repository, "1", types.manifest, Buffer.from(`{"from":"${repository}"}`));
    return server;
  }

  const pull = (reference: string, options: RegistryOptions = {}) =>
    withPullPlaces(parseRegistryReference(`docker://${reference}`), options, async (registry) => {
      onTestFinished(() => registry.close());
      return Buffer.from((await registry.manifest("1")).bytes).toString();
    });

  test("asks a mirror, and not the registry", async () => {
    const mirror = await serving("cache/team/app");
    configure(
      `[[registry]]\nprefix = "r.example"\n[[registry.mirror]]\nlocation = "${mirror.host}/cache"`,
    );
    expect(await pull("r.example/team/app:1")).toContain("cache/team/app");
  });

  test.each([
    ["lacks it", (host: string) => `${host}/empty`],
    ["is not there", () => "127.0.0.1:1"],
  ])("goes on where a mirror %s", async (_, location) => {
    const server = await serving("team/app");
    configure(
      `[[registry]]\nlocation = "${server.host}"\n[[registry.mirror]]\nlocation = "${location(server.host)}"`,
    );
    const problems: string[] = [];
    const onProblem = (message: string) => problems.push(message);
    expect(await pull(`${server.host}/team/app:1`, { onProblem })).toContain("team/app");
    expect(problems).toEqual([]);
  });

  test("tells of every place when none has it", async () => {
    const server = await serving("team/app");
    configure(
      `[[registry]]\nlocation = "${server.host}/x"\n[[registry.mirror]]\nlocation = "${server.host}/y"`,
    );
    const problems: string[] = [];
    const onProblem = (message: string) => problems.push(message);
    await expect(pull(`${server.host}/x/app:1`, { onProblem })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`mirror ${server.host}/y/app`);
  });

  test("shows a mirror its own credentials, not those of the registry", async () => {
    const seen: (string | undefined)[] = [];
    const intercept: RegistryHabits["intercept"] = (request) => {
      seen.push(request.headers.authorization);
      return false;
    };
    const mirror = await serving("app", { auth: "basic", intercept });
    const server = await serving("app");
    configure(
      `[[registry]]\nlocation = "${server.host}"\n[[registry.mirror]]\nlocation = "${mirror.host}"`,
    );
    const path = join(scratchFolder(), "auth.json");
    const auth = Buffer.from("me:secret").toString("base64");
    writeFileSync(path, JSON.stringify({ auths: { [server.host]: { auth } } }));
    expect(await pull(`${server.host}/app:1`, { authFile: path })).toContain("app");
    expect(seen.filter((value) => value !== undefined)).toEqual([]);
  });
});
