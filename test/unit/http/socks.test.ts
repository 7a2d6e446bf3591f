/** SOCKS5 proxies from the environment, with a real proxy and real servers. */
import { describe, expect, test } from "vitest";
import { NetworkError, UsageError } from "../../../src/errors.ts";
import { type HttpClientOptions } from "../../../src/http/client.ts";
import { Proxies } from "../../../src/http/proxies.ts";
import { TestAuthority, hasOpenssl } from "../../support/certificates.ts";
import { answerWith, rawServer } from "../../support/raw-server.ts";
import { outcomeOf } from "../../support/http-outcome.ts";
import { testSocks } from "../../support/socks.ts";

const content = "what the server has";
const lookup =
  (address?: string): NonNullable<HttpClientOptions["resolve"]> =>
  async (host) => {
    if (address !== undefined && host.endsWith(".test")) {
      return [{ address, family: address.includes(":") ? 6 : 4 }];
    }
    if (host === "localhost") return [{ address: "127.0.0.1", family: 4 }];
    throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
  };

const outcome = (url: string, options: HttpClientOptions) =>
  outcomeOf(url, content.length, { resolve: lookup(), ...options });

describe("a SOCKS5 proxy", () => {
  test.each([
    ["socks5h", "10.0.0.9", "name mirror.test:80"],
    ["socks5", "10.0.0.9", "address 10.0.0.9:80"],
    ["socks5", undefined, "name mirror.test:80"],
    ["SOCKS5H", "10.0.0.9", "name mirror.test:80"],
    ["socks5", "fd00::12:3", "address fd00:0000:0000:0000:0000:0000:0012:0003:80"],
  ])("%s with a name that is %s here is told %s", async (scheme, address, told) => {
    const server = await rawServer(answerWith(content));
    const hosts = Object.fromEntries([[told.replace(/^\w+ |:80$/g, ""), server.port]]);
    const proxy = await testSocks({ hosts });
    const environment = { http_proxy: `${scheme}://localhost:${proxy.port}` };
    const options = { environment, resolve: lookup(address) };
    expect(await outcome("http://mirror.test/a", options)).toBe(content);
    expect(proxy.asked).toEqual([told]);
    expect(server.requests[0]!.path).toBe("/a");
  });

  test.skipIf(!hasOpenssl).each([{}, { drips: true }])(
    "carries TLS, whose certificate is the server's: %j",
    async (habits) => {
      const authority = new TestAuthority();
      const tls = authority.issue("mirror", "DNS:mirror.test");
      const server = await rawServer(answerWith(content), { tls });
      const hosts = { "mirror.test": server.port, "other.test": server.port };
      const proxy = await testSocks({ hosts, ...habits });
      const environment = { https_proxy: `socks5h://localhost:${proxy.port}` };
      const { caFile } = authority;
      expect(await outcome("https://mirror.test:8443/", { environment, caFile })).toBe(content);
      expect(proxy.asked).toEqual(["name mirror.test:8443"]);
      const other = await outcome("https://other.test/", { environment, caFile });
      expect(other).toMatchObject({ code: "TLS" });
    },
  );

  test("is told user and password where it wants them", async () => {
    const server = await rawServer(answerWith(content));
    const proxy = await testSocks({
      hosts: { "mirror.test": server.port },
      credentials: "me:p@ss:ü",
    });
    const of = (user: string) =>
      outcome("http://mirror.test/", {
        environment: { http_proxy: `socks5h://${user}localhost:${proxy.port}` },
      });
    expect(await of("me:p%40ss:%C3%BC@")).toBe(content);
    const wrong = (await of("me:secret@")) as NetworkError;
    expect(wrong).toMatchObject({ code: "UNREACHABLE" });
    expect(wrong.message).toContain(`proxy socks5h://localhost:${proxy.port}: not with these`);
    expect(wrong.message).not.toContain("secret");
    expect(((await of("")) as Error).message).toContain("it wants credentials");
  });

  test.each([
    [2, "its rules do not allow that"],
    [5, "nothing answers there"],
    [99, "no reason given (99)"],
  ])("that replies %i is asked what is wrong", async (reply, why) => {
    const proxy = await testSocks({ hosts: {}, reply });
    const environment = { http_proxy: `socks5h://localhost:${proxy.port}` };
    const error = (await outcome("http://mirror.test/", { environment })) as NetworkError;
    expect(error).toMatchObject({ code: "UNREACHABLE" });
    expect(error.message).toBe(
      `proxy socks5h://localhost:${proxy.port}: does not connect us to mirror.test:80: ${why}`,
    );
  });

  test.each([
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "BAD_RESPONSE"],
    ["", "UNREACHABLE"],
    ["\x05", "UNREACHABLE"],
    ["\x05\x02\x01\x00", "UNREACHABLE"],
  ])("that says %j is blamed", async (babble, code) => {
    const proxy = await testSocks({ hosts: {}, babble });
    const environment = { http_proxy: `socks5h://localhost:${proxy.port}` };
    const error = await outcome("http://mirror.test/", { environment });
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toContain(`proxy socks5h://localhost:${proxy.port}: `);
  });

  test("that answers in the server's name is blamed", async () => {
    const server = await rawServer(answerWith(content));
    const more = answerWith(content).toString();
    const proxy = await testSocks({ hosts: { "mirror.test": server.port }, more });
    const environment = { http_proxy: `socks5h://localhost:${proxy.port}` };
    const error = await outcome("http://mirror.test/", { environment });
    expect(error).toMatchObject({ code: "BAD_RESPONSE" });
    expect((error as Error).message).toContain("says more than it was asked for");
  });

  test("that never answers, or is not there, is named", async () => {
    const silent = await rawServer(() => undefined);
    const environment = { http_proxy: `socks5h://localhost:${silent.port}` };
    const error = await outcome("http://mirror.test/", { environment, headersMs: 300 });
    expect(error).toMatchObject({ code: "TIMEOUT" });
    const gone = await outcome("http://mirror.test/", {
      environment: { http_proxy: "socks5h://127.0.0.1:1" },
    });
    expect((gone as Error).message).toContain("proxy socks5h://127.0.0.1:1: nothing answers there");
  });

  test("leads no server's redirect inside", async () => {
    for (const [scheme, address] of [
      ["socks5", "10.1.2.3"],
      ["socks5h", undefined],
    ] as const) {
      const location = address === undefined ? "http://10.1.2.3/" : "http://inside.test/";
      const server = await rawServer(answerWith("", { Location: location }, "302 Found"));
      const hosts = { "93.184.216.34": server.port, "mirror.test": server.port };
      const proxy = await testSocks({ hosts });
      const environment = { http_proxy: `${scheme}://127.0.0.1:${proxy.port}` };
      const resolve: NonNullable<HttpClientOptions["resolve"]> = async (host) => [
        { address: host === "inside.test" ? "10.1.2.3" : "93.184.216.34", family: 4 },
      ];
      const error = await outcome("http://mirror.test/", { environment, resolve });
      expect(error).toMatchObject({ code: "ADDRESS" });
      expect(proxy.asked).toHaveLength(1);
    }
  });
});

