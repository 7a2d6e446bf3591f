/**
 * A web server over a store, of every degree of honesty.
 *
 * @module
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export interface ObjectServer {
  /** With a slash at its end. */
  readonly url: string;
  /** Paths, in the order in which they were asked for. */
  readonly requests: string[];
  /** Most requests that were open at the same time. */
  mostAtOnce(): number;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves with `handle` until the test ends. */
export async function serve(handle: Handler): Promise<ObjectServer> {
  const requests: string[] = [];
  let open = 0;
  let most = 0;
  const server = createServer((request, response) => {
    requests.push(request.url!);
    most = Math.max(most, ++open);
    response.on("close", () => (open -= 1));
    response.on("error", () => undefined);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, requests, mostAtOnce: () => most };
}

/** What is in a directory, with ranges. */
export function honestly(root: string): Handler {
  return (request, response) => {
    const path = join(root, request.url!);
    if (!existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    const { size } = statSync(path);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined) {
      response.writeHead(200, { "content-length": size });
      createReadStream(path).pipe(response);
      return;
    }
    const start = Number(from);
    const end = Math.min(Number(to), size - 1);
    response.writeHead(206, {
      "content-length": end - start + 1,
      "content-range": `bytes ${start}-${end}/${size}`,
    });
    createReadStream(path, { start, end }).pipe(response);
  };
}

/** The right lengths, and other bytes. */
export function lyingly(root: string): Handler {
  return (request, response) => {
    const path = join(root, request.url!);
    if (!existsSync(path)) response.writeHead(404).end();
    else response.writeHead(200).end(Buffer.alloc(statSync(path).size, "lie "));
  };
}

/** A byte, and another one much later. */
export function slowly(root: string): Handler {
  return (request, response) => {
    response.writeHead(200, { "content-length": statSync(join(root, request.url!)).size });
    response.write("o");
    const timer = setInterval(() => response.write("o"), 200);
    response.on("close", () => clearInterval(timer));
  };
}

/** A port on which nobody listens. */
export async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/`;
}
