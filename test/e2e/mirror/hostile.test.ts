/**
 * The fetcher and mirrors that do what none should, over real sockets. Whatever one does: it is set
 * aside for the object with its reason, the next one is asked, and only what has the right digest is
 * published.
 *
 * Spec: docs/hostile-inputs.md, "E. Mirrors".
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { FetchError } from "../../../src/errors.ts";
import { HttpClient, type HttpClientOptions } from "../../../src/http/client.ts";
import { Fetcher } from "../../../src/mirror/fetcher.ts";
import type { FaultKind } from "../../../src/mirror/health.ts";
import { HttpMirror } from "../../../src/mirror/http-mirror.ts";
import { Store } from "../../../src/store/store.ts";
import { objectPath } from "../../../src/verity/verity-digest.ts";
import { TestAuthority, hasOpenssl } from "../../support/certificates.ts";
import { wanted } from "../../support/fake-source.ts";
import {
  type RawAnswer,
  type RawRequest,
  answerWith,
  rawServer,
} from "../../support/raw-server.ts";
import { contentOf } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

/** Large enough to arrive in a file, and to be cut in the middle. */
const content = contentOf("an object of many bytes", 1_200_000);
const object = wanted(content);
const size = content.length;
const other = contentOf("another object", size);

let directory: string;
let store: Store;
beforeEach(() => {
  directory = scratchFolder();
  store = Store.create(join(directory, "store"));
});

