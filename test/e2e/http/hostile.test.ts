/**
 * One request to every kind of server that does what none should.
 *
 * Spec: docs/hostile-inputs.md, "E. Mirrors".
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { NetworkError } from "../../../src/errors.ts";
import { type GetOptions, HttpClient, type HttpClientOptions } from "../../../src/http/client.ts";
import { mayLeadTo, reachOf } from "../../../src/http/address.ts";
import { retryAfter } from "../../../src/http/answer.ts";
import { resolveTarget } from "../../../src/http/redirects.ts";
import { TestAuthority, hasOpenssl } from "../../support/certificates.ts";
import { type RawAnswer, answerWith, rawServer } from "../../support/raw-server.ts";
import { until } from "../../support/until.ts";

const content = Buffer.from("the bytes of an object, as they are");
const size = content.length;

function clientWith(options: HttpClientOptions = {}): HttpClient {
  const client = new HttpClient({ headersMs: 600_000, ...options });
  onTestFinished(() => client.close());
  return client;
}

async function read(client: HttpClient, url: URL, options: GetOptions = {}): Promise<Buffer> {
  const response = await client.get(url, options);
  return collect(response.body);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What comes of a GET of something of a known size: its bytes, or the code of the error. */
async function outcome(
  answer: RawAnswer,
  options: GetOptions = {},
  clientOptions: HttpClientOptions = {},
): Promise<string> {
  const server = await rawServer(answer);
  return outcomeOf(clientWith(clientOptions), server.url, { expectedSize: size, ...options });
}

async function outcomeOf(client: HttpClient, url: URL, options: GetOptions = {}): Promise<string> {
  try {
    return (await read(client, url, options)).toString();
  } catch (error) {
    if (error instanceof NetworkError) return error.code;
    throw error;
  }
}

const head = (...lines: string[]) =>
  `HTTP/1.1 200 OK\r\n${lines.map((l) => `${l}\r\n`).join("")}\r\n`;
const good = answerWith(content);
const chunked = `${size.toString(16)}\r\n${content.toString()}\r\n0\r\n\r\n`;

test("an honest answer is read to its end, and its connection used again", async () => {
  const server = await rawServer(good);
  const client = clientWith();
  for (let i = 0; i < 8; i++) {
    expect(await read(client, server.url, { expectedSize: size })).toEqual(content);
  }
  expect(server.connections()).toBeLessThan(4);
  expect(server.requests[0]!.headers.get("accept-encoding")).toBe("identity");
});

