/**
 * Connections, and the one place that decides to which addresses they may go. The check is made
 * while connecting, on the very address that is connected to, so that a name that changes its mind
 * between check and use (DNS rebinding) gains nothing.
 *
 * @module
 */
import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Agent, buildConnector } from "undici";
import { NetworkError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Reach, mayLeadTo, outer, reachOf } from "./address.ts";
import { watchHandshake } from "./client-certificate.ts";
import type { Proxies, Proxy } from "./proxies.ts";
import type { TlsContext, TlsContexts } from "./tls-contexts.ts";
import { openSocks } from "./socks.ts";
import { type Connect, openTunnel, proxyName, toProxy } from "./tunnel.ts";

export interface ConnectionOptions {
  readonly tls: TlsContexts;
  /** Any certificate will do. */
  readonly insecure?: boolean | undefined;
  readonly connectMs: number;
  readonly proxies: Proxies;
}

/** Looks names up; stands in for the system's in tests. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** Whom a URL comes from: the user, or somebody who was met at that distance. */
export type Origin = "user" | Reach;

/** Connections, kept apart by whom the URL comes from. */
export class Connections {
  readonly #agents = new Map<Origin, Agent>();
  readonly #options: ConnectionOptions;
  readonly #resolve: Resolve;
  /** Where each server was met; a server that was met at several places counts as the outermost. */
  readonly #met = new Map<string, Reach>();

  constructor(options: ConnectionOptions, resolve: Resolve = systemResolve) {
    this.#options = options;
    this.#resolve = resolve;
  }

  /** The connections that may be used for a URL that comes from `origin`. */
  agent(origin: Origin): Agent {
    let agent = this.#agents.get(origin);
    if (agent === undefined) {
      agent = this.#makeAgent(origin);
      this.#agents.set(origin, agent);
    }
    return agent;
  }

  /** Where the server of a URL was met, which is how far it may send us. */
  metAt(url: URL): Reach {
    return this.#met.get(`${url.protocol}//${url.host}`) ?? "public";
  }

  /**
   * Whom a URL comes from that the server of `from` has named. A server that was asked may name
   * itself, wherever it is: by the very address, or by its name where that leads to an address to
   * which nobody may send us.
   */
  originFor(from: URL, to: URL): Origin {
    const reach = this.metAt(from);
    const isItself = to.hostname === from.hostname;
    const isAddress = isIP(to.hostname.replace(/^\[|\]$/g, "")) !== 0;
    return isItself && (isAddress || reach === "special") ? "user" : reach;
  }

  /**
   * The proxy that a request without TLS is sent to, in place of its server: connections for
   * `agent("user")`. Where a name leads is up to the proxy; an address is checked.
   *
   * @throws {@link NetworkError} `ADDRESS`
   */
  plainProxy(url: URL, origin: Origin): Proxy | undefined {
    if (url.protocol !== "http:") return undefined;
    const proxy = this.#options.proxies.for(url.protocol, url.hostname, url.port);
    if (proxy?.kind !== "http") return undefined;
    const fault = addressFault(origin, url.hostname);
    if (fault !== undefined) throw fault;
    return proxy;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
    this.#agents.clear();
  }

