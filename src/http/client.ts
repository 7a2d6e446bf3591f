/**
 * An HTTP client that survives every server. It follows redirects by hand, checks addresses while
 * it connects, decodes nothing unasked or without bounds, and gives each request a deadline for its
 * headers and a least pace for its body. Credentials go to the server that they are for, and to no other.
 *
 * Spec: RFC 9110, RFC 9112; docs/hostile-inputs.md, "E. Mirrors".
 *
 * @module
 */
import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { NetworkError } from "../errors.ts";
import { limits } from "../limits.ts";
import { defined } from "../optional.ts";
import { type Asked, type Extent, type Headers, extentOf, statusFailure } from "./answer.ts";
import { type Body, readBody, unlessUnread } from "./body.ts";
import { maySayCertificate, pageFault } from "./client-certificate.ts";
import { Connections, type Origin, type Resolve } from "./connections.ts";
import { decoded, decodedDocument, encodingOf, mostEncoded } from "./encoding.ts";
import { drop, ended, watched } from "./exchange.ts";
import { networkFailure, wasKeptConnection } from "./failure.ts";
import { type Environment, Proxies } from "./proxies.ts";
import { redact } from "./redact.ts";
import { isRedirect, isUpgrade, keepsMethod, redirectTarget } from "./redirects.ts";
import { type Pace, Timers, timeouts, usualPace } from "./timeouts.ts";
import { type NamedServer, TlsContexts } from "./tls-contexts.ts";
import { proxyHeaders, proxyName, refused } from "./tunnel.ts";

export interface HttpClientOptions {
  readonly userAgent?: string;
  /** A file of certificates to trust beside the system's. */
  readonly caFile?: string | undefined;
  /** The registry that is talked to, if it is one. */
  readonly registry?: NamedServer | undefined;
  /** Any certificate will do. */
  readonly insecure?: boolean | undefined;
  /** From the request to the end of the answer's headers; for each redirect again. */
  readonly headersMs?: number;
  readonly pace?: Pace;
  readonly resolve?: Resolve;
  /** Where proxies and authorities are said; `process.env` unless it is given. */
  readonly environment?: Environment;
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** For the server of the URL alone: a redirect to another one goes without. */
  readonly authorization?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** From the request to the end of the body. */
  readonly deadlineMs?: number | undefined;
  /** The server that named this URL: how far inside it may lead; undefined: the user named it. */
  readonly namedBy?: URL | undefined;
  /** As of the client, for this request. */
  readonly headersMs?: number | undefined;
}

export interface GetOptions extends RequestOptions, Asked {
  /** What an answer that is not good says, for the end of the error's message. */
  readonly explain?: ((answer: HttpResponse) => Promise<string>) | undefined;
}

type Sent = Uint8Array | AsyncIterable<Uint8Array>;

export interface SendOptions extends RequestOptions {
  /** A function gives it as often as it has to be sent. */
  readonly body?: Sent | (() => Sent | undefined) | undefined;
  /** Bytes of a body that is no array. */
  readonly bodyBytes?: number;
  /** Most bytes of the answer's body. */
  readonly maxBytes?: number | undefined;
}

/** An answer whose headers are there. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  /** To be read once, or given up with {@link discard}. */
  readonly body: Body;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** Ends what of the body has not been read. */
  discard(): Promise<void>;
}

/** A good answer to a GET. */
export interface GoodResponse extends HttpResponse {
  readonly status: 200 | 206;
  readonly extent: Extent;
}

interface Raw {
  readonly status: number;
  readonly headers: Headers;
  readonly stream: Readable;
  readonly url: URL;
  readonly signal: AbortSignal;
  readonly what: string;
}

/** What may be asked twice; a part of an upload may not. */
const AGAIN: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "POST", "DELETE"]);

function canSendAgain({ body }: SendOptions): boolean {
  return body === undefined || body instanceof Uint8Array || typeof body === "function";
}

export class HttpClient {
  readonly #connections: Connections;
  readonly #userAgent: string;
  readonly #insecure: boolean;
  readonly #headersMs: number;
  readonly #pace: Pace;

