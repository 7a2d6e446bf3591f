/**
 * A small read-only HTTP mirror of a store: GET and HEAD, single ranges, entity tags, content that
 * may be cached for ever. It checks nothing, as no mirror is trusted: the client does.
 *
 * Spec: docs/registry-artifact.md, "HTTP mirror"; RFC 9110 (HTTP semantics), RFC 9111 and RFC
 * 8246 (caching, immutable).
 *
 * @module
 */
import { closeSync, createReadStream } from "node:fs";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SystemError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Store } from "../../store/store.ts";
import { parseRange } from "./byte-range.ts";
import { LeafService } from "./leaf-service.ts";
import { type Resource, Resources } from "./resource.ts";

export interface ServeOptions {
  readonly store: Store;
  /** An address to listen on. */
  readonly host: string;
  /** 0 takes one that is free. */
  readonly port: number;
  /** Hears of every request that was answered. */
  readonly onRequest?: (line: string) => void;
}

/** A mirror that is listening. */
export interface ServedMirror {
  readonly url: string;
  /** Ends: requests under way get `graceMs` to come to their end. */
  close(graceMs?: number): Promise<void>;
}

const FOREVER = "public, max-age=31536000, immutable";
const MAY_CHANGE = "no-cache";

/** What a client has to send a request, headers and all. */
const REQUEST_MS = 10_000;
/** How long a connection is kept for the next request. */
const IDLE_MS = 15_000;
/** After which a client that takes nothing of its answer is gone. */
const STALLED_MS = 60_000;
/** What requests under way have when the server ends. */
const GRACE_MS = 3_000;

/** @throws {@link SystemError} when it cannot listen there */
export async function serveMirror({
  store,
  host,
  port,
  onRequest,
}: ServeOptions): Promise<ServedMirror> {
  const resources = new Resources(store, new LeafService(store));
  const server = createServer(
    {
      maxHeaderSize: limits.requestHeaderBytes + 1, // one that is reached is too much for Node
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      response.once("close", () => onRequest?.(describe(request, response)));
      void answer(resources, request, response);
    },
  );
  server.maxConnections = limits.connections;
  server.setTimeout(STALLED_MS);
  await listen(server, host, port);
  const { address, family, port: bound } = server.address() as AddressInfo;
  const name = family === "IPv6" ? `[${address}]` : address;
  return {
    url: `http://${name}:${bound}/`,
    close: (graceMs = GRACE_MS) => close(server, graceMs),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const hint =
        cause.code === "EADDRINUSE"
          ? "another program listens there: name another port"
          : undefined;
      const message = `listen on ${host}:${port}: ${cause.message}`;
      reject(new SystemError("IO", message, { cause, hint }));
    });
    server.listen(port, host, resolve);
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function answer(
  resources: Resources,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("X-Content-Type-Options", "nosniff");
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    finish(response, 405);
    return;
  }
  let resource: Resource | undefined;
  try {
    resource = await resources.open(pathOf(request));
  } catch {
    finish(response, 500); // what fails here is nobody else's business
    return;
  }
  if (resource === undefined) {
    response.setHeader("Cache-Control", "no-store"); // it may come yet
    finish(response, 404);
    return;
  }
  give(resource, request, response);
}

/** Without the leading slash, and without a query, which nothing here depends on. */
function pathOf({ url = "" }: IncomingMessage): string {
  return /^\/([^?#]*)/.exec(url)?.[1] ?? "";
}

function give(resource: Resource, request: IncomingMessage, response: ServerResponse): void {
  const { fd, size, etag, contentType } = resource;
  const { range: asked, "if-range": ifRange, "if-none-match": ifNoneMatch } = request.headers;
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("Cache-Control", etag === undefined ? MAY_CHANGE : FOREVER);
  if (etag !== undefined) response.setHeader("ETag", etag);
  if (etag !== undefined && ifNoneMatch !== undefined && matches(ifNoneMatch, etag)) {
    closeSync(fd);
    response.writeHead(304).end();
    return;
  }
  // Without a tag nobody can know that the parts go together.
  const ranged = ifRange === undefined || ifRange === etag;
  const range = request.method === "GET" && ranged ? parseRange(asked, size) : "whole";
  if (range === "none") {
    closeSync(fd);
    response.setHeader("Content-Range", `bytes */${size}`);
    finish(response, 416);
    return;
  }
  const { start, end } = range === "whole" ? { start: 0, end: size - 1 } : range;
  if (range !== "whole") response.setHeader("Content-Range", `bytes ${start}-${end}/${size}`);
  response.setHeader("Content-Type", contentType);
  response.setHeader("Content-Length", end - start + 1);
  response.writeHead(range === "whole" ? 200 : 206);
  if (request.method === "HEAD" || size === 0) {
    closeSync(fd);
    response.end();
    return;
  }
  const stream = createReadStream("", { fd, start, end });
  // Too few bytes, or none: the reader sees that the connection breaks off.
  stream.on("error", () => response.destroy());
  response.on("close", () => stream.destroy());
  stream.pipe(response);
}

function matches(header: string, etag: string): boolean {
  if (header.trim() === "*") return true;
  return header.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}

function finish(response: ServerResponse, status: number): void {
  response.setHeader("Content-Length", 0);
  response.writeHead(status).end();
}

function describe({ method, url, socket }: IncomingMessage, response: ServerResponse): string {
  const length = response.getHeader("content-length") ?? 0;
  const whole = response.writableFinished ? "" : " (broken off)";
  return `${socket.remoteAddress ?? "-"} ${method} ${JSON.stringify(url)} ${response.statusCode} ${String(length)}${whole}`;
}
