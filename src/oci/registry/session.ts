/**
 * Talking to one repository of a registry: over https unless it is on this machine or the user says
 * otherwise, with the credentials that are kept for it.
 *
 * Spec: OCI distribution spec 1.1; distribution, "Token Authentication Specification".
 *
 * @module
 */
import { isIP } from "node:net";
import { asObject, optionalString } from "../../bytes/json-fields.ts";
import { parseJson } from "../../bytes/json.ts";
import { NetworkError } from "../../errors.ts";
import { statusFailure } from "../../http/answer.ts";
import {
  type GetOptions,
  type GoodResponse,
  HttpClient,
  type HttpResponse,
  type SendOptions,
} from "../../http/client.ts";
import { reachOf } from "../../http/address.ts";
import { explanation } from "../../http/explanation.ts";
import { type Patience, noPatience, usualPatience, whileBusy } from "../../http/patience.ts";
import { redact } from "../../http/redact.ts";
import { resolveTarget } from "../../http/redirects.ts";
import { timeouts } from "../../http/timeouts.ts";
import { limits } from "../../limits.ts";
import { type Challenge, challengeOf } from "./challenge.ts";
import type { Credential } from "./auth-file.ts";
import { findCredential } from "./credentials.ts";
import { apiHost } from "../registry-reference.ts";

export interface RegistryOptions {
  /** Plain http, and any certificate. */
  readonly insecure?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly authFile?: string | undefined;
  /** Hears what keeps credentials from being used, without which we go on. */
  readonly onProblem?: ((message: string) => void) | undefined;
  /** How long it is waited for while it is busy; usually some time. */
  readonly patience?: Patience | undefined;
}

/** What a token lets us do. */
export type Action = "pull" | "push";

export class RegistrySession {
  readonly host: string;
  readonly repository: string;
  readonly #client: HttpClient;
  readonly #headersMs: number | undefined;
  readonly #patience: Patience;
  readonly #options: RegistryOptions;
  #base: Promise<URL> | undefined;
  #challenge: Challenge | undefined;
  /** What the registry calls this repository beside its name, where tokens have to say it. */
  readonly #scopes = new Set<string>();
  /** Why there are no credentials, where that is not told otherwise. */
  #missing = "";
  #credential: Promise<Credential | undefined> | undefined;
  /** `Authorization` by what it is for. */
  readonly #authorizations = new Map<Action, Promise<string | undefined>>();

  constructor(
    { host, repository }: { readonly host: string; readonly repository: string },
    options: RegistryOptions = {},
  ) {
    this.host = host;
    this.repository = repository;
    this.#options = options;
    const { caFile, insecure, patience = usualPatience } = options;
    this.#patience = patience;
    // One that fetches what it is asked for from elsewhere answers when it has it.
    this.#headersMs = patience === noPatience ? undefined : timeouts.registryMs;
    const registry = { name: host, host: apiHost(host) };
    this.#client = new HttpClient({ caFile, insecure, registry });
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** The URL of something in this repository. */
  async url(path: string): Promise<URL> {
    if (this.#base === undefined) {
      this.#base = this.#findBase();
      // It may be reached the next time.
      this.#base.catch(() => (this.#base = undefined));
    }
    return new URL(`${this.repository}/${path}`, await this.#base);
  }

  /**
   * One request; the answer may have any status but 401, after which credentials were tried.
   *
   * @throws {@link NetworkError}
   */
  async send(
    method: string,
    url: URL,
    action: Action,
    options: SendOptions = {},
  ): Promise<HttpResponse> {
    // Where to send uploads, the registry says.
    const namedBy = (await this.isOwn(url)) ? undefined : await this.url("");
    const headersMs = this.#headersMs;
    for (let tries = 0; ; tries++) {
      const authorization = await this.#authorizationFor(url, action);
      const sent = { ...options, authorization, namedBy, headersMs };
      const response = await this.#patiently(
        () => this.#client.send(method, url, sent),
        options.signal,
      );
      if (response.status !== 401) return response;
      const challenge = challengeOf(response.headers);
      // A token may have grown too old, or the challenge have been another one for another path.
      if (tries > 0 || challenge === undefined) {
        const why = this.#why() + (await explanation(response));
        throw statusFailure(401, response.headers, redact(url), false, why);
      }
      await response.discard();
      this.#challenge = challenge;
      this.#learnScopes(challenge);
      this.#authorizations.clear();
    }
  }

  /** A registry behind another one may know this repository by another name. */
  #learnScopes(challenge: Challenge): void {
    if (challenge.scheme !== "bearer") return;
    for (const scope of challenge.scope?.split(" ") ?? []) {
      const isOther = !scope.startsWith(`repository:${this.repository}:`);
      if (scope.startsWith("repository:") && isOther) this.#scopes.add(scope);
    }
  }

