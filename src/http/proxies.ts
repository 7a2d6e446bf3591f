/**
 * Which requests go through a proxy: the environment says, as it does to curl, podman and skopeo
 * (`http_proxy`, `https_proxy`, `no_proxy`, in lower or upper case, the lower first). `socks5h:` has
 * the proxy look names up, `socks5:` only those that cannot be looked up here.
 *
 * This machine is never asked through a proxy. Elsewhere a proxy looks names up for us, so that
 * nobody here can tell where they lead. What is checked all the same: the proxy's own address, as
 * one that the user named; addresses that stand in a URL; and a server that was met behind a proxy
 * counts as one outside, which may send us to no address inside.
 *
 * @module
 */
import { BlockList, isIP } from "node:net";
import { UsageError } from "../errors.ts";
import { reachOf } from "./address.ts";

/** The variables, or what stands in for them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A proxy. */
export interface Proxy {
  /** How it is spoken to: HTTP, with TLS or without, or SOCKS5. */
  readonly kind: "http" | "socks";
  /** Without credentials and path. */
  readonly url: URL;
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  /** Whether it looks all names up itself. */
  readonly looksUp: boolean;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/** Proxies for URLs. */
export class Proxies {
  readonly #http: Named;
  readonly #https: Named;
  readonly #exempt: readonly Exemption[];

  constructor(environment: Environment) {
    const lower = (name: string) => environment[name] || undefined;
    const either = (name: string) => lower(name) ?? lower(name.toUpperCase());
    // A web server gives a CGI program a request's header "Proxy" under that name.
    const isCgi = lower("REQUEST_METHOD") !== undefined;
    const http = isCgi ? lower("http_proxy") : either("http_proxy");
    this.#http = { variable: "http_proxy", value: http };
    this.#https = { variable: "https_proxy", value: either("https_proxy") };
    const list = either("no_proxy") ?? "";
    this.#exempt = list
      .split(/[\s,]+/)
      .flatMap((entry) => (entry === "" ? [] : [exemption(entry)]));
  }

  /**
   * The proxy for a server, if it is not to be asked directly.
   *
   * @throws {@link UsageError} for a proxy that cannot be asked
   */
  for(protocol: string, hostname: string, port: string): Proxy | undefined {
    const named = protocol === "https:" ? this.#https : this.#http;
    if (named.value === undefined) return undefined;
    const host = bare(hostname);
    if (isThisMachine(host)) return undefined;
    const at = port === "" ? (DEFAULT_PORTS[protocol] ?? "") : port;
    if (this.#exempt.some((isExempt) => isExempt(host, at))) return undefined;
    return (named.proxy ??= parseProxy(named.variable, named.value));
  }
}

/** A variable of the environment, looked at when its proxy is needed. */
interface Named {
  readonly variable: string;
  readonly value: string | undefined;
  proxy?: Proxy;
}

function bare(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}

function isThisMachine(host: string): boolean {
  if (isIP(host) !== 0) return reachOf(host) === "loopback";
  return host === "localhost" || host.endsWith(".localhost");
}

const KINDS: Readonly<Record<string, Pick<Proxy, "kind" | "looksUp">>> = {
  "http:": { kind: "http", looksUp: true },
  "https:": { kind: "http", looksUp: true },
  "socks5:": { kind: "socks", looksUp: false },
  "socks5h:": { kind: "socks", looksUp: true },
};

const SOCKS_PORT = "1080";
/** Bytes of a user and of a password for SOCKS. RFC 1929, section 2. */
const SOCKS_FIELD_BYTES = 255;

function parseProxy(variable: string, value: string): Proxy {
  const text = value.includes("://") ? value : `http://${value}`;
  // The value is not repeated: it may have a password in it.
  const wrong = (found: string) =>
    new UsageError("USAGE", `${variable} in the environment: expected a URL of a proxy, ${found}`, {
      hint: `say ${variable}=http://HOST:PORT or socks5h://HOST:PORT, or unset it`,
    });
  if (!URL.canParse(text)) throw wrong("got none that can be read");
  const url = new URL(text);
  const kind = KINDS[url.protocol];
  if (kind === undefined) {
    const known = Object.keys(KINDS).map((protocol) => `${protocol}//`);
    throw wrong(`got one that begins with ${url.protocol}// (known are ${known.join(", ")})`);
  }
  if (url.hostname === "") throw wrong("got one without a host");
  const { username, password } = url;
  const port = kind.kind === "socks" ? url.port || SOCKS_PORT : url.port;
  const plain = new URL(`${url.protocol}//${url.hostname}${port === "" ? "" : `:${port}`}`);
  if (username === "" && password === "") return { ...kind, url: plain, credentials: undefined };
  let credentials: { user: string; password: string };
  try {
    credentials = { user: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw wrong("got one whose credentials have a % that stands for nothing (write it as %25)");
  }
  const fields = [credentials.user, credentials.password].map((field) => Buffer.byteLength(field));
  if (kind.kind === "socks" && fields.some((bytes) => bytes > SOCKS_FIELD_BYTES)) {
    throw wrong(`got one whose user or password has over ${SOCKS_FIELD_BYTES} bytes`);
  }
  return { ...kind, url: plain, credentials };
}

type Exemption = (host: string, port: string) => boolean;

/** An entry of `no_proxy`: `*`, a network, or a name or an address with or without a port. */
function exemption(entry: string): Exemption {
  if (entry === "*") return () => true;
  const [network = "", bits = ""] = entry.split("/");
  if (isIP(network) !== 0 && /^\d+$/.test(bits)) return inNetwork(network, Number(bits));
  const [, name = entry, port] = isIP(entry) === 6 ? [] : (/^(.*?)(?::(\d+))?$/.exec(entry) ?? []);
  const domain = bare(name).replace(/^\*?\./, "");
  return (host, at) =>
    (port === undefined || port === at) &&
    (host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`)));
}

function inNetwork(network: string, bits: number): Exemption {
  const list = new BlockList();
  const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");
  if (bits > (isIP(network) === 6 ? 128 : 32)) return () => false;
  list.addSubnet(network, bits, family(network));
  return (host) => isIP(host) !== 0 && list.check(host, family(host));
}
