/**
 * Servers that say exactly what a test wants, byte by byte, on sockets of this machine.
 *
 * @module
 */
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { type TlsOptions, createServer as createTlsServer } from "node:tls";
import { onTestFinished } from "vitest";

/** One request: its head as it came, and the socket to answer on. */
export interface RawRequest {
  readonly head: string;
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly socket: Socket;
  /** Counted from 1, over all connections. */
  readonly number: number;
}

export interface RawServer {
  /** With a slash at its end. */
  readonly url: URL;
  readonly port: number;
  readonly requests: RawRequest[];
  /** Connections so far. */
  connections(): number;
}

/** Bytes, written as they are, after which the connection stays open; or what a function does. */
export type RawAnswer = string | Buffer | ((request: RawRequest) => void);

/** A server of this machine that ends with the test. */
export async function rawServer(
  answer: RawAnswer,
  { tls, host = "127.0.0.1" }: { tls?: TlsOptions; host?: string } = {},
): Promise<RawServer> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const accept = (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const request = parse(text.slice(0, end), socket, requests.length + 1);
        text = text.slice(end + 4);
        requests.push(request);
        if (typeof answer === "function") answer(request);
        else socket.write(answer);
      }
    });
  };
  const server: Server =
    tls === undefined
      ? createServer(accept)
      : createTlsServer(tls, accept).on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const name = host === "::1" ? "[::1]" : tls === undefined ? host : "localhost";
  const url = new URL(`${tls === undefined ? "http" : "https"}://${name}:${port}/`);
  return { url, port, requests, connections: () => connections };
}

function parse(head: string, socket: Socket, number: number): RawRequest {
  const [first = "", ...lines] = head.split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  return { head, method, path, headers, socket, number };
}

/** An answer with its headers and a body. */
export function answerWith(
  body: string | Buffer,
  headers: Record<string, string | number> = {},
  status = "200 OK",
): Buffer {
  const lines = Object.entries({ "Content-Length": body.length, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`, "latin1"),
    Buffer.from(body),
  ]);
}