describe("a proxy that cannot be asked", () => {
  const values = [
    "socks4://h:1",
    "socks://h:1",
    "ftp://h",
    "socks5://",
    "socks5h://h:1:2",
    "http://",
  ];

  test.each(values)("%s is complained of when it is needed, not before", async (value) => {
    const server = await rawServer(answerWith(content));
    const environment = { http_proxy: value, https_proxy: value, no_proxy: "exempt.test" };
    expect(await outcome(server.url.href, { environment })).toBe(content);
    const proxies = new Proxies(environment);
    expect(proxies.for("http:", "exempt.test", "")).toBeUndefined();
    for (const [protocol, variable] of [
      ["http", "http_proxy"],
      ["https", "https_proxy"],
    ]) {
      const error = await outcome(`${protocol}://mirror.test/`, { environment });
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).toContain(`${variable} in the environment`);
    }
  });

  test("one of the other protocol is none of its business", async () => {
    const server = await rawServer(answerWith(content));
    const proxy = await testSocks({ hosts: { "mirror.test": server.port } });
    const environment = {
      http_proxy: `socks5h://localhost:${proxy.port}`,
      https_proxy: "socks4://h",
    };
    expect(await outcome("http://mirror.test/", { environment })).toBe(content);
  });

  test.each([255, 256])("a password of %i bytes fits SOCKS only up to 255", (bytes) => {
    const proxies = new Proxies({ http_proxy: `socks5://u:${"p".repeat(bytes)}@h` });
    const find = () => proxies.for("http:", "mirror.test", "")?.credentials?.password.length;
    if (bytes === 255) expect(find()).toBe(255);
    else expect(find).toThrow(/over 255 bytes/);
  });
});
