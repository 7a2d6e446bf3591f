/** Answers with a Content-Encoding that nobody asked for (docs/hostile-inputs.md, 124, 125). */
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { NetworkError } from "../../../src/errors.ts";
import { type GetOptions, HttpClient } from "../../../src/http/client.ts";
import { type RawAnswer, answerWith, rawServer } from "../../support/raw-server.ts";

const content = Buffer.from(JSON.stringify({ bytes: "as they are ".repeat(200) }));
const size = content.length;

const encodings: [string, Buffer][] = [
  ["gzip", gzipSync(content)],
  ["x-gzip", gzipSync(content)],
  ["GZIP", gzipSync(content)],
  ["deflate", deflateSync(content)],
  ["br", brotliCompressSync(content)],
];

async function clientAt(answer: RawAnswer) {
  const server = await rawServer(answer);
  const client = new HttpClient();
  onTestFinished(() => client.close());
  return { server, client };
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

const told = (error: unknown) => {
  if (error instanceof NetworkError) return error.code;
  throw error;
};

const chunked = (bytes: Buffer, encoding: string) =>
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: ${encoding}\r\n\r\n${bytes.length.toString(16)}\r\n`,
    ),
    bytes,
    Buffer.from("\r\n0\r\n\r\n"),
  ]);

describe("a document", () => {
  const document = async (answer: RawAnswer, maxBytes = 1 << 20) => {
    const { server, client } = await clientAt(answer);
    const { body } = await client.send("GET", server.url, { maxBytes });
    return bytesOf(body).catch(told);
  };

  test.each(encodings)("that is encoded as %s is decoded", async (encoding, encoded) => {
    expect(await document(answerWith(encoded, { "Content-Encoding": encoding }))).toEqual(content);
    expect(await document(chunked(encoded, encoding))).toEqual(content);
  });

  test.each([...encodings.map(([encoding]) => encoding), "zstd", "aws-chunked", "gzip, gzip", ""])(
    "that is only said to be encoded as %j is taken as it is",
    async (encoding) => {
      expect(await document(answerWith(content, { "Content-Encoding": encoding }))).toEqual(
        content,
      );
    },
  );

  test("is no longer than it may be, at the limit and one above, however short it is on its way", async () => {
    const bomb = gzipSync(Buffer.alloc(1 << 20));
    const answer = answerWith(bomb, { "Content-Encoding": "gzip" });
    expect(await document(answer, 1 << 20)).toHaveLength(1 << 20);
    expect(await document(answer, (1 << 20) - 1)).toBe("WRONG_SIZE");
  });

  test.each(encodings)("whose encoding %s is broken is refused", async (encoding, encoded) => {
    const broken = encoded.subarray(0, -12);
    expect(await document(answerWith(broken, { "Content-Encoding": encoding }))).toBe(
      "BAD_RESPONSE",
    );
  });

  test("with an error status says what it says", async () => {
    const { server, client } = await clientAt(
      answerWith(gzipSync("no"), { "Content-Encoding": "gzip" }, "404 Not Found"),
    );
    const response = await client.send("GET", server.url);
    expect([response.status, String(await bytesOf(response.body))]).toEqual([404, "no"]);
  });
});

describe("a blob whose digest is compared", () => {
  const blob = async (answer: RawAnswer, options: GetOptions = {}) => {
    const { server, client } = await clientAt(answer);
    try {
      const asked = { expectedSize: size, mayBeEncoded: true, ...options };
      return await bytesOf((await client.get(server.url, asked)).body);
    } catch (error) {
      return told(error);
    }
  };

  test.each([...encodings.map(([encoding]) => encoding), "zstd", "aws-chunked", "gzip, gzip"])(
    "is taken as it is where it has its own length, whatever %j is said",
    async (encoding) => {
      const headers = { "Content-Encoding": encoding };
      expect(await blob(answerWith(content, headers))).toEqual(content);
      const part = { ...headers, "Content-Range": `bytes 4-9/${size}` };
      expect(
        await blob(answerWith(content.subarray(4, 10), part, "206 Part"), {
          range: { start: 4, end: 10 },
        }),
      ).toEqual(content.subarray(4, 10));
    },
  );

  test.each(encodings)(
    "is decoded where it has another length or none, with %s",
    async (encoding, encoded) => {
      expect(await blob(answerWith(encoded, { "Content-Encoding": encoding }))).toEqual(content);
      expect(await blob(chunked(encoded, encoding))).toEqual(content);
    },
  );

  test("is not taken with an encoding that is not known", async () => {
    for (const encoding of ["zstd", "gzip, gzip"]) {
      expect(await blob(answerWith("x", { "Content-Encoding": encoding }))).toBe("BAD_RESPONSE");
    }
  });

  test("is no longer than it is, and costs no more than that", async () => {
    const bomb = gzipSync(Buffer.alloc(100 * size));
    expect(await blob(answerWith(bomb, { "Content-Encoding": "gzip" }))).toBe("WRONG_SIZE");
    // Blocks without a byte, for ever.
    let sent = 0;
    const endless: RawAnswer = ({ socket }) => {
      socket.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n",
      );
      socket.write("a\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\r\n", "latin1");
      const blocks = `7d0\r\n${"\0\0\0\xff\xff".repeat(400)}\r\n`;
      const more = () => {
        while (!socket.destroyed && socket.write(blocks, "latin1")) sent += 2000;
      };
      socket.on("drain", more);
      more();
    };
    expect(await blob(endless)).toBe("WRONG_SIZE");
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test("whose parts are parts of something encoded is not given in parts", async () => {
    const encoded = gzipSync(content);
    const headers = {
      "Content-Encoding": "gzip",
      "Content-Range": `bytes 4-9/${encoded.length}`,
    };
    const answer = answerWith(encoded.subarray(4, 10), headers, "206 Part");
    expect(await blob(answer, { range: { start: 4, end: 10 } })).toBe("RANGE");
  });

  test("that is not there is not there, whatever its error is encoded as", async () => {
    const headers = { "Content-Encoding": "gzip" };
    expect(await blob(answerWith(gzipSync("x"), headers, "404 Not Found"))).toBe("NOT_FOUND");
    expect(await blob(answerWith("x", headers, "404 Not Found"), { mayBeEncoded: false })).toBe(
      "NOT_FOUND",
    );
  });
});