describe("lengths", () => {
  test("an empty answer is the wrong size (docs/hostile-inputs.md, 109)", async () => {
    expect(await outcome(answerWith(""))).toBe("WRONG_SIZE");
  });

  test("a body shorter than its Content-Length is cut short (docs/hostile-inputs.md, 110)", async () => {
    const answer: RawAnswer = ({ socket }) => socket.end(good.subarray(0, -5));
    expect(await outcome(answer)).toBe("CUT_SHORT");
  });

  test("bytes after the answer are not taken for the next one, and end the connection (docs/hostile-inputs.md, 111, 138)", async () => {
    const evil = answerWith("x".repeat(size));
    const server = await rawServer(({ socket, number }) => {
      socket.write(number === 1 ? Buffer.concat([good, evil]) : good);
    });
    const client = clientWith();
    expect(await read(client, server.url, { expectedSize: size })).toEqual(content);
    expect(await read(client, server.url, { expectedSize: size })).toEqual(content);
    await until(() => server.requests[0]!.socket.destroyed);
  });

  test("an answer that ends with its connection and too early is cut short (docs/hostile-inputs.md, 112)", async () => {
    const answer: RawAnswer = ({ socket }) => socket.end(head() + "the bytes");
    expect(await outcome(answer)).toBe("CUT_SHORT");
  });

  test("when the size is not known, an answer has to say where it ends (docs/hostile-inputs.md, 112)", async () => {
    const answer: RawAnswer = ({ socket }) => socket.end(head() + "the bytes");
    expect(await outcome(answer, { expectedSize: undefined, maxBytes: 1000 })).toBe("BAD_RESPONSE");
  });

  test("an endless body is given up after what was asked for (docs/hostile-inputs.md, 113)", async () => {
    let sent = 0;
    const answer: RawAnswer = ({ socket }) => {
      socket.write(head("Transfer-Encoding: chunked"));
      const more = () => {
        while (!socket.destroyed && socket.write(`400\r\n${"x".repeat(1024)}\r\n`)) sent += 1024;
      };
      socket.on("drain", more);
      more();
    };
    expect(await outcome(answer)).toBe("WRONG_SIZE");
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test("another Content-Length than the known size is refused before anything is read (docs/hostile-inputs.md, 114)", async () => {
    expect(await outcome(head("Content-Length: 1099511627776"))).toBe("WRONG_SIZE");
    expect(await outcome(answerWith(content.subarray(1)))).toBe("WRONG_SIZE");
    const capped = { expectedSize: undefined, maxBytes: 10 };
    expect(await outcome(good, capped)).toBe("WRONG_SIZE");
  });

  test("a body that is all there need not end its chunks", async () => {
    const chunk = `${size.toString(16)}\r\n${content.toString()}\r\n`;
    const answer: RawAnswer = ({ socket }) =>
      socket.write(head("Transfer-Encoding: chunked") + chunk);
    expect(await outcome(answer)).toBe(content.toString());
  });
});

describe("time", () => {
  test("a drip of bytes is too slow (docs/hostile-inputs.md, 115)", async () => {
    const answer: RawAnswer = ({ socket }) => {
      socket.write(head(`Content-Length: ${size}`));
      let at = 0;
      const timer = setInterval(() => {
        if (socket.destroyed || at === size) clearInterval(timer);
        else socket.write(content.subarray(at, ++at));
      }, 50);
    };
    const pace = { bytesPerSecond: 1000, windowMs: 400 };
    expect(await outcome(answer, {}, { pace })).toBe("TOO_SLOW");
  });

  test("the deadline holds whatever the pace (docs/hostile-inputs.md, 115)", async () => {
    const answer: RawAnswer = ({ socket }) => {
      socket.write(head("Content-Length: 1000000000"));
      const timer = setInterval(() => {
        if (socket.destroyed) clearInterval(timer);
        else socket.write("x".repeat(10_000));
      }, 10);
    };
    const options = { expectedSize: 1_000_000_000, deadlineMs: 500 };
    expect(await outcome(answer, options)).toBe("TIMEOUT");
  });

  test("a reader that takes its time is not the server's fault (docs/hostile-inputs.md, 115)", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const server = await rawServer(good);
    const client = clientWith({ pace: { bytesPerSecond: 1000, windowMs: 200 } });
    const { body } = await client.get(server.url, { expectedSize: size });
    vi.advanceTimersByTime(60_000);
    expect(await collect(body)).toEqual(content);
  });

  test("headers that never end run into their deadline, however they drip (docs/hostile-inputs.md, 116)", async () => {
    const answer: RawAnswer = ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const timer = setInterval(() => {
        if (socket.destroyed) clearInterval(timer);
        else socket.write("X-A: b\r\n");
      }, 100);
    };
    expect(await outcome(answer, {}, { headersMs: 700 })).toBe("TIMEOUT");
  });

  test("a server that never answers runs into the same deadline (docs/hostile-inputs.md, 116)", async () => {
    expect(await outcome(() => undefined, {}, { headersMs: 500 })).toBe("TIMEOUT");
  });

  test("sixteen informational answers are borne, no more (docs/hostile-inputs.md, 116)", async () => {
    const info = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const after = (count: number) => Buffer.concat([Buffer.from(info.repeat(count)), good]);
    expect(await outcome(after(16))).toBe(content.toString());
    expect(await outcome(after(17))).toBe("BAD_RESPONSE");
    expect(await outcome(after(2000))).toBe("BAD_RESPONSE");
  });

  test("a caller that loses interest ends the request, with its own reason", async () => {
    const server = await rawServer(head(`Content-Length: ${size}`));
    const controller = new AbortController();
    const client = clientWith();
    const response = await client.get(server.url, {
      expectedSize: size,
      signal: controller.signal,
    });
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 50);
    await expect(response.body.next()).rejects.toBe(reason);
  });
});

