/** How long a server that is busy is waited for, and what it says about itself. */
import { describe, expect, onTestFinished, test } from "vitest";
import { retryAfter } from "../../../src/http/answer.ts";
import { HttpClient } from "../../../src/http/client.ts";
import { explanation, wordsOf } from "../../../src/http/explanation.ts";
import { type Patience, usualPatience, whileBusy } from "../../../src/http/patience.ts";
import { answerWith, rawServer } from "../../support/raw-server.ts";

/** Patience whose pauses are noted, and take no time. */
function noted(limits: Partial<Patience> = {}): Patience & { readonly pauses: number[] } {
  const pauses: number[] = [];
  const sleep = (ms: number) => Promise.resolve(void pauses.push(ms));
  return { ...usualPatience, ...limits, sleep, pauses };
}

/** Asks a server that gives these answers in turn, the last one for ever. */
async function ask(answers: readonly Buffer[], patience: Patience) {
  const server = await rawServer(({ socket, number }) => {
    socket.write(answers[Math.min(number, answers.length) - 1]!);
  });
  const client = new HttpClient();
  onTestFinished(() => client.close());
  const response = await whileBusy(() => client.send("GET", server.url), patience, undefined);
  await response.discard();
  return { status: response.status, requests: server.requests.length };
}

const busy = (headers: Record<string, string> = {}, status = "429 Busy") =>
  answerWith("", headers, status);
const good = answerWith("{}");

describe("a server that is busy", () => {
  test("is asked again after the time that it asks for", async () => {
    const patience = noted();
    const answers = [busy({ "Retry-After": "3" }), busy({ "Retry-After": "7" }, "503 No"), good];
    expect(await ask(answers, patience)).toEqual({ status: 200, requests: 3 });
    expect(patience.pauses).toEqual([3000, 7000]);
  });

  test.each([
    ["nothing", {}],
    ["garbage", { "Retry-After": "soon" }],
    ["no time at all", { "Retry-After": "0" }],
    ["a time that is over", { "Retry-After": "Wed, 30 Sep 2020 00:00:00 GMT" }],
  ])("that says %s is given more time with every try", async (_, headers) => {
    const patience = noted();
    const { requests } = await ask([busy(headers)], patience);
    expect(patience.pauses).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(requests).toBe(6);
  });

  test("is waited for as long as patience lasts, to the millisecond, and no longer", async () => {
    const enough = noted({ waitMs: 4000 });
    await ask([busy({ "Retry-After": "2" })], enough);
    expect(enough.pauses).toEqual([2000, 2000]);
    const short = noted({ waitMs: 3999 });
    await ask([busy({ "Retry-After": "2" })], short);
    expect(short.pauses).toEqual([2000]);
  });

  test("that wants a day is not waited for", async () => {
    const patience = noted();
    const { status } = await ask([busy({ "Retry-After": "86400" }), good], patience);
    expect([status, patience.pauses]).toEqual([429, []]);
  });

  test("is asked a number of times, however little it asks for", async () => {
    const patience = noted({ asks: 4 });
    expect(await ask([busy({ "Retry-After": "1" })], patience)).toEqual({
      status: 429,
      requests: 4,
    });
  });

  test("is not waited for any more when the caller loses interest", async () => {
    const server = await rawServer(busy({ "Retry-After": "50" }));
    const client = new HttpClient();
    onTestFinished(() => client.close());
    const controller = new AbortController();
    const request = () => client.send("GET", server.url, { signal: controller.signal });
    const reason = new Error("enough");
    const waiting = whileBusy(
      request,
      {
        ...usualPatience,
        sleep: (ms, signal) => {
          const pause = usualPatience.sleep(ms, signal);
          controller.abort(reason);
          return pause;
        },
      },
      controller.signal,
    );
    await expect(waiting).rejects.toBe(reason);
  });
});

test("a date is one in each of its three notations, by the server's own clock (docs/hostile-inputs.md, 133)", () => {
  const date = "Sun, 06 Nov 1994 08:49:30 GMT";
  for (const value of [
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
  ]) {
    expect(retryAfter({ "retry-after": value, date })).toBe(7000);
  }
});

describe("the words of a server", () => {
  const json = (value: unknown) => wordsOf(JSON.stringify(value), "application/json");

  test.each([
    [{ errors: [{ code: "DENIED", message: "no pull" }] }, "DENIED: no pull"],
    [{ errors: [{ code: "A", message: "x" }, { message: "y" }, { code: "C" }] }, "A: x; y; C"],
    [
      { errors: [{ status: 404, message: "The repository is offline" }] },
      "The repository is offline",
    ],
    [{ error: "invalid_grant", error_description: "too old" }, "invalid_grant: too old"],
    [{ message: "Forbidden" }, "Forbidden"],
    [{ details: "incorrect username or password" }, "incorrect username or password"],
    [{ errors: [null, 1, "x", []], message: 7 }, ""],
    [[], ""],
    [null, ""],
  ])("%j are %j", (document, words) => {
    expect(json(document)).toBe(words);
  });

  test("are plain text where it is that, and no page for people", () => {
    expect(wordsOf("Too Many Requests\nsee also", "text/plain; charset=utf-8")).toBe(
      "Too Many Requests",
    );
    expect(wordsOf("<html>busy</html>", "text/html")).toBe("");
    expect(wordsOf("{ broken", undefined)).toBe("");
  });

  test("have no characters that do something to a terminal, and an end", () => {
    const evil = "a\u001b[2Jb\u202ec\u2028d\r\ne\u0000";
    expect(json({ message: evil })).toBe("a [2Jb c d e");
    expect(json({ message: "x".repeat(1000) })).toHaveLength(300);
  });

  test("are done without where they do not come to an end", async () => {
    const head =
      "HTTP/1.1 403 No\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n";
    const server = await rawServer(head + "{");
    const client = new HttpClient({ pace: { bytesPerSecond: 1000, windowMs: 100 } });
    onTestFinished(() => client.close());
    expect(await explanation(await client.send("GET", server.url))).toBe("");
  });
});