  /** A resource or a part of it; as {@link HttpClient.get}. */
  async get(url: URL, options: GetOptions): Promise<GoodResponse> {
    for (let tries = 0; ; tries++) {
      const authorization = await this.#authorizationFor(url, "pull");
      try {
        return await this.#get(url, { ...options, authorization });
      } catch (error) {
        const isRefused = error instanceof NetworkError && error.status === 401;
        if (!isRefused || tries > 0 || this.#challenge?.scheme === "basic") throw error;
        this.#authorizations.clear();
        // What it wants to know, it may say only where it wants to know it.
        if (this.#challenge === undefined) {
          await (await this.send("HEAD", url, "pull", { signal: options.signal })).discard();
        }
      }
    }
  }

  /** A resource of another server, which this registry named. */
  async getElsewhere(url: URL, options: GetOptions): Promise<GoodResponse> {
    return this.#get(url, { ...options, namedBy: await this.url("") });
  }

  #get(url: URL, options: GetOptions): Promise<GoodResponse> {
    const headersMs = this.#headersMs;
    const asked = { ...options, explain: explanation, mayBeEncoded: true, headersMs };
    const ask = () => this.#client.get(url, asked);
    return this.#patiently(ask, options.signal);
  }

  #patiently<T extends HttpResponse>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return whileBusy(ask, this.#patience, signal);
  }

  /** Whether a URL is one of the registry itself, which may see our credentials. */
  async isOwn(url: URL): Promise<boolean> {
    return url.origin === (await this.url("")).origin;
  }

  /** Where the API is; asks for what it wants to know on the way. */
  async #findBase(): Promise<URL> {
    const host = apiHost(this.host);
    const secure = new URL(`https://${host}/v2/`);
    const mayBePlain = this.#options.insecure === true || isHere(secure.hostname);
    try {
      return await this.#ping(secure);
    } catch (error) {
      // What has no TLS at all may be a plain server; one with a wrong certificate is not.
      if (!mayBePlain || !hasNoTls(error)) throw error;
      return this.#ping(new URL(`http://${host}/v2/`));
    }
  }

  async #ping(url: URL): Promise<URL> {
    const response = await this.#patiently(() => this.#client.send("GET", url));
    const { status, headers } = response;
    if (status === 401 || (status >= 200 && status < 300)) {
      this.#challenge = challengeOf(headers);
      await response.discard();
      // One that sends on to itself is asked there, so that it sees our credentials.
      const { hostname, pathname } = response.url;
      return hostname === url.hostname && pathname === url.pathname ? response.url : url;
    }
    const why = status === 404 ? ": no registry there" : "";
    throw statusFailure(status, headers, redact(url), false, why + (await explanation(response)));
  }

  async #authorizationFor(url: URL, action: Action): Promise<string | undefined> {
    if (!(await this.isOwn(url))) return undefined;
    let authorization = this.#authorizations.get(action);
    if (authorization === undefined) {
      authorization = this.#authorize(action);
      this.#authorizations.set(action, authorization);
      authorization.catch(() => this.#authorizations.delete(action));
    }
    return authorization;
  }

  async #authorize(action: Action): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    const { authFile: file, onProblem } = this.#options;
    const onMissing = (message: string) => void (this.#missing = message);
    const places = { file, onProblem, onMissing };
    this.#credential ??= findCredential(this.host, this.repository, places);
    const credential = await this.#credential;
    if (challenge.scheme === "basic") return basic(credential);
    if (credential !== undefined && "registryToken" in credential) {
      return `Bearer ${credential.registryToken}`;
    }
    return `Bearer ${await this.#fetchToken(challenge, action, credential)}`;
  }

  async #fetchToken(
    challenge: Challenge & { scheme: "bearer" },
    action: Action,
    credential: Credential | undefined,
  ): Promise<string> {
    const base = await this.#base!;
    // The registry names who gives tokens: no further inside than it is itself, and no less safe.
    const url = resolveTarget(challenge.realm, base, "sends for tokens");
    const actions = action === "push" ? "pull,push" : "pull";
    const scope = `repository:${this.repository}:${actions}`;
    const parameters = new URLSearchParams(url.search);
    if (challenge.service !== undefined) parameters.set("service", challenge.service);
    const scopes = [scope, ...this.#scopes];
    let response: HttpResponse;
    const headersMs = this.#headersMs;
    const common = { namedBy: base, maxBytes: limits.httpErrorBytes, headersMs } as const;
    if (credential !== undefined && "identityToken" in credential) {
      parameters.set("scope", scopes.join(" "));
      parameters.set("grant_type", "refresh_token");
      parameters.set("client_id", "sealfs");
      parameters.set("refresh_token", credential.identityToken);
      url.search = "";
      const body = Buffer.from(parameters.toString());
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      response = await this.#patiently(() =>
        this.#client.send("POST", url, { ...common, headers, body }),
      );
    } else {
      parameters.delete("scope");
      for (const each of scopes) parameters.append("scope", each);
      url.search = parameters.toString();
      const authorization = basic(credential);
      response = await this.#patiently(() =>
        this.#client.send("GET", url, { ...common, authorization }),
      );
    }
    const what = `${redact(url)}: token`;
    if (response.status !== 200) {
      const why = this.#why() + (await explanation(response));
      throw statusFailure(response.status, response.headers, what, false, why);
    }
    const body = await collect(response.body);
    const answer = asObject(parseJson(body, { what }), what);
    const field = (name: string) => optionalString(answer, name, what) || undefined;
    const token = field("token") ?? field("access_token");
    // Nothing else may stand in a header.
    if (token !== undefined && /^[\x21-\x7e]+$/.test(token)) return token;
    throw new NetworkError("BAD_RESPONSE", `${what}: none in the answer`);
  }

  #why(): string {
    const missing = this.#missing === "" ? "" : ` (${this.#missing})`;
    return ` for ${this.host}/${this.repository}${missing}; log in with podman login or docker login`;
  }
}

function basic(credential: Credential | undefined): string | undefined {
  if (credential === undefined || !("user" in credential)) return undefined;
  const { user, password } = credential;
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** The bytes of a short body. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Whether a host's own notation says that it is this machine. */
function isHere(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return reachOf(bare) === "loopback";
  return bare === "localhost" || bare.endsWith(".localhost");
}

function hasNoTls(error: unknown): boolean {
  if (!(error instanceof NetworkError)) return false;
  if (error.code === "UNREACHABLE" || error.code === "TIMEOUT") return true;
  const { code = "" } = (error.cause ?? {}) as NodeJS.ErrnoException;
  // An alert is TLS.
  const isAnswer = code === "EPROTO" || (code.startsWith("ERR_SSL_") && !code.includes("_ALERT_"));
  return error.code === "TLS" && isAnswer;
}