describe("grammar", () => {
  test("200 KB of headers are refused (docs/hostile-inputs.md, 117)", async () => {
    expect(await outcome(head(`X-A: ${"b".repeat(200_000)}`))).toBe("BAD_RESPONSE");
  });

  test.each([
    [
      "Content-Length beside Transfer-Encoding",
      head(`Content-Length: ${size}`, "Transfer-Encoding: chunked") + chunked,
    ],
    [
      "two different Content-Lengths",
      head(`Content-Length: ${size}`, `Content-Length: ${size + 1}`) + content.toString(),
    ],
    ["a negative Content-Length", head("Content-Length: -5")],
    ["bare line feeds", `HTTP/1.1 200 OK\nContent-Length: ${size}\n\n${content.toString()}`],
    ["HTTP/0.9", content.toString()],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
  ])("%s is refused (docs/hostile-inputs.md, 118)", async (_, answer) => {
    expect(["BAD_RESPONSE", "WRONG_SIZE"]).toContain(await outcome(answer));
  });

  test("a folded header gives the right bytes or an error (docs/hostile-inputs.md, 118)", async () => {
    const answer = `HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: ${size}\r\n\r\n${content.toString()}`;
    expect([content.toString(), "BAD_RESPONSE"]).toContain(await outcome(answer));
  });
});

