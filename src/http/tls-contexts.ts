/**
 * What TLS connections are made with: whom we trust, and the certificates that we show.
 *
 * @module
 */
import { isIP } from "node:net";
import { type SecureContext, createSecureContext } from "node:tls";
import { FormatError } from "../errors.ts";
import { readAuthorities, systemAuthorities } from "./authorities.ts";
import { type HostCertificates, findHostCertificates } from "./host-certificates.ts";
import type { Environment } from "./proxies.ts";

/** A registry, whose certificates lie under its name. */
export interface NamedServer {
  /** As the user writes it. */
  readonly name: string;
  /** The one that answers for it. */
  readonly host: string;
}

export interface TlsOptions {
  /** A file of certificates to trust beside the system's. */
  readonly caFile?: string | undefined;
  /** The registry that is talked to: its authorities also count for servers that it sends us to. */
  readonly registry?: NamedServer | undefined;
  readonly environment: Environment;
}

/** What was shown to a server, for messages. */
export interface TlsContext {
  readonly secureContext: SecureContext;
  readonly showsCertificate: boolean;
}

/** Contexts, made when they are needed, and once. */
export class TlsContexts {
  readonly #environment: Environment;
  readonly #registry: NamedServer | undefined;
  readonly #named: readonly string[];
  readonly #contexts = new Map<string, TlsContext>();
  #common: readonly string[] | undefined;
  #usual: TlsContext | undefined;

  /**
   * @throws {@link NotFoundError} `NO_FILE` or {@link FormatError} for a CA file that is not as it
   *   has to be
   */
  constructor({ caFile, registry, environment }: TlsOptions) {
    this.#environment = environment;
    this.#registry = registry;
    this.#named = caFile === undefined ? [] : readAuthorities(caFile, `CA file ${caFile}`);
  }

  /** @throws as {@link findHostCertificates}; {@link FormatError} for a key of another certificate */
  for(hostname: string, port: string): TlsContext {
    const host = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
    const server = `${host}:${port || "443"}`;
    let context = this.#contexts.get(server);
    if (context === undefined) {
      context = this.#make(this.#certificatesOf(host, server));
      this.#contexts.set(server, context);
    }
    return context;
  }

  #certificatesOf(host: string, server: string): HostCertificates | undefined {
    const usual = server.endsWith(":443") ? [host, server] : [server];
    const registry = this.#registry;
    const isRegistry = registry !== undefined && usual.includes(registry.host.toLowerCase());
    const hosts = isRegistry ? [registry.name, ...usual] : usual;
    return findHostCertificates(hosts, this.#environment);
  }

  #make(certificates: HostCertificates | undefined): TlsContext {
    this.#common ??= [
      ...this.#named,
      ...(this.#registry
        ? (findHostCertificates([this.#registry.name], this.#environment)?.authorities ?? [])
        : []),
      ...systemAuthorities(this.#environment),
    ];
    const { authorities = [], own = [], directory = "" } = certificates ?? {};
    if (authorities.length === 0 && own.length === 0) {
      this.#usual ??= contextOf(this.#common, [], directory);
      return this.#usual;
    }
    return contextOf([...authorities, ...this.#common], own, directory);
  }
}

function contextOf(
  ca: readonly string[],
  own: HostCertificates["own"],
  directory: string,
): TlsContext {
  try {
    const secureContext = createSecureContext({
      ca: [...ca],
      minVersion: "TLSv1.2",
      // As Go and curl: an intermediate authority may be the one that is trusted.
      allowPartialTrustChain: true,
      ...(own.length > 0 && { cert: own.map(({ cert }) => cert), key: own.map(({ key }) => key) }),
    });
    return { secureContext, showsCertificate: own.length > 0 };
  } catch (cause) {
    const message = `${directory}: expected a certificate and its key, in PEM without a password`;
    throw new FormatError("MALFORMED", `${message}: ${(cause as Error).message}`, { cause });
  }
}
