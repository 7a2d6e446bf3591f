/** Proxies from the environment, with a real proxy and real servers. */
import { beforeAll, describe, expect, test } from "vitest";
import { NetworkError, UsageError } from "../../../src/errors.ts";
import { type HttpClientOptions } from "../../../src/http/client.ts";
import { Proxies } from "../../../src/http/proxies.ts";
import { type Certificate, TestAuthority, hasOpenssl } from "../../support/certificates.ts";
import { outcomeOf } from "../../support/http-outcome.ts";
import { testProxy } from "../../support/proxy.ts";
import { answerWith, rawServer } from "../../support/raw-server.ts";

const content = "what the server has";

const outcome = (url: string, options: HttpClientOptions) =>
  outcomeOf(url, content.length, options);

describe("plain http", () => {
  test("is asked of the proxy by its whole URL, also for names that only the proxy knows", async () => {
    const server = await rawServer(answerWith(content));
    const proxy = await testProxy({ names: { "mirror.test": server.port } });
    const environment = { http_proxy: proxy.url.href };
    expect(await outcome("http://mirror.test/objects/ab?c=d", { environment })).toBe(content);
    expect(proxy.asked.map(({ what }) => what)).toEqual(["GET http://mirror.test/objects/ab?c=d"]);
    expect(server.requests[0]!.path).toBe("/objects/ab?c=d");
    expect(server.requests[0]!.headers.get("host")).toBe("mirror.test");
  });

  test("with credentials for the proxy, which the server does not see", async () => {
    const server = await rawServer(answerWith(content));
    const authorization = `Basic ${Buffer.from("me:p@ss").toString("base64")}`;
    const proxy = await testProxy({ names: { "mirror.test": server.port }, authorization });
    const environment = { http_proxy: proxy.url.href.replace("//", "//me:p%40ss@") };
    expect(await outcome("http://mirror.test/", { environment })).toBe(content);
    expect(server.requests[0]!.headers.has("proxy-authorization")).toBe(false);
    const refused = await outcome("http://mirror.test/", {
      environment: { http_proxy: proxy.url.href },
    });
    expect(refused).toMatchObject({ code: "UNREACHABLE", status: 407 });
    expect((refused as NetworkError).message).toContain(`proxy ${proxy.url.origin}`);
    expect((refused as NetworkError).message).toContain("wants credentials");
  });

  test("a proxy that is not there is named", async () => {
    const gone = await rawServer("");
    const environment = { http_proxy: `http://user:secret@127.0.0.1:1` };
    const error = (await outcome("http://mirror.test/", { environment })) as NetworkError;
    expect(error.code).toBe("UNREACHABLE");
    expect(error.message).toContain(
      "http://mirror.test/ through proxy http://127.0.0.1:1: nothing answers",
    );
    expect(error.message).not.toContain("secret");
    expect(gone.requests).toEqual([]);
  });
});

describe.skipIf(!hasOpenssl)("https", () => {
  let authority: TestAuthority;
  let certificate: Certificate;
  let proxyCertificate: Certificate;
  beforeAll(() => {
    authority = new TestAuthority();
    certificate = authority.issue("mirror", "DNS:mirror.test");
    proxyCertificate = authority.issue("proxy", "DNS:localhost");
  });

  test.each(["an http proxy", "an https proxy"])("goes through a tunnel of %s", async (kind) => {
    const server = await rawServer(answerWith(content), { tls: certificate });
    const proxy = await testProxy({
      names: { "mirror.test": server.port },
      ...(kind === "an https proxy" ? { tls: proxyCertificate } : {}),
    });
    const environment = { https_proxy: proxy.url.href };
    const { caFile } = authority;
    expect(await outcome("https://mirror.test/a", { environment, caFile })).toBe(content);
    expect(proxy.asked.map(({ what }) => what)).toEqual(["CONNECT mirror.test:443"]);
  });

  test("an IPv6 address stands in brackets before its port", async () => {
    const proxy = await testProxy({ names: {} });
    const environment = { https_proxy: proxy.url.href };
    await outcome("https://[2001:db8::7]/a", { environment });
    await outcome("https://[2001:db8::7]:5000/a", { environment });
    expect(proxy.asked.map(({ what }) => what)).toEqual([
      "CONNECT [2001:db8::7]:443",
      "CONNECT [2001:db8::7]:5000",
    ]);
  });

  test("the server's certificate is checked all the same", async () => {
    const server = await rawServer(answerWith(content), { tls: certificate });
    const proxy = await testProxy({ names: { "other.test": server.port } });
    const environment = { https_proxy: proxy.url.href };
    const { caFile } = authority;
    expect(await outcome("https://other.test/", { environment, caFile })).toMatchObject({
      code: "TLS",
    });
  });

  test.each([
    [407, "wants credentials"],
    [403, "refuses to connect us to mirror.test:443 (status 403)"],
    [502, "refuses to connect us to mirror.test:443 (status 502)"],
  ])("a proxy that answers %i is blamed, not the mirror", async (status, message) => {
    const proxy = await testProxy({ names: {}, status });
    const environment = { https_proxy: proxy.url.href };
    const error = (await outcome("https://mirror.test/", { environment })) as NetworkError;
    expect(error).toMatchObject({ code: "UNREACHABLE", status });
    expect(error.message).toContain(`proxy ${proxy.url.origin}`);
    expect(error.message).toContain(message);
  });

  test("a proxy that never answers is not waited for longer than for an answer", async () => {
    const silent = await rawServer(() => undefined);
    const environment = { https_proxy: silent.url.href };
    const error = await outcome("https://mirror.test/", { environment, headersMs: 300 });
    expect(error).toMatchObject({ code: "TIMEOUT" });
  });
});