describe("redirects", () => {
  const to = (location: string, status = "302 Found") =>
    answerWith("", { Location: location }, status);

  test("one that leads to the bytes is followed", async () => {
    const target = await rawServer(good);
    for (const status of ["301 M", "302 F", "303 S", "307 T", "308 P"]) {
      expect(await outcome(to(target.url.href, status))).toBe(content.toString());
    }
  });

  test("five are followed, no more (docs/hostile-inputs.md, 119)", async () => {
    const chain =
      (length: number): RawAnswer =>
      ({ socket, path }) => {
        const at = Number(path.slice(1));
        socket.write(at === length ? good : to(`/${at + 1}`));
      };
    expect(await outcome(chain(5))).toBe(content.toString());
    expect(await outcome(chain(6))).toBe("BAD_REDIRECT");
    expect(await outcome(({ socket }) => socket.write(to("/")))).toBe("BAD_REDIRECT");
  });

  test.each([
    "file:///etc/passwd",
    "data:,x",
    "ftp://127.0.0.1/x",
    "http://",
    "http://user:secret@127.0.0.1/",
  ])("a redirect to %s is refused (docs/hostile-inputs.md, 120, 142)", async (location) => {
    expect(await outcome(to(location))).toBe("BAD_REDIRECT");
  });

  test("one without Location, or with two, is refused", async () => {
    expect(await outcome(answerWith("", {}, "302 Found"))).toBe("BAD_RESPONSE");
    const two = "HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    expect(await outcome(two)).toBe("BAD_RESPONSE");
  });

  test("an address is known for what it is in each of its notations (docs/hostile-inputs.md, 121)", () => {
    const notations = {
      loopback: [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
      ],
      private: [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fc00::1",
        "fd12::1",
        "::ffff:10.0.0.1",
      ],
      special: [
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:169.254.169.254",
        "nonsense",
      ],
      "stand-in": ["198.18.0.1", "198.19.255.255", "::ffff:198.18.0.1"],
      public: ["93.184.216.34", "172.32.0.1", "2606:4700::1", "11.0.0.1", "::ffff:8.8.8.8"],
    };
    for (const [reach, addresses] of Object.entries(notations)) {
      for (const address of addresses)
        expect([address, reachOf(address)]).toEqual([address, reach]);
    }
    // Decimal and octal hosts are the URL parser's business.
    expect(new URL("http://2130706433/").hostname).toBe("127.0.0.1");
    expect(new URL("http://0177.0.0.1/").hostname).toBe("127.0.0.1");
  });

  test("a server leads no further inside than where it is itself (docs/hostile-inputs.md, 121)", () => {
    const reaches = ["public", "stand-in", "private", "loopback", "special"] as const;
    const allowed = reaches.map((from) => reaches.filter((target) => mayLeadTo(from, target)));
    expect(allowed).toEqual([
      ["public"],
      ["public", "stand-in"],
      ["public", "stand-in", "private"],
      ["public", "stand-in", "private", "loopback"],
      ["public", "stand-in", "private", "loopback"],
    ]);
  });

  test.each([
    "http://169.254.169.254/latest/meta-data",
    "http://0.0.0.0:1/",
    "http://[fe80::1]/",
    "http://[::ffff:a9fe:a9fe]/",
  ])(
    "a redirect to %s is refused without a connection (docs/hostile-inputs.md, 121)",
    async (location) => {
      expect(await outcome(to(location))).toBe("ADDRESS");
    },
  );

  test("a name that the user gives may lead to this machine, the same name from a server may not (docs/hostile-inputs.md, 121)", async () => {
    const server = await rawServer(good);
    const client = clientWith({ resolve: async () => [{ address: "127.0.0.1", family: 4 }] });
    const url = new URL(`http://mirror.example:${server.port}/`);
    const namedBy = new URL("https://registry.example/v2/");
    expect(await outcomeOf(client, url, { expectedSize: size, namedBy })).toBe("ADDRESS");
    expect(server.connections()).toBe(0);
    expect(await outcomeOf(client, url, { expectedSize: size })).toBe(content.toString());
  });

  test("a server that is at a special address may name itself, and no other such", async () => {
    const server = await rawServer(good);
    const url = new URL(`http://0.0.0.0:${server.port}/`);
    const client = clientWith();
    await read(client, url, { expectedSize: size });
    const from = { expectedSize: size, namedBy: new URL("/v2/", url) };
    expect(await outcomeOf(client, url, from)).toBe(content.toString());
    expect(await outcomeOf(client, new URL("http://169.254.1.1/"), from)).toBe("ADDRESS");
  });

  test.each([307, 308])("a %i to an upload repeats it, with its body", async (status) => {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        if (request.url === "/a") response.writeHead(status, { location: "/b" }).end();
        else response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const from = new URL(`http://127.0.0.1:${port}/a`);
    const client = clientWith();
    for (const body of [content, () => content]) {
      const response = await client.send("PUT", from, { body });
      expect((await collect(response.body)).toString()).toBe(`PUT /b ${content.toString()}`);
    }
    const once = (async function* () {
      yield content;
    })();
    const response = await client.send("PUT", from, { body: once, bodyBytes: size });
    expect(response.status).toBe(status);
  });

  test.each([301, 302, 303])("a %i to an upload is its answer", async (status) => {
    const server = await rawServer(answerWith("", { Location: "/b" }, `${status} There`));
    const response = await clientWith().send("PUT", server.url, { body: content });
    expect(response.status).toBe(status);
  });

  test("a server that names itself without TLS is asked with it, another one is not asked", () => {
    const from = new URL("https://registry.example:5000/v2/");
    const to = (location: string) => resolveTarget(location, from, "redirects").href;
    expect(to("http://registry.example:5000/x?y")).toBe("https://registry.example:5000/x?y");
    expect(to("http://registry.example/x")).toBe("https://registry.example:5000/x");
    expect(() => to("http://registry.example:80a/")).toThrow();
    expect(() => to("http://registry.example:8080/")).toThrow(/from https to http/);
    expect(() => to("http://cdn.example/")).toThrow(/from https to http/);
    const insecure = resolveTarget("http://cdn.example/", from, "redirects", true);
    expect(insecure.href).toBe("http://cdn.example/");
  });

  test("a name that a server gives leads to no address inside (docs/hostile-inputs.md, 121)", async () => {
    const server = await rawServer(good);
    const inside = ["10.1.2.3", "198.18.0.7", "fd00::1", "169.254.1.1"];
    for (const address of inside) {
      const family = address.includes(":") ? 6 : 4;
      const client = clientWith({ resolve: async () => [{ address, family }] });
      const url = new URL(`http://mirror.example:${server.port}/`);
      const namedBy = new URL("https://registry.example/v2/");
      expect(await outcomeOf(client, url, { expectedSize: size, namedBy })).toBe("ADDRESS");
    }
  });

  test("credentials do not go to another host or port, and come back to none (docs/hostile-inputs.md, 123)", async () => {
    const other = await rawServer(good);
    const server = await rawServer(({ socket, path }) => {
      socket.write(path === "/" ? to("/here") : to(other.url.href));
    });
    const authorization = "Basic c2VjcmV0";
    await read(clientWith(), server.url, { authorization, expectedSize: size });
    expect(server.requests.map(({ headers }) => headers.get("authorization"))).toEqual([
      authorization,
      authorization,
    ]);
    expect(other.requests[0]!.headers.has("authorization")).toBe(false);
  });

  test("messages show neither credentials nor the queries of signed URLs (docs/hostile-inputs.md, 190)", async () => {
    const server = await rawServer(answerWith("", {}, "500 No"));
    const url = new URL("/x?X-Amz-Signature=secret", server.url);
    const error = await clientWith()
      .get(url)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NetworkError);
    expect((error as Error).message).not.toContain("secret");
  });
});

