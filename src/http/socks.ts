/**
 * A connection to a server through a SOCKS5 proxy.
 * Spec: RFC 1928; RFC 1929.
 *
 * @module
 */
import { isIPv4, isIPv6, type Socket } from "node:net";
import { NetworkError } from "../errors.ts";
import { wordsOf } from "./address.ts";
import { networkFailure } from "./failure.ts";
import type { Proxy } from "./proxies.ts";
import { proxyName, refusedCredentials } from "./tunnel.ts";

const VERSION = 5;
const NO_CREDENTIALS = 0;
const USER_PASSWORD = 2;
const CONNECT = 1;
const AddressType = { IPV4: 1, NAME: 3, IPV6: 4 } as const;

/** What the proxy says of the server. */
const REPLIES: Readonly<Record<number, string>> = {
  2: "its rules do not allow that",
  3: "no way to that network",
  4: "no way to that host",
  5: "nothing answers there",
  6: "no answer from there in time",
  7: "it makes no connections",
  8: "it knows no such addresses",
};

/** Where the proxy is to connect us to. */
export interface SocksTarget {
  /** An address, or a name that the proxy looks up. */
  readonly host: string;
  readonly port: number;
}

/**
 * Asks the proxy at the other end of `socket` for a connection, which `socket` then is.
 *
 * @throws {@link NetworkError} that names the proxy; `socket` is destroyed then
 */
export async function openSocks(
  proxy: Proxy,
  target: SocksTarget,
  socket: Socket,
  timeoutMs: number,
): Promise<Socket> {
  const what = proxyName(proxy);
  const incoming = new Incoming(socket, what);
  const timer = setTimeout(() => {
    const where = `${target.host}:${target.port}`;
    socket.destroy(new NetworkError("TIMEOUT", `${what}: no answer about ${where} in time`));
  }, timeoutMs);
  try {
    await introduce(proxy, socket, incoming);
    await ask(target, what, socket, incoming);
    incoming.end();
    return socket;
  } catch (error) {
    socket.destroy();
    throw networkFailure(error, what, false);
  } finally {
    clearTimeout(timer);
  }
}

async function introduce(proxy: Proxy, socket: Socket, incoming: Incoming): Promise<void> {
  const { credentials } = proxy;
  const methods = credentials === undefined ? [NO_CREDENTIALS] : [NO_CREDENTIALS, USER_PASSWORD];
  socket.write(Buffer.from([VERSION, methods.length, ...methods]));
  const [version, method] = await incoming.read(2);
  if (version !== VERSION) throw breaks(proxyName(proxy));
  if (method === NO_CREDENTIALS) return;
  if (method !== USER_PASSWORD || credentials === undefined) throw refusedCredentials(proxy);
  const fields = [credentials.user, credentials.password].map((text) => Buffer.from(text));
  socket.write(
    Buffer.concat([
      Buffer.from([1]),
      ...fields.flatMap((field) => [Buffer.from([field.length]), field]),
    ]),
  );
  const [, status] = await incoming.read(2);
  if (status !== 0) throw refusedCredentials(proxy);
}

async function ask(
  { host, port }: SocksTarget,
  what: string,
  socket: Socket,
  incoming: Incoming,
): Promise<void> {
  const end = Buffer.alloc(2);
  end.writeUInt16BE(port);
  socket.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0]), addressBytes(host), end]));
  const [version, reply, , type] = await incoming.read(4);
  if (version !== VERSION) throw breaks(what);
  if (reply !== 0) {
    const why = REPLIES[reply!] ?? `no reason given (${reply})`;
    throw new NetworkError(
      "UNREACHABLE",
      `${what}: does not connect us to ${host}:${port}: ${why}`,
    );
  }
  // Where it connects from is of no interest.
  const length =
    type === AddressType.IPV4 ? 4 : type === AddressType.IPV6 ? 16 : (await incoming.read(1))[0]!;
  await incoming.read(length + 2);
}

function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from([AddressType.IPV4, ...host.split(".").map(Number)]);
  if (isIPv6(host)) {
    const words = wordsOf(host) ?? [];
    return Buffer.from([AddressType.IPV6, ...words.flatMap((word) => [word >> 8, word & 255])]);
  }
  const name = Buffer.from(host);
  return Buffer.concat([Buffer.from([AddressType.NAME, name.length]), name]);
}

function breaks(what: string): NetworkError {
  return new NetworkError("BAD_RESPONSE", `${what}: does not speak SOCKS5`);
}

/** What comes on a socket, by numbers of bytes. */
class Incoming {
  readonly #socket: Socket;
  readonly #what: string;
  #settle: ((error?: Error) => void) | undefined;
  #error: Error | undefined;

  constructor(socket: Socket, what: string) {
    this.#socket = socket;
    this.#what = what;
    socket.on("readable", this.#onReadable);
    socket.on("error", this.#onEnd);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
  }

  async read(bytes: number): Promise<Buffer> {
    for (;;) {
      const chunk = this.#socket.read(bytes) as Buffer | null;
      if (chunk?.length === bytes) return chunk;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve, reject) => {
        this.#settle = (error) => (error === undefined ? resolve() : reject(error));
      });
    }
  }

  /** Leaves the socket to others. */
  end(): void {
    this.#socket.off("readable", this.#onReadable);
    this.#socket.off("error", this.#onEnd);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onEnd);
    // Servers of HTTP and TLS wait for us.
    if (this.#socket.readableLength > 0) {
      throw new NetworkError("BAD_RESPONSE", `${this.#what}: says more than it was asked for`);
    }
  }

  readonly #onReadable = () => this.#settle?.();

  readonly #onEnd = (error?: unknown) => {
    this.#error ??=
      error instanceof Error
        ? error
        : new NetworkError("UNREACHABLE", `${this.#what}: the connection ended without an answer`);
    this.#settle?.(this.#error);
  };
}
