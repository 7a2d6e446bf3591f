/**
 * Which requests go through a proxy: the environment says, as it does to curl, podman and skopeo
 * (`http_proxy`, `https_proxy`, `no_proxy`, in lower or upper case, the lower first).
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

/** A proxy: an http or https URL without path. */
export interface Proxy {
  /** Without credentials. */
  readonly url: URL;
  /** `Proxy-Authorization`, when the URL has credentials. */
  readonly authorization: string | undefined;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

/** Proxies for URLs. */
export class Proxies {
  readonly #http: Proxy | undefined;
  readonly #https: Proxy | undefined;
  readonly #exempt: readonly Exemption[];

  /** @throws {@link UsageError} for a proxy that cannot be asked */
  constructor(environment: Environment) {
    const lower = (name: string) => environment[name] || undefined;
    const either = (name: string) => lower(name) ?? lower(name.toUpperCase());
    // A web server gives a CGI program a request's header "Proxy" under that name.
    const isCgi = lower("REQUEST_METHOD") !== undefined;
    this.#http = parseProxy("http_proxy", isCgi ? lower("http_proxy") : either("http_proxy"));
    this.#https = parseProxy("https_proxy", either("https_proxy"));
    const list = either("no_proxy") ?? "";
    this.#exempt = list
      .split(/[\s,]+/)
      .flatMap((entry) => (entry === "" ? [] : [exemption(entry)]));
  }

  /** The proxy for a server, if it is not to be asked directly. */
  for(protocol: string, hostname: string, port: string): Proxy | undefined {
    const proxy = protocol === "https:" ? this.#https : this.#http;
    if (proxy === undefined) return undefined;
    const host = bare(hostname);
    if (isThisMachine(host)) return undefined;
    const at = port === "" ? (DEFAULT_PORTS[protocol] ?? "") : port;
    return this.#exempt.some((isExempt) => isExempt(host, at)) ? undefined : proxy;
  }
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

function parseProxy(variable: string, value: string | undefined): Proxy | undefined {
  if (value === undefined) return undefined;
  const text = value.includes("://") ? value : `http://${value}`;
  // The value is not repeated: it may have a password in it.
  const wrong = (found: string) =>
    new UsageError("USAGE", `${variable} in the environment: expected a URL of a proxy, ${found}`, {
      hint: `say ${variable}=http://HOST:PORT, or unset it`,
    });
  if (!URL.canParse(text)) throw wrong("got none that can be read");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw wrong(`got one that begins with ${url.protocol}// (only http:// and https:// are known)`);
  }
  const { username, password, origin } = url;
  if (username === "" && password === "") return { url: new URL(origin), authorization: undefined };
  let clear: string;
  try {
    clear = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw wrong("got one whose credentials have a % that stands for nothing (write it as %25)");
  }
  const authorization = `Basic ${Buffer.from(clear).toString("base64")}`;
  return { url: new URL(origin), authorization };
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