describe("what was not asked for", () => {
  test("a compressed answer is refused, not unpacked (docs/hostile-inputs.md, 124)", async () => {
    const bomb = gzipSync(Buffer.alloc(1 << 20));
    expect(await outcome(answerWith(bomb, { "Content-Encoding": "gzip" }))).toBe("BAD_RESPONSE");
  });

  test("a chain of encodings is refused (docs/hostile-inputs.md, 125)", async () => {
    const encoding = Array(6).fill("gzip").join(", ");
    expect(await outcome(answerWith(content, { "Content-Encoding": encoding }))).toBe(
      "BAD_RESPONSE",
    );
  });

  test("a part, when no part was asked for, is refused (docs/hostile-inputs.md, 126)", async () => {
    const headers = { "Content-Range": `bytes 0-${size - 1}/${size + 1}` };
    expect(await outcome(answerWith(content, headers, "206 Part"))).toBe("BAD_RESPONSE");
    const later = { "Content-Range": `bytes 1-${size}/${size + 1}` };
    expect(await outcome(answerWith(content, later, "206 Part"))).toBe("BAD_RESPONSE");
  });

  test("a part that is the whole is taken for it, up to the most that was asked for", async () => {
    const headers = { "Content-Range": `bytes 0-${size - 1}/${size}` };
    const { url } = await rawServer(answerWith(content, headers, "206 Part"));
    const client = clientWith();
    expect(await outcomeOf(client, url, { maxBytes: size })).toBe(content.toString());
    expect(await outcomeOf(client, url, { maxBytes: size - 1 })).toBe("WRONG_SIZE");
  });

  test.each([
    `bytes 5-9/${size}`,
    `bytes 4-8/${size}`,
    `bytes 4-10/${size}`,
    "bytes 4-9/1000",
    "bytes 4-8/*",
    "bytes 5-9/*",
    `bytes */${size}`,
    "4-9",
    "",
  ])(
    "a part with Content-Range %j in place of 4-9 is refused (docs/hostile-inputs.md, 127)",
    async (range) => {
      const headers = { "Content-Range": range, "Content-Length": 6 };
      const answer = answerWith(content.subarray(4, 10), headers, "206 Part");
      expect(await outcome(answer, { range: { start: 4, end: 10 } })).toBe("BAD_RESPONSE");
    },
  );

  test.each([`bytes 4-9/${size}`, "bytes 4-9/*", `Bytes 4-9/${size}`])(
    "the right part is taken, with Content-Range %s (docs/hostile-inputs.md, 127)",
    async (range) => {
      const answer = answerWith(content.subarray(4, 10), { "Content-Range": range }, "206 Part");
      expect(await outcome(answer, { range: { start: 4, end: 10 } })).toBe("bytes ");
      const unknown = { range: { start: 4, end: 10 }, expectedSize: undefined };
      expect(await outcome(answer, unknown)).toBe("bytes ");
    },
  );

  test("a part of another length than it says is refused (docs/hostile-inputs.md, 127)", async () => {
    const headers = { "Content-Range": `bytes 4-9/${size}` };
    const answer = answerWith(content.subarray(4, 20), headers, "206 Part");
    expect(await outcome(answer, { range: { start: 4, end: 10 } })).toBe("WRONG_SIZE");
  });

  test("the whole in place of a part says that it begins at 0 (docs/hostile-inputs.md, 128)", async () => {
    const server = await rawServer(good);
    const options = { range: { start: 4, end: 10 }, expectedSize: size };
    const response = await clientWith().get(server.url, options);
    expect([response.status, response.extent.start, response.extent.bytes]).toEqual([200, 0, size]);
    await response.discard();
  });

  test("a range that is not there has an error of its own (docs/hostile-inputs.md, 129)", async () => {
    const answer = answerWith("", { "Content-Range": `bytes */${size}` }, "416 No");
    expect(await outcome(answer, { range: { start: 4, end: 10 } })).toBe("RANGE");
    expect(await outcome(answer)).toBe("BAD_RESPONSE");
  });

  test("several parts in one answer are refused (docs/hostile-inputs.md, 130)", async () => {
    const headers = {
      "Content-Type": "multipart/byteranges; boundary=x",
      "Content-Range": `bytes 4-9/${size}`,
    };
    const answer = answerWith(content.subarray(4, 10), headers, "206 Part");
    expect(await outcome(answer, { range: { start: 4, end: 10 } })).toBe("BAD_RESPONSE");
  });

  test.each([
    ["132", "404 Not Found", "NOT_FOUND"],
    ["132", "410 Gone", "NOT_FOUND"],
    ["134", "401 Unauthorized", "UNAUTHORIZED"],
    ["134", "403 Forbidden", "UNAUTHORIZED"],
    ["134", "407 Proxy", "UNAUTHORIZED"],
    ["135", "304 Not Modified", "BAD_RESPONSE"],
    ["136", "204 No Content", "BAD_RESPONSE"],
    ["136", "205 Reset", "BAD_RESPONSE"],
    ["136", "202 Accepted", "BAD_RESPONSE"],
    ["132", "500 Oh", "STATUS"],
    ["132", "999 What", "STATUS"],
  ])("docs/hostile-inputs.md, %s: status %s means %s", async (_, status, code) => {
    const body = status.startsWith("304") || status.startsWith("204") ? "" : "x";
    expect(await outcome(answerWith(body, {}, status))).toBe(code);
  });

  test("Retry-After is told in milliseconds, in both of its notations (docs/hostile-inputs.md, 133)", async () => {
    const now = Date.parse("2026-10-01T00:00:00Z");
    const asked = (value: string) => retryAfter({ "retry-after": value }, now);
    expect(asked("1")).toBe(1000);
    expect(asked("30")).toBe(30_000);
    expect(asked("86400")).toBe(86_400_000);
    expect(asked("Thu, 01 Oct 2026 00:00:10 GMT")).toBe(10_000);
    expect(asked("Wed, 30 Sep 2026 00:00:00 GMT")).toBe(0);
    expect(asked("garbage")).toBeUndefined();
    expect(asked("-1")).toBeUndefined();
    const server = await rawServer(answerWith("", { "Retry-After": "1" }, "503 Busy"));
    const error = await clientWith()
      .get(server.url)
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "BUSY", retryAfterMs: 1000 });
  });
});

