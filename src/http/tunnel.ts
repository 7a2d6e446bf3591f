/**
 * A connection to a server through a proxy, which is asked by CONNECT and sees only TLS afterwards.
 * Spec: RFC 9110, section 9.3.6.
 *
 * @module
 */
import { request } from "node:http";
import type { Socket } from "node:net";
import type { buildConnector } from "undici";
import { NetworkError } from "../errors.ts";
import { limits } from "../limits.ts";
import { networkFailure } from "./failure.ts";
import type { Proxy } from "./proxies.ts";

/** Connects to a server, with TLS where its protocol says so. */
export type Connect = buildConnector.connector;

/**
 * A connection to `target` (`host:port`), on which nothing was said yet.
 *
 * @param timeoutMs for the proxy to answer
 * @throws {@link NetworkError} that names the proxy
 */
export async function openTunnel(
  proxy: Proxy,
  target: string,
  connect: Connect,
  timeoutMs: number,
): Promise<Socket> {
  const what = proxyName(proxy);
  const socket = await toProxy(proxy, connect, what);
  return await new Promise((resolve, reject) => {
    const asked = request({
      method: "CONNECT",
      path: target,
      headers: { host: target, ...proxyHeaders(proxy) },
      createConnection: () => socket,
      maxHeaderSize: limits.httpHeaderBytes + 1, // one that is reached is too much for Node
    });
    // For all of the answer: one that comes byte by byte does not move it.
    const timer = setTimeout(
      () => fail(new NetworkError("TIMEOUT", `${what}: no answer to CONNECT ${target} in time`)),
      timeoutMs,
    );
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    asked.on("connect", (response, tunnel, head) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) {
        fail(refused(proxy, status, `to connect us to ${target}`));
        return;
      }
      clearTimeout(timer);
      if (head.length > 0) tunnel.unshift(head);
      resolve(tunnel);
    });
    asked.on("response", () => fail(new NetworkError("BAD_RESPONSE", `${what}: breaks HTTP`)));
    asked.on("error", (error) => fail(networkFailure(error, what, false)));
    asked.end();
  });
}

/** A connection to the proxy itself. */
export function toProxy(proxy: Proxy, connect: Connect, what: string): Promise<Socket> {
  const { hostname, host, port } = proxy.url;
  const protocol = proxy.kind === "socks" ? "http:" : proxy.url.protocol;
  return new Promise((resolve, reject) => {
    connect({ protocol, hostname, host, port }, (error, socket) => {
      if (error === null) resolve(socket);
      else reject(networkFailure(error, what, false));
    });
  });
}

/** What a proxy is told beside the request. */
export function proxyHeaders({ credentials }: Proxy): Record<string, string> {
  if (credentials === undefined) return {};
  const clear = `${credentials.user}:${credentials.password}`;
  return { "proxy-authorization": `Basic ${Buffer.from(clear).toString("base64")}` };
}

/** For messages. */
export function proxyName({ url }: Proxy): string {
  return `proxy ${url.protocol}//${url.host}`;
}

/** The proxy does not do what it was asked for. */
export function refused(proxy: Proxy, status: number, what: string): NetworkError {
  const message = `${proxyName(proxy)}: refuses ${what} (status ${status})`;
  if (status !== 407) {
    return new NetworkError("UNREACHABLE", message, {
      status,
      hint: "no_proxy in the environment names hosts that are asked directly",
    });
  }
  return new NetworkError("UNREACHABLE", `${message}: ${howRefused(proxy)}`, {
    status,
    hint: CREDENTIALS_HINT,
  });
}

/** The proxy does not speak with us, whatever we want of it. */
export function refusedCredentials(proxy: Proxy): NetworkError {
  return new NetworkError("UNREACHABLE", `${proxyName(proxy)}: ${howRefused(proxy)}`, {
    hint: CREDENTIALS_HINT,
  });
}

const CREDENTIALS_HINT =
  "they stand in its URL: http_proxy or https_proxy=http://USER:PASSWORD@HOST:PORT";

function howRefused({ credentials }: Proxy): string {
  return credentials === undefined ? "it wants credentials" : "not with these credentials";
}
