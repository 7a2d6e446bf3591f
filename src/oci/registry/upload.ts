/**
 * Putting blobs and manifests into a repository. Whatever is there already is left alone, so that
 * doing it twice does no more than doing it once.
 *
 * Spec: OCI distribution spec 1.1, "Push".
 *
 * @module
 */
import { NetworkError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { type Headers, single } from "../../http/answer.ts";
import { resolveTarget } from "../../http/redirects.ts";
import { digestOf, type OciDigest } from "../digest.ts";
import { type Registry, requireSuccess } from "./registry.ts";

export interface BlobUpload {
  readonly digest: OciDigest;
  readonly size: number;
  /** Whether bytes were sent; else it was there, or came from another repository. */
  readonly how: "present" | "mounted" | "sent";
}

const CHUNK_BYTES = 8 * 1024 * 1024;

/**
 * Uploads a blob.
 *
 * @param from repositories of the same registry that may have it
 * @throws {@link NetworkError}
 */
export async function uploadBlob(
  registry: Registry,
  bytes: Uint8Array,
  { from = [], signal }: { from?: readonly string[]; signal?: AbortSignal | undefined } = {},
): Promise<BlobUpload> {
  const { session } = registry;
  const digest = digestOf(bytes);
  const size = bytes.length;
  const what = `${registry.label}: upload of ${digest}`;
  const head = await session.send("HEAD", await session.url(`blobs/${digest}`), "push", { signal });
  await head.discard();
  if (head.status === 200) return { digest, size, how: "present" };
  const start = await session.url("blobs/uploads/");
  for (const repository of from) {
    const url = new URL(start);
    url.search = new URLSearchParams({ mount: digest, from: repository }).toString();
    const response = await session.send("POST", url, "push", { signal, body: () => EMPTY });
    await response.discard();
    if (response.status === 201) return { digest, size, how: "mounted" };
    if (response.status === 202) await cancel(registry, response.headers, url);
  }
  const upload = new Upload(registry, start, what, signal);
  try {
    await upload.whole(bytes, digest);
  } catch (error) {
    // Some registries take a blob in pieces only.
    if (!(error instanceof NetworkError) || !REFUSALS.has(error.status ?? 0)) throw error;
    await upload.inChunks(bytes, digest);
  }
  return { digest, size, how: "sent" };
}

const EMPTY = new Uint8Array();
/** What a registry that knows no upload in one piece may say to one. */
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 411, 413, 415, 416, 501]);

class Upload {
  readonly #registry: Registry;
  readonly #start: URL;
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;

  constructor(registry: Registry, start: URL, what: string, signal: AbortSignal | undefined) {
    this.#registry = registry;
    this.#start = start;
    this.#what = what;
    this.#signal = signal;
  }

  async whole(bytes: Uint8Array, digest: OciDigest): Promise<void> {
    await this.#close(await this.#begin(), bytes, digest);
  }

  async inChunks(bytes: Uint8Array, digest: OciDigest): Promise<void> {
    let location = await this.#begin();
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      const headers = { "content-range": `${at}-${at + chunk.length - 1}` };
      const response = await this.#send("PATCH", location, chunk, headers);
      await requireSuccess(response, this.#what);
      await response.discard();
      if (response.headers["location"] !== undefined)
        location = locationOf(response.headers, location);
    }
    await this.#close(location, EMPTY, digest);
  }

  async #begin(): Promise<URL> {
    const response = await this.#registry.session.send("POST", this.#start, "push", {
      signal: this.#signal,
      body: () => EMPTY,
    });
    await requireSuccess(response, this.#what);
    await response.discard();
    return locationOf(response.headers, this.#start);
  }

  async #close(location: URL, bytes: Uint8Array, digest: OciDigest): Promise<void> {
    const url = new URL(location);
    // What stands there already may be signed: it is left as it was written.
    const query = url.search.replace(/^\?/, "");
    url.search = `${query}${query === "" ? "" : "&"}digest=${encodeURIComponent(digest)}`;
    const response = await this.#send("PUT", url, bytes);
    await requireSuccess(response, this.#what);
    await response.discard();
  }

  #send(method: string, url: URL, bytes: Uint8Array, headers: Record<string, string> = {}) {
    return this.#registry.session.send(method, url, "push", {
      headers: { "content-type": "application/octet-stream", ...headers },
      body: () => (bytes.length === 0 ? bytes : pieces(bytes)),
      ...defined({ bodyBytes: bytes.length === 0 ? undefined : bytes.length }),
      signal: this.#signal,
    });
  }
}

const PIECE_BYTES = 256 * 1024;

/** In pieces, so that it is noticed when the registry takes no more of them. */
async function* pieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

function locationOf(headers: Headers, from: URL): URL {
  const location = single(headers, "location", from.pathname);
  if (location !== undefined) return resolveTarget(location, from, "sends uploads");
  throw new NetworkError("BAD_RESPONSE", `${from.origin}${from.pathname}: no Location to send to`);
}

/** A session that is not used; what comes of it does not matter. */
async function cancel(registry: Registry, headers: Headers, from: URL): Promise<void> {
  try {
    const url = locationOf(headers, from);
    await (await registry.session.send("DELETE", url, "push")).discard();
  } catch {
    // it ends by itself
  }
}

/**
 * Puts a manifest under its digest or a tag. Whether the registry keeps track of subjects by itself
 * is in the result.
 *
 * @throws {@link NetworkError}
 */
export async function putManifest(
  registry: Registry,
  reference: string,
  mediaType: string,
  bytes: Uint8Array,
  { ifMatch, signal }: { ifMatch?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<{ knowsSubject: boolean }> {
  const { session, label } = registry;
  const url = await session.url(`manifests/${reference}`);
  const response = await session.send("PUT", url, "push", {
    headers: defined({ "content-type": mediaType, "if-match": ifMatch }),
    body: () => bytes,
    signal,
  });
  await requireSuccess(response, `${label}: manifest ${reference}`);
  await response.discard();
  return { knowsSubject: response.headers["oci-subject"] !== undefined };
}
