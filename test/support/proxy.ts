/**
 * A real HTTP proxy of this machine: it takes whole URLs and CONNECT, and looks names up in a table.
 *
 * @module
 */
import { type IncomingMessage, createServer, request } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, type Socket, connect } from "node:net";
import { onTestFinished } from "vitest";

export interface TestProxy {
  readonly url: URL;
  /** What it was asked for: `GET http://…` or `CONNECT host:port`, with the credentials it was given. */
  readonly asked: { readonly what: string; readonly authorization: string | undefined }[];
}

export interface TestProxyOptions {
  /** Ports of this machine by the names that lead there. */
  readonly names: Readonly<Record<string, number>>;
  /** `Proxy-Authorization` without which it answers with 407. */
  readonly authorization?: string;
  /** Answers everything with this status. */
  readonly status?: number;
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A proxy that ends with the test. */
export async function testProxy(options: TestProxyOptions): Promise<TestProxy> {
  const asked: TestProxy["asked"][number][] = [];
  const sockets = new Set<Socket>();
  /** The status to refuse a request with. */
  const refusal = (message: IncomingMessage): number | undefined => {
    const authorization = message.headers["proxy-authorization"];
    asked.push({ what: `${message.method} ${message.url}`, authorization });
    if (options.authorization !== undefined && authorization !== options.authorization) return 407;
    return options.status;
  };
  const server = options.tls === undefined ? createServer() : createTlsServer(options.tls);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  server.on("request", (message: IncomingMessage, answer) => {
    const status = refusal(message);
    const target = URL.canParse(message.url!) ? new URL(message.url!) : undefined;
    const port = options.names[target?.hostname ?? ""];
    if (status !== undefined || target === undefined || port === undefined) {
      answer.writeHead(status ?? 502).end();
      return;
    }
    const headers = { ...message.headers };
    delete headers["proxy-authorization"];
    const path = target.pathname + target.search;
    const onward = request({ port, host: "127.0.0.1", path, method: message.method!, headers });
    onward.on("response", (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    message.pipe(onward);
  });
  server.on("connect", (message: IncomingMessage, socket: Socket) => {
    const status = refusal(message);
    const port = options.names[message.url!.replace(/:\d+$/, "")];
    if (status !== undefined || port === undefined) {
      socket.end(`HTTP/1.1 ${status ?? 502} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const onward = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward);
    onward.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const scheme = options.tls === undefined ? "http" : "https";
  return { url: new URL(`${scheme}://localhost:${port}`), asked };
}