describe("who may send us where", () => {
  test.each([
    ["an address of this network", "http://10.1.2.3/"],
    ["this machine", "http://127.0.0.1:1/"],
    ["a cloud's credentials", "http://169.254.169.254/latest"],
    ["this machine by its name", "http://localhost:1/"],
  ])("a server behind a proxy does not redirect to %s", async (_name, location) => {
    const server = await rawServer(answerWith("", { Location: location }, "302 Found"));
    const proxy = await testProxy({
      names: { "mirror.test": server.port, "10.1.2.3": server.port },
    });
    const environment = { http_proxy: proxy.url.href };
    expect(await outcome("http://mirror.test/", { environment })).toMatchObject({
      code: "ADDRESS",
    });
    expect(proxy.asked.length).toBe(1);
  });

  test("it may to another name, which the proxy looks up", async () => {
    const second = await rawServer(answerWith(content));
    const first = await rawServer(answerWith("", { Location: "http://cdn.test/x" }, "302 Found"));
    const proxy = await testProxy({
      names: { "mirror.test": first.port, "cdn.test": second.port },
    });
    const environment = { http_proxy: proxy.url.href };
    expect(await outcome("http://mirror.test/", { environment })).toBe(content);
    expect(proxy.asked.map(({ what }) => what)).toEqual([
      "GET http://mirror.test/",
      "GET http://cdn.test/x",
    ]);
  });

  test("this machine is never asked through a proxy", async () => {
    const server = await rawServer(answerWith(content));
    const proxy = await testProxy({ names: {} });
    const environment = { http_proxy: proxy.url.href, https_proxy: proxy.url.href };
    expect(await outcome(server.url.href, { environment })).toBe(content);
    expect(proxy.asked).toEqual([]);
  });
});

describe("the environment", () => {
  const through = (environment: Record<string, string>, url: string) => {
    const { protocol, hostname, port } = new URL(url);
    return new Proxies(environment).for(protocol, hostname, port)?.url.host;
  };

  test.each([
    [{ http_proxy: "http://p:1" }, "http://a.test/", "p:1"],
    [{ http_proxy: "http://p:1" }, "https://a.test/", undefined],
    [{ HTTPS_PROXY: "p:1" }, "https://a.test/", "p:1"],
    [
      { https_proxy: "http://lower:1", HTTPS_PROXY: "http://upper:1" },
      "https://a.test/",
      "lower:1",
    ],
    [{ https_proxy: "", HTTPS_PROXY: "http://upper:1" }, "https://a.test/", "upper:1"],
    [{ HTTP_PROXY: "http://p:1" }, "http://a.test/", "p:1"],
    [{ HTTP_PROXY: "http://p:1", REQUEST_METHOD: "GET" }, "http://a.test/", undefined],
    [{ http_proxy: "http://p:1" }, "http://[::1]/", undefined],
    [{ http_proxy: "http://p:1" }, "http://app.localhost/", undefined],
  ])("%j, %s: through %s", (environment, url, proxy) => {
    expect(through(environment as Record<string, string>, url)).toBe(proxy);
  });

  test.each([
    ["*", "http://a.test/", true],
    ["a.test", "http://a.test/", true],
    ["a.test", "http://b.a.test/", true],
    ["a.test", "http://ba.test/", false],
    [".a.test", "http://b.a.test/", true],
    ["*.a.test", "http://b.a.test/", true],
    ["x.test, A.TEST", "http://a.test/", true],
    ["a.test:8080", "http://a.test:8080/", true],
    ["a.test:8080", "http://a.test/", false],
    ["a.test:80", "http://a.test/", true],
    ["10.0.0.0/8", "http://10.9.8.7/", true],
    ["10.0.0.0/8", "http://11.9.8.7/", false],
    ["10.0.0.0/99", "http://10.0.0.0/", false],
    ["10.1.2.3", "http://10.1.2.3/", true],
    ["2.3", "http://10.1.2.3/", false],
    ["fd00::/8", "http://[fd00::1]/", true],
    ["fd00::1", "http://[fd00::1]/", true],
    ["[fd00::1]:80", "http://[fd00::1]/", true],
    ["", "http://a.test/", false],
  ])("no_proxy=%s, %s: exempt is %s", (no_proxy, url, exempt) => {
    const proxy = through({ http_proxy: "http://p:1", no_proxy }, url);
    expect(proxy === undefined).toBe(exempt);
  });

  test.each(["socks4://u:secret@p:1", "http://", "http://%zz:x@p:1"])(
    "%s is refused when it is needed, and not repeated",
    (value) => {
      const make = () => through({ https_proxy: value }, "https://a.test/");
      expect(make).toThrow(UsageError);
      expect(make).toThrow("https_proxy in the environment: expected a URL of a proxy");
      expect(make).not.toThrow("secret");
    },
  );
});