describe("connections", () => {
  test("a reset in the body is told apart from its end (docs/hostile-inputs.md, 137)", async () => {
    const server = await rawServer(good.subarray(0, -5));
    const { body } = await clientWith().get(server.url, { expectedSize: size });
    server.requests[0]!.socket.resetAndDestroy();
    await expect(collect(body)).rejects.toMatchObject({ code: "CUT_SHORT" });
  });

  test("nobody who listens is unreachable", async () => {
    const server = await rawServer(good);
    const dead = new URL("http://127.0.0.1:1/");
    expect(await outcomeOf(clientWith(), dead)).toBe("UNREACHABLE");
    expect(server.connections()).toBe(0);
  });

  test("one that was kept and is closed when it is used again says nothing: the server is asked once more", async () => {
    const uses = new Map<unknown, number>();
    const server = await rawServer(({ socket }) => {
      const use = (uses.get(socket) ?? 0) + 1;
      uses.set(socket, use);
      if (use > 1) socket.destroy();
      else socket.write(good);
    });
    const client = clientWith();
    for (let i = 0; i < 3; i++) {
      expect(await outcomeOf(client, server.url, { expectedSize: size })).toBe(content.toString());
    }
    // A PATCH may have been done: it is not made twice.
    const patch = client.send("PATCH", server.url, { body: content });
    await expect(patch).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test("a connection that is closed without an answer is unreachable", async () => {
    expect(await outcome(({ socket }) => socket.end())).toBe("UNREACHABLE");
  });
});

describe.skipIf(!hasOpenssl)("TLS (skipped without openssl)", () => {
  let authority: TestAuthority;
  beforeAll(() => {
    authority = new TestAuthority();
  });

  const secure = (options: HttpClientOptions = {}) =>
    clientWith({ caFile: authority.caFile, ...options });

  test("a certificate by an authority that the user names is good", async () => {
    const tls = authority.issue("good", "DNS:localhost");
    const server = await rawServer(good, { tls });
    expect(await outcomeOf(secure(), server.url, { expectedSize: size })).toBe(content.toString());
    expect(await outcomeOf(clientWith(), server.url)).toBe("TLS");
  });

  test("an expired certificate is refused (docs/hostile-inputs.md, 137)", async () => {
    const tls = authority.issue("old", "DNS:localhost", { days: -1 });
    const server = await rawServer(good, { tls });
    expect(await outcomeOf(secure(), server.url)).toBe("TLS");
  });

  test("a certificate for another host is refused (docs/hostile-inputs.md, 137)", async () => {
    const tls = authority.issue("other", "DNS:mirror.example");
    const server = await rawServer(good, { tls });
    expect(await outcomeOf(secure(), server.url)).toBe("TLS");
  });

  test("a self-signed certificate is refused, also with NODE_TLS_REJECT_UNAUTHORIZED=0 (docs/hostile-inputs.md, 137)", async () => {
    const tls = authority.issue("self", "DNS:localhost", { selfSigned: true });
    const server = await rawServer(good, { tls });
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    onTestFinished(() => void delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]);
    expect(await outcomeOf(secure(), server.url)).toBe("TLS");
    expect(await outcomeOf(secure({ insecure: true }), server.url)).toBe(content.toString());
  });

  test("TLS 1.0 is refused (docs/hostile-inputs.md, 137)", async () => {
    const certificate = authority.issue("tls10", "DNS:localhost");
    const versions = {
      minVersion: "TLSv1",
      maxVersion: "TLSv1",
      ciphers: "DEFAULT@SECLEVEL=0",
    } as const;
    const server = await rawServer(good, { tls: { ...certificate, ...versions } });
    expect(await outcomeOf(secure(), server.url)).toBe("TLS");
  });

  test("a TLS connection cut without its close is cut short (docs/hostile-inputs.md, 137)", async () => {
    const tls = authority.issue("cut", "DNS:localhost");
    const server = await rawServer(good.subarray(0, -5), { tls });
    const { body } = await secure().get(server.url, { expectedSize: size });
    // The bare socket below TLS, so that there is no close_notify.
    const { socket } = server.requests[0]!;
    (socket as unknown as { _handle: { close(): void } })._handle.close();
    await expect(collect(body)).rejects.toMatchObject({ code: "CUT_SHORT" });
  });

  test("https never becomes http, by redirect or otherwise (docs/hostile-inputs.md, 122, 137)", async () => {
    const plain = await rawServer(good);
    const tls = authority.issue("down", "DNS:localhost");
    const server = await rawServer(answerWith("", { Location: plain.url.href }, "302 F"), { tls });
    expect(await outcomeOf(secure(), server.url)).toBe("BAD_REDIRECT");
    const notTls = new URL(`https://localhost:${plain.port}/`);
    // Whoever listens there may well wait for more.
    const impatient = secure({ headersMs: 2_000 });
    expect(["TLS", "UNREACHABLE", "TIMEOUT"]).toContain(await outcomeOf(impatient, notTls));
    expect(plain.requests).toEqual([]);
  });
});
