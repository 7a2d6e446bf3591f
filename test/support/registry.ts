/**
 * A small registry in the test's own process (OCI distribution spec 1.1): with or without the referrers
 * API, with credentials, with storage elsewhere, and with the habits of several real ones.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface RegistryHabits {
  readonly referrers?: boolean;
  readonly auth?: "none" | "basic" | "bearer";
  /** Takes no upload in one piece. */
  readonly chunkedOnly?: boolean;
  readonly noRanges?: boolean;
  readonly noMount?: boolean;
  /** Sends elsewhere for blobs, by URLs that are good for a number of requests. */
  readonly redirectUses?: number;
  /** Entries on a page of referrers. */
  readonly pageSize?: number;
  /** Called before each request is answered; true when it has answered. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

interface Repository {
  readonly blobs: Set<string>;
  /** Digest or tag to media type and bytes. */
  readonly manifests: Map<string, { mediaType: string; bytes: Buffer }>;
}

export const USER = "user";
export const PASSWORD = "pass word:1";

export class TestRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly repositories = new Map<string, Repository>();
  /** `METHOD path` of each request, with its query. */
  readonly log: string[] = [];
  /** Authorization headers as storage elsewhere saw them. */
  readonly storageAuthorizations: (string | undefined)[] = [];
  readonly habits: RegistryHabits;
  /** Tokens that were given out, and are still good. */
  readonly tokens = new Map<string, string>();
  #host = "";
  #storage = "";
  readonly #signed = new Map<string, number>();
  readonly #uploads = new Map<string, Buffer>();

  private constructor(habits: RegistryHabits) {
    this.habits = habits;
  }

  static async start(habits: RegistryHabits = {}): Promise<TestRegistry> {
    const registry = new TestRegistry(habits);
    registry.#host = await listen((request, response) => void registry.#serve(request, response));
    registry.#storage = await listen((request, response) => registry.#store(request, response));
    return registry;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return this.#host;
  }

  repository(name: string): Repository {
    let repository = this.repositories.get(name);
    if (repository === undefined) {
      repository = { blobs: new Set(), manifests: new Map() };
      this.repositories.set(name, repository);
    }
    return repository;
  }

  addBlob(name: string, bytes: Uint8Array): string {
    const digest = sha256(bytes);
    this.blobs.set(digest, Buffer.from(bytes));
    this.repository(name).blobs.add(digest);
    return digest;
  }

  addManifest(name: string, tag: string | undefined, mediaType: string, bytes: Uint8Array): string {
    const digest = sha256(bytes);
    const entry = { mediaType, bytes: Buffer.from(bytes) };
    this.repository(name).manifests.set(digest, entry);
    if (tag !== undefined) this.repository(name).manifests.set(tag, entry);
    return digest;
  }

  /** The requests whose line matches. */
  requests(pattern: RegExp): string[] {
    return this.log.filter((line) => pattern.test(line));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, `http://${this.#host}`);
    this.log.push(`${request.method} ${url.pathname}${url.search}`);
    if (this.habits.intercept?.(request, response) === true) return;
    if (url.pathname === "/token") return this.#giveToken(request, response, url);
    if (!this.#isAllowed(request, response, url)) return;
    const body = await collect(request);
    if (url.pathname === "/v2/") return reply(response, 200, "{}");
    const [, name, kind, rest = ""] =
      /^\/v2\/(.+?)\/(blobs|manifests|referrers)\/(.*)$/.exec(url.pathname) ?? [];
    if (name === undefined) return reply(response, 404, errors("NAME_UNKNOWN"));
    const repository = this.repository(name);
    if (kind === "manifests") return this.#manifests(request, response, repository, rest, body);
    if (kind === "referrers") return this.#referrers(response, repository, rest, url);
    if (rest.startsWith("uploads/")) return this.#upload(request, response, name, url, body);
    if (!repository.blobs.has(rest)) return reply(response, 404, errors("BLOB_UNKNOWN"));
    return this.#blob(request, response, rest);
  }

  #isAllowed(request: IncomingMessage, response: ServerResponse, url: URL): boolean {
    const { auth = "none" } = this.habits;
    const got = request.headers.authorization;
    if (auth === "none") return true;
    if (auth === "basic") {
      if (got === `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`) return true;
      reply(response, 401, errors("UNAUTHORIZED"), { "www-authenticate": 'Basic realm="test"' });
      return false;
    }
    const [, name] = /^\/v2\/(.+?)\/(?:blobs|manifests|referrers)\//.exec(url.pathname) ?? [];
    const needs = request.method === "GET" || request.method === "HEAD" ? "pull" : "push";
    const granted = this.tokens.get(got?.replace(/^Bearer /, "") ?? "");
    if (granted !== undefined && (name === undefined || covers(granted, name, needs))) return true;
    const scope = name === undefined ? "" : `,scope="repository:${name}:${needs}"`;
    const challenge = `Bearer realm="http://${this.#host}/token",service="test registry"${scope}`;
    reply(response, 401, errors("UNAUTHORIZED"), { "www-authenticate": challenge });
    return false;
  }

  #giveToken(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const wanted = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;
    const anonymous = request.headers.authorization === undefined;
    if (!anonymous && request.headers.authorization !== wanted) {
      return reply(response, 401, errors("UNAUTHORIZED"));
    }
    const scope = url.searchParams.get("scope") ?? "";
    if (url.searchParams.get("service") !== "test registry") return reply(response, 400, "");
    const token = `t${this.tokens.size}.${Math.random().toString(36).slice(2)}`;
    this.tokens.set(token, anonymous ? scope.replace(/:[^:]*$/, ":pull") : scope);
    reply(response, 200, JSON.stringify({ token, expires_in: 300 }));
  }

  #manifests(
    request: IncomingMessage,
    response: ServerResponse,
    { manifests }: Repository,
    reference: string,
    body: Buffer,
  ): void {
    if (request.method === "PUT") {
      const digest = sha256(body);
      const entry = { mediaType: request.headers["content-type"] ?? "", bytes: body };
      const before = manifests.get(reference);
      const ifMatch = request.headers["if-match"];
      if (
        ifMatch !== undefined &&
        before !== undefined &&
        ifMatch !== `"${sha256(before.bytes)}"`
      ) {
        return reply(response, 412, errors("DENIED"));
      }
      manifests.set(digest, entry);
      manifests.set(reference, entry);
      const { subject } = JSON.parse(body.toString()) as { subject?: { digest: string } };
      const knows = this.habits.referrers === true && subject !== undefined;
      return reply(response, 201, "", {
        location: `/v2/x/manifests/${digest}`,
        ...(knows ? { "oci-subject": subject.digest } : {}),
      });
    }
    const entry = manifests.get(reference);
    if (entry === undefined) return reply(response, 404, errors("MANIFEST_UNKNOWN"));
    reply(response, 200, request.method === "HEAD" ? "" : entry.bytes, {
      "content-type": entry.mediaType,
      "docker-content-digest": sha256(entry.bytes),
      etag: `"${sha256(entry.bytes)}"`,
      ...(request.method === "HEAD" ? { "content-length": entry.bytes.length } : {}),
    });
  }

  #referrers(response: ServerResponse, { manifests }: Repository, subject: string, url: URL): void {
    if (this.habits.referrers !== true) return reply(response, 404, "404 page not found");
    const type = url.searchParams.get("artifactType");
    const page = Number(url.searchParams.get("page") ?? 0);
    const size = this.habits.pageSize ?? 1000;
    const entries = [...manifests].flatMap(([reference, { mediaType, bytes }]) => {
      if (!reference.startsWith("sha256:")) return [];
      const manifest = JSON.parse(bytes.toString());
      if (manifest.subject?.digest !== subject) return [];
      const { artifactType, annotations } = manifest;
      return [{ mediaType, digest: reference, size: bytes.length, artifactType, annotations }];
    });
    const filtered = entries.filter(({ artifactType }) => type === null || artifactType === type);
    const manifestsHere = filtered.slice(page * size, (page + 1) * size);
    const more = filtered.length > (page + 1) * size;
    const index = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: manifestsHere,
    };
    reply(response, 200, JSON.stringify(index), {
      "content-type": index.mediaType,
      ...(more
        ? { link: `<${url.pathname}?artifactType=${type}&page=${page + 1}>; rel="next"` }
        : {}),
    });
  }

  #upload(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    url: URL,
    body: Buffer,
  ): void {
    const id = url.pathname.split("/").at(-1)!;
    const [mount, from] = [url.searchParams.get("mount"), url.searchParams.get("from")];
    switch (request.method) {
      case "POST": {
        if (
          mount &&
          from &&
          this.habits.noMount !== true &&
          this.repositories.get(from)?.blobs.has(mount)
        ) {
          this.repository(name).blobs.add(mount);
          return reply(response, 201, "", { location: `/v2/${name}/blobs/${mount}` });
        }
        const session = Math.random().toString(36).slice(2);
        this.#uploads.set(session, Buffer.alloc(0));
        return reply(response, 202, "", {
          location: `/v2/${name}/blobs/uploads/${session}?state=x`,
        });
      }
      case "PATCH": {
        const before = this.#uploads.get(id)!;
        const range = `${before.length}-${before.length + body.length - 1}`;
        if (request.headers["content-range"] !== range) return reply(response, 416, "");
        this.#uploads.set(id, Buffer.concat([before, body]));
        return reply(response, 202, "", { location: `/v2/${name}/blobs/uploads/${id}?state=y` });
      }
      case "PUT": {
        if (url.searchParams.get("state") === null) return reply(response, 400, errors("STATE"));
        if (this.habits.chunkedOnly === true && body.length > 0) {
          return reply(response, 405, errors("UNSUPPORTED"));
        }
        const bytes = Buffer.concat([this.#uploads.get(id)!, body]);
        if (sha256(bytes) !== url.searchParams.get("digest")) {
          return reply(response, 400, errors("DIGEST_INVALID"));
        }
        this.addBlob(name, bytes);
        return reply(response, 201, "", { location: `/v2/${name}/blobs/${sha256(bytes)}` });
      }
      default:
        return reply(response, 204, "");
    }
  }

  #blob(request: IncomingMessage, response: ServerResponse, digest: string): void {
    const { redirectUses } = this.habits;
    if (redirectUses === undefined || request.method === "HEAD") {
      return this.#sendBlob(request, response, digest);
    }
    const signature = Math.random().toString(36).slice(2);
    this.#signed.set(signature, redirectUses);
    const location = `http://${this.#storage}/${digest}?signature=${signature}`;
    reply(response, 307, "", { location });
  }

  #store(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, `http://${this.#storage}`);
    this.storageAuthorizations.push(request.headers.authorization);
    const signature = url.searchParams.get("signature")!;
    const left = this.#signed.get(signature) ?? 0;
    if (left === 0) return reply(response, 403, "<Error>expired</Error>");
    this.#signed.set(signature, left - 1);
    this.#sendBlob(request, response, url.pathname.slice(1));
  }

  #sendBlob(request: IncomingMessage, response: ServerResponse, digest: string): void {
    const bytes = this.blobs.get(digest)!;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined || this.habits.noRanges === true) {
      return reply(response, 200, request.method === "HEAD" ? "" : bytes, {
        "content-length": bytes.length,
      });
    }
    const [start, end] = [Number(from), Math.min(Number(to) + 1, bytes.length)];
    if (start >= bytes.length) return reply(response, 416, "");
    reply(response, 206, bytes.subarray(start, end), {
      "content-range": `bytes ${start}-${end - 1}/${bytes.length}`,
    });
  }
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function covers(scope: string, name: string, needs: string): boolean {
  const [, repository, actions = ""] = scope.split(":");
  return repository === name && actions.split(",").includes(needs);
}

const errors = (code: string) => JSON.stringify({ errors: [{ code, message: "a test's" }] });

function reply(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Record<string, string | number> = {},
): void {
  response.writeHead(status, { "content-length": body.length, ...headers });
  response.end(body);
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