  #makeAgent(origin: Origin): Agent {
    const { proxies } = this.#options;
    const connect = this.#connector(origin);
    const connectToProxy = origin === "user" ? connect : this.#connector("user");
    return new Agent({
      // Connection by connection: an address in the URL itself is not looked up.
      connect: (request, callback) => {
        const { protocol, hostname, port } = request;
        const fault = addressFault(origin, hostname);
        if (fault !== undefined) {
          callback(fault, null);
          return;
        }
        let proxy: Proxy | undefined;
        try {
          proxy = proxies.for(protocol, hostname, port);
        } catch (error) {
          callback(error as Error, null);
          return;
        }
        // Without TLS, an HTTP proxy is asked in place of the server: this is the way to it.
        if (proxy !== undefined && (protocol === "https:" || proxy.kind === "socks")) {
          this.#connectThrough(proxy, origin, connectToProxy, connect, request, callback);
          return;
        }
        connect(request, (...result) => {
          const [, socket] = result;
          // Undefined, whatever the types say, when there is none.
          if (socket?.remoteAddress !== undefined)
            this.#remember(`${protocol}//${request.host ?? hostname}`, socket.remoteAddress);
          callback(...result);
        });
      },
      pipelining: 1,
      // One that is reached is too much for undici.
      maxHeaderSize: limits.httpHeaderBytes + 1,
      // The client has deadlines of its own, which a drip of bytes does not move.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  #connector(origin: Origin): Connect {
    const { tls, insecure, connectMs } = this.#options;
    const common = { lookup: this.#lookup(origin), timeout: connectMs };
    const plain = buildConnector(common);
    const secure = new Map<TlsContext, Connect>();
    return (request, callback) => {
      if (request.protocol !== "https:") {
        plain(request, callback);
        return;
      }
      let context: TlsContext;
      try {
        context = tls.for(request.hostname, request.port);
      } catch (error) {
        callback(error as Error, null);
        return;
      }
      let connect = secure.get(context);
      if (connect === undefined) {
        const { secureContext } = context;
        // Said here, so that NODE_TLS_REJECT_UNAUTHORIZED does not say it.
        connect = buildConnector({
          ...common,
          secureContext,
          rejectUnauthorized: insecure !== true,
        });
        secure.set(context, connect);
      }
      // Its type does not tell that it returns the socket.
      const begun = connect(request, (error, socket) => {
        if (error !== null) {
          callback(about(error), null);
          return;
        }
        // An alert comes with the end of the connection, and would be taken for that alone.
        socket.once("error", () => socket.destroy());
        callback(null, socket);
      }) as unknown as TLSSocket | undefined;
      const about = watchHandshake(begun, context.showsCertificate);
    };
  }

  /**
   * The server, through a tunnel. Where that leads, we do not know unless we have looked its name
   * up: outside, as is assumed.
   */
  #connectThrough(
    proxy: Proxy,
    origin: Origin,
    connectToProxy: Connect,
    connect: Connect,
    request: buildConnector.Options,
    callback: buildConnector.Callback,
  ): void {
    const tunnel =
      proxy.kind === "http"
        ? openTunnel(
            proxy,
            `${isIP(request.hostname) === 6 ? `[${request.hostname}]` : request.hostname}:${request.port || 443}`,
            connectToProxy,
            this.#options.connectMs,
          )
        : this.#openSocks(proxy, origin, connectToProxy, request);
    tunnel.then(
      (httpSocket) => {
        if (request.protocol === "https:") connect({ ...request, httpSocket }, callback);
        else callback(null, httpSocket);
      },
      (error: Error) => callback(error, null),
    );
  }

  async #openSocks(
    proxy: Proxy,
    origin: Origin,
    connectToProxy: Connect,
    { protocol, hostname, host = hostname, port }: buildConnector.Options,
  ): Promise<Socket> {
    const address = proxy.looksUp ? undefined : await this.#addressOf(hostname, origin);
    if (address !== undefined) this.#remember(`${protocol}//${host}`, address);
    const socket = await toProxy(proxy, connectToProxy, proxyName(proxy));
    const target = {
      host: address ?? hostname,
      port: Number(port || (protocol === "https:" ? 443 : 80)),
    };
    return await openSocks(proxy, target, socket, this.#options.connectMs);
  }

  /**
   * An address of a host, such as a proxy may be told; undefined for a name that is not known here.
   *
   * @throws {@link NetworkError} `ADDRESS`
   */
  async #addressOf(hostname: string, origin: Origin): Promise<string | undefined> {
    if (isIP(hostname) !== 0) return hostname;
    let addresses: readonly LookupAddress[];
    try {
      addresses = await this.#resolve(hostname);
    } catch {
      return undefined;
    }
    const allowed = this.#allowed(hostname, addresses, origin);
    return (allowed.find(({ family }) => family === 4) ?? allowed[0])?.address;
  }

  /** @throws {@link NetworkError} `ADDRESS` when none is allowed */
  #allowed(
    host: string,
    addresses: readonly LookupAddress[],
    origin: Origin,
  ): readonly LookupAddress[] {
    const allowed = addresses.filter(({ address }) => isAllowed(origin, reachOf(address)));
    if (allowed.length > 0) return allowed;
    throw forbidden(host, addresses[0]?.address ?? "nowhere");
  }

  #lookup(origin: Origin): LookupFunction {
    return (host, options, callback) => {
      this.#resolve(host)
        .then((addresses) => this.#allowed(host, addresses, origin))
        .then(
          (allowed) => {
            const [first] = allowed;
            if (options.all === true) callback(null, [...allowed]);
            else callback(null, first!.address, first!.family);
          },
          (error: NodeJS.ErrnoException) => callback(error, []),
        );
    };
  }

  #remember(server: string, address: string): void {
    const reach = reachOf(address);
    const before = this.#met.get(server);
    this.#met.set(server, before === undefined ? reach : outer(before, reach));
  }
}

/** What is wrong with a host that is an address, for URLs that come from `origin`. */
function addressFault(origin: Origin, hostname: string): NetworkError | undefined {
  const bare = hostname.replace(/^\[|\]$/g, "");
  if (isIP(bare) === 0 || isAllowed(origin, reachOf(bare))) return undefined;
  return forbidden(hostname, bare);
}

function isAllowed(origin: Origin, to: Reach): boolean {
  return origin === "user" || mayLeadTo(origin, to);
}

function forbidden(host: string, address: string): NetworkError {
  const where = host === address ? address : `${host} (${address})`;
  return new NetworkError("ADDRESS", `${where}: a server may not send us to that address`, {
    hint: "if it is meant, name it yourself: as the registry or mirror, or as a proxy",
  });
}

function systemResolve(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });
}