const head = (...lines: string[]) =>
  `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const whole = answerWith(content, { ETag: '"one"' });

/** An honest server, which knows ranges. */
function honest({ socket, headers }: RawRequest): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
  if (from === undefined) {
    socket.write(whole);
    return;
  }
  const part = content.subarray(Number(from), Number(to) + 1);
  const range = `bytes ${from}-${to}/${size}`;
  socket.write(answerWith(part, { "Content-Range": range, ETag: '"one"' }, "206 Partial Content"));
}

/** For mirrors that never do in time what they are asked for. */
const quick: HttpClientOptions = {
  headersMs: 1_500,
  pace: { bytesPerSecond: 1000, windowMs: 700 },
};
/** For all others, on a machine however busy. */
const patient: HttpClientOptions = {
  headersMs: 600_000,
  pace: { bytesPerSecond: 1000, windowMs: 600_000 },
};

async function mirror(answer: RawAnswer, options?: HttpClientOptions) {
  const server = await rawServer(answer);
  return { ...server, source: mirrorAt(server.url, options) };
}

function mirrorAt(base: URL, options: HttpClientOptions = patient): HttpMirror {
  const source = new HttpMirror({ base, client: new HttpClient(options) });
  onTestFinished(() => source.close());
  return source;
}

const fetcherOf = (sources: readonly HttpMirror[], deadlineMs = 600_000) =>
  new Fetcher({ store, sources, durability: "none", lingerMs: 0, deadlineMs });

interface Case {
  readonly name: string;
  readonly answer: RawAnswer;
  readonly kind: FaultKind;
  readonly reason: RegExp;
}

const drip: RawAnswer = ({ socket }) => {
  socket.write(head(`Content-Length: ${size}`));
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write(content.subarray(at, ++at));
  }, 200);
};
const endless: RawAnswer = ({ socket }) => {
  socket.write(head("Transfer-Encoding: chunked"));
  const chunk = Buffer.from(`10000\r\n${"x".repeat(65_536)}\r\n`);
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  more();
};
const flood: RawAnswer = ({ socket }) => {
  for (let i = 0; i < 2000; i++) socket.write("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
  socket.write(whole);
};
const headersForEver: RawAnswer = ({ socket }) => {
  socket.write("HTTP/1.1 200 OK\r\n");
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer);
    else socket.write("X-More: 1\r\n");
  }, 100);
};
const resetMidBody: RawAnswer = ({ socket }) => {
  socket.write(whole.subarray(0, 1000), () => setTimeout(() => socket.resetAndDestroy(), 20));
};
const gzips = (times: number) => {
  let body = Buffer.from(content);
  for (let i = 0; i < times; i++) body = gzipSync(body);
  return body;
};
const redirectTo = (location: string) => answerWith("", { Location: location }, "302 Found");
const part = (range: string) =>
  answerWith(content, { "Content-Range": range }, "206 Partial Content");
const status = (line: string, headers = {}) => answerWith("no", headers, line);

const cases: readonly Case[] = [
  {
    name: "wrong bytes of the right length (docs/hostile-inputs.md, 107)",
    answer: answerWith(Buffer.alloc(size, 1)),
    kind: "wrong",
    reason: /digest/,
  },
  {
    name: "the right bytes of another object (docs/hostile-inputs.md, 108)",
    answer: answerWith(other),
    kind: "wrong",
    reason: /digest/,
  },
  {
    name: "an empty 200 (docs/hostile-inputs.md, 109)",
    answer: answerWith(""),
    kind: "wrong",
    reason: /expected 1200000 bytes, got 0/,
  },
  {
    name: "a body shorter than its length, every time (docs/hostile-inputs.md, 110)",
    answer: ({ socket }) => socket.end(whole.subarray(0, 500)),
    kind: "unreachable",
    reason: /the connection ended within the answer/,
  },
  {
    name: "an end by the connection, too early, every time (docs/hostile-inputs.md, 112)",
    answer: ({ socket }) => socket.end(head() + "some"),
    kind: "unreachable",
    reason: /expected 1200000 bytes, got 4|ended within/,
  },
  {
    name: "an endless body (docs/hostile-inputs.md, 113)",
    answer: endless,
    kind: "wrong",
    reason: /more than 1200000/,
  },
  {
    name: "a length of 1 TiB (docs/hostile-inputs.md, 114)",
    answer: head("Content-Length: 1099511627776"),
    kind: "wrong",
    reason: /1099511627776/,
  },
  {
    name: "a drip (docs/hostile-inputs.md, 115)",
    answer: drip,
    kind: "slow",
    reason: /bytes a second/,
  },
  {
    name: "headers that never end (docs/hostile-inputs.md, 116)",
    answer: headersForEver,
    kind: "slow",
    reason: /no answer within/,
  },
  {
    name: "no answer at all (docs/hostile-inputs.md, 116)",
    answer: () => undefined,
    kind: "slow",
    reason: /no answer within/,
  },
  {
    name: "2000 answers before one (docs/hostile-inputs.md, 116)",
    answer: flood,
    kind: "wrong",
    reason: /answers before one/,
  },
  {
    name: "200 KB of headers (docs/hostile-inputs.md, 117)",
    answer: head(`X-Long: ${"x".repeat(200_000)}`),
    kind: "wrong",
    reason: /headers/,
  },
  {
    name: "both Content-Length and Transfer-Encoding (docs/hostile-inputs.md, 118)",
    answer: head(`Content-Length: ${size}`, "Transfer-Encoding: chunked"),
    kind: "wrong",
    reason: /HTTP|Content-Length/,
  },
  {
    name: "two lengths (docs/hostile-inputs.md, 118)",
    answer: head(`Content-Length: ${size}`, "Content-Length: 1"),
    kind: "wrong",
    reason: /HTTP|Content-Length/,
  },
  {
    name: "HTTP/0.9 (docs/hostile-inputs.md, 118)",
    answer: ({ socket }) => socket.end(content),
    kind: "wrong",
    reason: /HTTP/,
  },
  {
    name: "a redirect to itself (docs/hostile-inputs.md, 119)",
    answer: ({ socket, path }) => socket.write(redirectTo(path)),
    kind: "wrong",
    reason: /redirects/,
  },
  {
    name: "a redirect to file: (docs/hostile-inputs.md, 120)",
    answer: redirectTo("file:///etc/passwd"),
    kind: "wrong",
    reason: /redirects to file:/,
  },
  {
    name: "a redirect to data: (docs/hostile-inputs.md, 120)",
    answer: redirectTo("data:,x"),
    kind: "wrong",
    reason: /redirects to data:/,
  },
  {
    name: "gzip (docs/hostile-inputs.md, 124)",
    answer: answerWith(gzips(1), { "Content-Encoding": "gzip" }),
    kind: "wrong",
    reason: /Content-Encoding gzip/,
  },
  {
    name: "gzip six times (docs/hostile-inputs.md, 125)",
    answer: answerWith(gzips(6), { "Content-Encoding": "gzip, gzip, gzip, gzip, gzip, gzip" }),
    kind: "wrong",
    reason: /Content-Encoding/,
  },
  {
    name: "a part that was not asked for (docs/hostile-inputs.md, 126)",
    answer: part(`bytes 1-${size}/${size + 1}`),
    kind: "wrong",
    reason: /206/,
  },
  {
    name: "404 (docs/hostile-inputs.md, 132)",
    answer: status("404 Not Found"),
    kind: "missing",
    reason: /404/,
  },
  {
    name: "410 (docs/hostile-inputs.md, 132)",
    answer: status("410 Gone"),
    kind: "missing",
    reason: /410/,
  },
  {
    name: "503, come back in a day (docs/hostile-inputs.md, 133)",
    answer: status("503 Busy", { "Retry-After": 86_400 }),
    kind: "busy",
    reason: /503/,
  },
  {
    name: "429, come back at some time (docs/hostile-inputs.md, 133)",
    answer: status("429 Slow", { "Retry-After": "later" }),
    kind: "busy",
    reason: /429/,
  },
  {
    name: "401 (docs/hostile-inputs.md, 134)",
    answer: status("401 Unauthorized", { "WWW-Authenticate": "Basic realm=x" }),
    kind: "refused",
    reason: /401/,
  },
  {
    name: "407 (docs/hostile-inputs.md, 134)",
    answer: status("407 Proxy", { "Proxy-Authenticate": "Basic realm=x" }),
    kind: "refused",
    reason: /407/,
  },
  {
    name: "304 (docs/hostile-inputs.md, 135)",
    answer: "HTTP/1.1 304 Not Modified\r\n\r\n",
    kind: "wrong",
    reason: /304/,
  },
  {
    name: "204 (docs/hostile-inputs.md, 136)",
    answer: "HTTP/1.1 204 No Content\r\n\r\n",
    kind: "wrong",
    reason: /204/,
  },
  {
    name: "205 (docs/hostile-inputs.md, 136)",
    answer: answerWith("", {}, "205 Reset Content"),
    kind: "wrong",
    reason: /205/,
  },
  { name: "500", answer: status("500 Oops"), kind: "unreachable", reason: /500/ },
  {
    name: "a reset in the middle, every time (docs/hostile-inputs.md, 137)",
    answer: resetMidBody,
    kind: "unreachable",
    reason: /connection/,
  },
];

describe.each(cases)("$name", ({ answer, kind, reason }) => {
  test("is blamed on the mirror, and the next one gives the object", async () => {
    const bad = await mirror(answer, kind === "slow" ? quick : patient);
    const good = await mirror(honest);
    const fetcher = fetcherOf([bad.source, good.source]);
    await fetcher.fetch(object);
    expect(readFileSync(store.objects.path(object.digest)).equals(content)).toBe(true);
    const [ofBad, ofGood] = fetcher.stats();
    expect(ofBad!.faults[kind]).toBeGreaterThan(0);
    expect(ofBad!.lastFault).toMatch(reason);
    expect(ofBad!.good).toBe(0);
    expect(ofGood).toMatchObject({ good: 1, coolingMs: 0 });
    expect(bad.requests.length).toBeGreaterThan(0);
  });

  test("alone is an error with its reason, and leaves nothing", async () => {
    const bad = await mirror(answer, kind === "slow" ? quick : patient);
    // One that is busy is asked again as long as there is time.
    const fetcher = kind === "busy" ? fetcherOf([bad.source], 10_000) : fetcherOf([bad.source]);
    const error = await fetcher.fetch(object).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(FetchError);
    const { code, failures } = error as FetchError;
    expect(code).toBe("ALL_FAILED");
    expect(failures).toMatchObject([{ source: bad.url.href }]);
    expect(failures[0]!.reason).toMatch(reason);
    expect(existsSync(store.objects.path(object.digest))).toBe(false);
    await fetcher.close();
    // What arrived rightly may wait for the next run; it is never taken for the object.
    const left = readdirSync(join(store.path, "tmp"));
    expect(left.filter((name) => !name.startsWith("partial-"))).toEqual([]);
  });
});

test("bytes behind the answer harm neither this object nor the next (docs/hostile-inputs.md, 111, 138)", async () => {
  const second = contentOf("second", 2000);
  const server = await mirror(({ socket, path }) => {
    const answer = path.endsWith(objectPath(object.digest).slice(3)) ? whole : answerWith(second);
    socket.write(Buffer.concat([answer, answerWith(Buffer.alloc(2000, 1))]));
  });
  const fetcher = fetcherOf([server.source]);
  await fetcher.fetch(object);
  await fetcher.fetch(wanted(second));
  expect(fetcher.stats()[0]!.faults.wrong).toBe(0);
});

describe("what a redirect or a certificate must not do (docs/hostile-inputs.md, 121, 122, 137)", () => {
  test.skipIf(!hasOpenssl)("a redirect from https to http is not followed", async () => {
    const authority = new TestAuthority();
    const plain = await rawServer(honest);
    const server = await rawServer(redirectTo(plain.url.href), {
      tls: authority.issue("server", "DNS:localhost,IP:127.0.0.1"),
    });
    const source = mirrorAt(server.url, { ...patient, caFile: authority.caFile });
    const fetcher = fetcherOf([source]);
    await expect(fetcher.fetch(object)).rejects.toThrow(/https to http/);
    expect(plain.requests).toEqual([]);
  });

  test.skipIf(!hasOpenssl)(
    "a certificate that is not trusted is not accepted, and http is not tried",
    async () => {
      const authority = new TestAuthority();
      const bad = await rawServer(honest, {
        tls: authority.issue("server", "DNS:localhost,IP:127.0.0.1"),
      });
      const good = await mirror(honest);
      const fetcher = fetcherOf([mirrorAt(bad.url), good.source]);
      await fetcher.fetch(object);
      expect(bad.requests).toEqual([]);
      expect(fetcher.stats()[0]!.lastFault).toMatch(/certificate/);
    },
  );
});

describe("resuming", () => {
  /** Breaks off after `at` bytes, then answers as `then` says. */
  const breaking = (then: RawAnswer, at = 700_000): RawAnswer => {
    return (request) => {
      if (request.number === 1) {
        request.socket.end(whole.subarray(0, at));
      } else if (typeof then === "function") then(request);
      else request.socket.write(then);
    };
  };
  const rangeOf = (request: RawRequest | undefined) => request?.headers.get("range");

  test("a download that breaks off goes on where it was, with the same version", async () => {
    const server = await mirror(breaking(honest));
    await fetcherOf([server.source]).fetch(object);
    expect(server.requests).toHaveLength(2);
    expect(rangeOf(server.requests[1])).toMatch(/^bytes=[1-9]\d*-1199999$/);
    expect(server.requests[1]!.headers.get("if-range")).toBe('"one"');
    expect(existsSync(store.objects.path(object.digest))).toBe(true);
  });

  test("a server that gives all again is read from its beginning (docs/hostile-inputs.md, 128)", async () => {
    const server = await mirror(breaking(answerWith(content)));
    await fetcherOf([server.source]).fetch(object);
    expect(rangeOf(server.requests.at(-1))).toBeUndefined();
    expect(existsSync(store.objects.path(object.digest))).toBe(true);
  });

  test("a range that it does not have (416) is dropped, and all is asked for (docs/hostile-inputs.md, 129)", async () => {
    const server = await mirror(
      breaking((request) => {
        if (rangeOf(request) === undefined) honest(request);
        else request.socket.write(status("416 Range Not Satisfiable"));
      }),
    );
    await fetcherOf([server.source]).fetch(object);
    expect(server.requests).toHaveLength(3);
    expect(existsSync(store.objects.path(object.digest))).toBe(true);
  });

  test("another version now is read from its beginning (docs/hostile-inputs.md, 131)", async () => {
    const server = await mirror(
      breaking((request) => {
        if (rangeOf(request) === undefined) return honest(request);
        const from = Number(/\d+/.exec(rangeOf(request)!)![0]);
        const headers = { ETag: '"two"', "Content-Range": `bytes ${from}-${size - 1}/${size}` };
        request.socket.write(answerWith(content.subarray(from), headers, "206 Partial Content"));
      }),
    );
    await fetcherOf([server.source]).fetch(object);
    expect(rangeOf(server.requests.at(-1))).toBeUndefined();
    expect(existsSync(store.objects.path(object.digest))).toBe(true);
  });

  test.each([
    [
      "of another start (docs/hostile-inputs.md, 127)",
      (from: number) => `bytes ${from + 1}-${size - 1}/${size}`,
    ],
    [
      "of another total (docs/hostile-inputs.md, 127)",
      (from: number) => `bytes ${from}-${size - 1}/${size + 1}`,
    ],
    [
      "of another end, of an unknown total (docs/hostile-inputs.md, 127)",
      (from: number) => `bytes ${from}-${size - 2}/*`,
    ],
  ])("a part %s is refused, and another mirror goes on", async (_, contentRange) => {
    const bad = await mirror(
      breaking((request) => {
        const from = Number(/\d+/.exec(rangeOf(request)!)![0]);
        const headers = { "Content-Range": contentRange(from), ETag: '"one"' };
        request.socket.write(answerWith(content.subarray(from), headers, "206 Partial Content"));
      }),
    );
    const good = await mirror(honest);
    const fetcher = fetcherOf([bad.source, good.source]);
    await fetcher.fetch(object);
    expect(fetcher.stats()[0]!.lastFault).toMatch(/Content-Range/);
    expect(rangeOf(good.requests[0])).toMatch(/^bytes=[1-9]\d*-1199999$/);
  });

  test("the right part of an unknown total is taken (docs/hostile-inputs.md, 127)", async () => {
    const server = await mirror(
      breaking((request) => {
        const from = Number(/\d+/.exec(rangeOf(request)!)![0]);
        const headers = { "Content-Range": `bytes ${from}-${size - 1}/*`, ETag: '"one"' };
        request.socket.write(answerWith(content.subarray(from), headers, "206 Partial Content"));
      }),
    );
    await fetcherOf([server.source]).fetch(object);
    expect(server.requests).toHaveLength(2);
  });

  test.each(["400 Bad Request", "405 Method Not Allowed", "501 Not Implemented"])(
    "a server that answers %s to a range is asked for all",
    async (no) => {
      const server = await mirror(
        breaking((request) => {
          if (rangeOf(request) === undefined) honest(request);
          else request.socket.write(status(no));
        }),
      );
      const fetcher = fetcherOf([server.source]);
      await fetcher.fetch(object);
      expect(fetcher.stats()[0]!.faults).toMatchObject({ wrong: 0, refused: 0, unreachable: 0 });
      expect(server.requests).toHaveLength(3);
    },
  );

  test("several parts in one answer are refused (docs/hostile-inputs.md, 130)", async () => {
    const bad = await mirror(
      breaking(
        answerWith(
          "--x",
          { "Content-Type": "multipart/byteranges; boundary=x" },
          "206 Partial Content",
        ),
      ),
    );
    const good = await mirror(honest);
    const fetcher = fetcherOf([bad.source, good.source]);
    await fetcher.fetch(object);
    expect(fetcher.stats()[0]!.lastFault).toMatch(/several parts/);
  });
});

test("a mirror that asks for a second is asked again after it (docs/hostile-inputs.md, 133)", async () => {
  const server = await mirror((request) => {
    if (request.number === 1) request.socket.write(status("503 Busy", { "Retry-After": 1 }));
    else honest(request);
  });
  const start = performance.now();
  await fetcherOf([server.source]).fetch(object);
  expect(performance.now() - start).toBeGreaterThanOrEqual(900);
  expect(server.requests).toHaveLength(2);
});

test("credentials go to no mirror that has none (docs/hostile-inputs.md, 134)", async () => {
  const server = await mirror(status("401 Unauthorized", { "WWW-Authenticate": "Basic realm=x" }));
  await expect(fetcherOf([server.source]).fetch(object)).rejects.toThrow(/401/);
  for (const { headers } of server.requests) expect(headers.has("authorization")).toBe(false);
});

test("what is asked for is made of hex digits below the mirror's own path (docs/hostile-inputs.md, 142)", async () => {
  const server = await rawServer(honest);
  const source = mirrorAt(new URL("deep/er/", server.url));
  await fetcherOf([source]).fetch(object);
  const { digest } = object;
  expect(server.requests[0]!.path).toBe(
    `/deep/er/objects/${digest.slice(0, 2)}/${digest.slice(2)}`,
  );
});

test("a hundred requests for one object are one download (docs/hostile-inputs.md, 143)", async () => {
  const server = await mirror(honest);
  const fetcher = fetcherOf([server.source]);
  await Promise.all(Array.from({ length: 100 }, () => fetcher.fetch(object)));
  expect(server.requests).toHaveLength(1);
});

test("a hundred requests for one object hear of its failure (docs/hostile-inputs.md, 143)", async () => {
  const server = await mirror(status("404 Not Found"));
  const fetcher = fetcherOf([server.source]);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, () => fetcher.fetch(object)),
  );
  expect(outcomes.map((each) => each.status)).toEqual(Array(100).fill("rejected"));
  expect(server.requests).toHaveLength(1);
});

test("when all mirrors are bad, the error has each with its reason (docs/hostile-inputs.md, 141)", async () => {
  const liar = await mirror(answerWith(other));
  const empty = await mirror(status("404 Not Found"));
  const rude = await mirror(status("401 Unauthorized"));
  const error = (await fetcherOf([liar.source, empty.source, rude.source])
    .fetch(object)
    .catch((thrown: unknown) => thrown)) as FetchError;
  expect(error.failures.map(({ source }) => source)).toEqual(
    [liar, empty, rude].map(({ url }) => url.href),
  );
  for (const text of ["digest", "404", "401"]) expect(error.message).toContain(text);
});

test("leaf hashes come from beside the objects; a mirror may have none", async () => {
  const leaves = Buffer.alloc(Math.ceil(size / 4096) * 32, 7);
  const server = await mirror(({ socket, path }) =>
    socket.write(path.startsWith("/verity/") ? answerWith(leaves) : status("404 Not Found")),
  );
  expect(Buffer.from((await server.source.leaves(object, {}))!).equals(leaves)).toBe(true);
  const without = await mirror(status("404 Not Found"));
  expect(await without.source.leaves(object, {})).toBeUndefined();
  const wrong = await mirror(answerWith("short"));
  await expect(wrong.source.leaves(object, {})).rejects.toThrow(/expected 9376 bytes/);
});