  /**
   * @throws {@link NotFoundError} `NO_FILE` for a CA file that cannot be read, and
   *   {@link FormatError} for one without certificates
   */
  constructor(options: HttpClientOptions = {}) {
    const { caFile, registry, insecure, pace = usualPace, resolve } = options;
    const { headersMs = timeouts.headersMs, environment = process.env } = options;
    const proxies = new Proxies(environment);
    const connecting = {
      tls: new TlsContexts({ caFile, registry, environment }),
      insecure,
      connectMs: Math.min(headersMs, timeouts.connectMs),
      proxies,
    };
    this.#connections = new Connections(connecting, resolve);
    this.#insecure = insecure === true;
    this.#userAgent = options.userAgent ?? "sealfs";
    this.#headersMs = headersMs;
    this.#pace = pace;
  }

  /**
   * Gets a resource or a part of it. A server that cannot give parts answers with status 200: its
   * body is the whole then, and `extent.start` is 0.
   *
   * @throws {@link NetworkError} for every other answer, and for what happens on the way; while the
   *   body is read, too
   */
  async get(url: URL, options: GetOptions = {}): Promise<GoodResponse> {
    const { range } = options;
    const headers = {
      ...options.headers,
      ...defined({ range: range && `bytes=${range.start}-${range.end - 1}` }),
    };
    const raw = await this.#follow("GET", url, { ...options, headers });
    if (options.explain !== undefined && raw.status >= 400) {
      const words = await options.explain(this.#respond(raw, undefined, limits.httpErrorBytes));
      throw statusFailure(raw.status, raw.headers, raw.what, range !== undefined, words);
    }
    try {
      const extent = extentOf(raw.status, raw.headers, options, raw.what);
      const status = raw.status as 200 | 206;
      return { ...this.#respondWith(raw, extent), status, extent };
    } catch (error) {
      drop(raw);
      throw error;
    }
  }

  /**
   * Any request; the answer may have any status. Redirects are followed for GET and HEAD; for others
   * those that keep the method (307 and 308), when the body can be sent again.
   *
   * @throws {@link NetworkError} for what is no answer
   */
  async send(method: string, url: URL, options: SendOptions = {}): Promise<HttpResponse> {
    const raw = await this.#follow(method, url, options);
    const max = options.maxBytes ?? limits.httpErrorBytes;
    const encoding = encodingOf(raw.headers["content-encoding"]);
    if (encoding === undefined) return this.#respond(raw, undefined, max);
    return this.#respond(raw, undefined, max, (body) =>
      decodedDocument(body, encoding, { what: raw.what, max }),
    );
  }

  /** Ends all connections. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  /** What comes of an answer with that extent. */
  #respondWith(raw: Raw, { bytes, max, encoding }: Extent): HttpResponse {
    if (encoding === undefined) return this.#respond(raw, bytes, max);
    return this.#respond(raw, undefined, mostEncoded(max), (body) =>
      decoded(body, encoding, { what: raw.what, max }),
    );
  }

  #respond(
    raw: Raw,
    exactly: number | undefined,
    max: number,
    decode: (body: Body) => Body = (body) => body,
  ): HttpResponse {
    const { status, headers, stream, url, signal, what } = raw;
    const body = decode(readBody(stream, { what, exactly, max, pace: this.#pace }, signal));
    const guarded = unlessUnread(body, () => drop(raw));
    const discard = () => guarded.return().then(() => undefined);
    return { status, headers, body: guarded, url, discard };
  }

  async #follow(method: string, first: URL, options: SendOptions): Promise<Raw> {
    const { namedBy } = options;
    let origin: Origin =
      namedBy === undefined ? "user" : this.#connections.originFor(namedBy, first);
    let url = first;
    let { authorization } = options;
    for (let hops = 0; ; hops++) {
      const raw = await this.#reliably(method, url, origin, { ...options, authorization });
      const isFollowed = keepsMethod(raw.status)
        ? canSendAgain(options)
        : isRedirect(raw.status) && (method === "GET" || method === "HEAD");
      if (!isFollowed) return raw;
      drop(raw);
      if (hops === limits.httpRedirects) {
        const message = `${redact(first)}: more than ${limits.httpRedirects} redirects`;
        throw new NetworkError("BAD_REDIRECT", message);
      }
      const next = redirectTarget(raw.headers, url, this.#insecure);
      if (next.origin !== url.origin) {
        if (!isUpgrade(url, next)) authorization = undefined;
        origin = this.#connections.originFor(url, next);
      }
      url = next;
    }
  }

  /**
   * A connection that was kept may be closed by its server just when it is used again: that says
   * nothing about the server, which is asked once more.
   */
  async #reliably(
    method: string,
    url: URL,
    origin: Origin,
    options: SendOptions & { authorization: string | undefined },
  ): Promise<Raw> {
    try {
      return await this.#once(method, url, origin, options);
    } catch (error) {
      const again = AGAIN.has(method) && canSendAgain(options) && wasKeptConnection(error);
      if (!again || options.signal?.aborted === true) throw error;
      return await this.#once(method, url, origin, options);
    }
  }

  async #once(
    method: string,
    url: URL,
    origin: Origin,
    options: SendOptions & { authorization: string | undefined },
  ): Promise<Raw> {
    const proxy = this.#connections.plainProxy(url, origin);
    const agent = this.#connections.agent(proxy === undefined ? origin : "user");
    const what = proxy === undefined ? redact(url) : `${redact(url)} through ${proxyName(proxy)}`;
    const { body: given, bodyBytes, headers = {}, authorization, deadlineMs } = options;
    const body = typeof given === "function" ? given() : given;
    const headersMs = options.headersMs ?? this.#headersMs;
    const controller = new AbortController();
    const abort = (error: unknown) => controller.abort(error);
    const signals = [controller.signal];
    if (options.signal !== undefined) signals.push(options.signal);
    const timers = new Timers(what, abort);
    if (deadlineMs !== undefined) timers.deadline(deadlineMs);
    timers.headers(headersMs);
    const signal = AbortSignal.any(signals);
    let informational = 0;
    const upload =
      body === undefined || body instanceof Uint8Array
        ? body
        : Readable.from(
            watched(body, () => timers.headers(headersMs)),
            { objectMode: false },
          );
    try {
      if (signal.aborted) throw signal.reason;
      // Not undici's `signal`, which is heard only once there is a connection.
      const response = await ended(
        signal,
        agent.request({
          // A proxy is given the whole URL. RFC 9112, section 3.2.2.
          origin: proxy?.url.origin ?? url.origin,
          path: `${proxy === undefined ? "" : url.origin}${url.pathname}${url.search}`,
          method,
          headers: {
            ...(proxy && { host: url.host, ...proxyHeaders(proxy) }),
            "user-agent": this.#userAgent,
            "accept-encoding": "identity",
            ...headers,
            ...defined({ authorization, "content-length": bodyBytes?.toString() }),
          },
          body: upload ?? null,
          signal,
          onInfo: () => {
            if (++informational <= limits.httpInformational) return;
            abort(
              new NetworkError(
                "BAD_RESPONSE",
                `${what}: over ${informational - 1} answers before one`,
              ),
            );
          },
        }),
      );
      timers.headersCame();
      response.body.on("error", () => undefined); // whoever reads it is told
      response.body.once("close", () => timers.end());
      const { statusCode: status } = response;
      if (proxy !== undefined && status === 407) {
        response.body.destroy();
        throw refused(proxy, status, `to ask for ${redact(url)}`);
      }
      const { headers: answered } = response;
      const stream = maySayCertificate(url, status, answered)
        ? await this.#unlessCertificate(response.body, timers, what)
        : response.body;
      return { status, headers: answered, stream, url, signal, what };
    } catch (error) {
      timers.end();
      if (signal.aborted) throw signal.reason;
      throw networkFailure(error, what, false);
    }
  }

  /** The bytes of a short page again, unless it says that the server wants a certificate. */
  async #unlessCertificate(
    body: Dispatcher.ResponseData["body"],
    timers: Timers,
    what: string,
  ): Promise<Readable> {
    timers.headers(this.#headersMs);
    const page = Buffer.from(await body.arrayBuffer());
    timers.end();
    const fault = pageFault(page.toString(), what);
    if (fault !== undefined) throw fault;
    return Readable.from([page], { objectMode: false });
  }
}
