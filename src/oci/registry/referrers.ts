/**
 * What refers to an image: by the registry's own list where it has one, else by an index under the
 * tag `sha256-<hex>` that writers keep themselves.
 *
 * Spec: docs/registry-artifact.md, "Referrers"; OCI distribution spec 1.1, "Listing Referrers"
 * and "Pushing Manifests with Subject".
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { asArray, asObject } from "../../bytes/json-fields.ts";
import { parseJson } from "../../bytes/json.ts";
import { FormatError, NetworkError } from "../../errors.ts";
import type { Headers } from "../../http/answer.ts";
import { resolveTarget } from "../../http/redirects.ts";
import { limits } from "../../limits.ts";
import { type Descriptor, parseDescriptor } from "../descriptor.ts";
import type { OciDigest } from "../digest.ts";
import { OCI_INDEX } from "../media-types.ts";
import { documentType } from "./document-type.ts";
import { type Registry, requireStatus } from "./registry.ts";
import { collect } from "./session.ts";
import { putManifest } from "./upload.ts";

/** The tag of the list for a subject. */
export function referrersTag(subject: OciDigest): string {
  const [algorithm, hex] = subject.split(":");
  return `${algorithm!.slice(0, 32)}-${hex!.slice(0, 64)}`;
}

/**
 * The manifests of one kind that refer to `subject`, no more of them than are looked at; the
 * registry is believed in nothing else. A registry that has no list, or does not show it, is asked
 * for the one under the tag.
 *
 * @throws {@link NetworkError}; {@link FormatError} for what is not such a list, `LIMIT` for one that
 *   does not end
 */
export async function listReferrers(
  registry: Registry,
  subject: OciDigest,
  artifactType: string,
  signal?: AbortSignal,
): Promise<Descriptor[]> {
  const { entries, failed } = await ownList(registry, subject, artifactType, signal);
  // Some registries that have the list still keep old entries under the tag only.
  if (entries.length > 0) return entries;
  const tagged = ofKind(await readFallback(registry, subject, signal), artifactType);
  if (tagged.length === 0 && failed !== undefined) throw failed;
  return tagged;
}

/** Whether the registry lists `artifact` by itself, so that it need not be under the tag. */
export async function listsByItself(
  registry: Registry,
  subject: OciDigest,
  artifact: Pick<Referrer, "digest" | "artifactType">,
  signal?: AbortSignal,
): Promise<boolean> {
  const { entries } = await ownList(registry, subject, artifact.artifactType, signal);
  return entries.some(({ digest }) => digest === artifact.digest);
}

interface OwnList {
  readonly entries: Descriptor[];
  /** Why there is none, where that may be another time. */
  readonly failed?: NetworkError;
}

async function ownList(
  registry: Registry,
  subject: OciDigest,
  artifactType: string,
  signal: AbortSignal | undefined,
): Promise<OwnList> {
  const { session, label } = registry;
  const what = `${label}: referrers of ${subject}`;
  let url: URL | undefined = await session.url(`referrers/${subject}`);
  url.search = new URLSearchParams({ artifactType }).toString();
  const entries: Descriptor[] = [];
  const asked = new Set<string>();
  let bytes = 0;
  while (url !== undefined && !asked.has(url.href) && entries.length < limits.referrers) {
    if (asked.size === limits.referrerPages) throw endless(what, `${asked.size} pages`);
    const isFirst = asked.size === 0;
    const page: Page | NetworkError | undefined = await readPage(
      registry,
      url,
      what,
      isFirst,
      signal,
    );
    if (page === undefined) return { entries: [] };
    if (page instanceof NetworkError) return { entries: [], failed: page };
    asked.add(url.href);
    bytes += page.bytes.length;
    if (bytes > limits.referrersBytes) throw endless(what, `${limits.referrersBytes} bytes`);
    // Registries may leave the filter to us.
    entries.push(...ofKind(parseIndex(page.bytes, what), artifactType));
    url = nextPage(page.links, url);
  }
  return { entries: entries.slice(0, limits.referrers) };
}

function endless(what: string, most: string): FormatError {
  return new FormatError("LIMIT", `${what}: the list does not end after ${most}`);
}

interface Page {
  readonly bytes: Uint8Array;
  readonly links: Headers[string];
}

/**
 * A page of the list. Of the first one: undefined when there is no such list, and the error when
 * that may be another time. Registries without the list answer anything; a page for people among
 * it, and that access is refused.
 */
async function readPage(
  { session }: Registry,
  url: URL,
  what: string,
  isFirst: boolean,
  signal: AbortSignal | undefined,
): Promise<Page | NetworkError | undefined> {
  const options = { headers: { accept: OCI_INDEX }, maxBytes: limits.manifestBytes, signal };
  try {
    const response = await session.send("GET", url, "pull", options);
    const { status, headers } = response;
    if (isFirst && status < 400 && (status !== 200 || !mayBeIndex(headers))) {
      await response.discard();
      return undefined;
    }
    await requireStatus(response, [200], what);
    const bytes = await collect(response.body);
    if (isFirst && documentType(typeOf(headers), bytes) !== OCI_INDEX) return undefined;
    return { bytes, links: headers["link"] };
  } catch (error) {
    if (!isFirst || !(error instanceof NetworkError) || error.status === 429) throw error;
    signal?.throwIfAborted();
    const { status, code } = error;
    // Filters in front of registries end connections at paths that they do not know.
    if (status === undefined) return code === "BAD_REDIRECT" ? undefined : error;
    return status < 500 || status === 501 ? undefined : error;
  }
}

/** A page for people may be long. */
function mayBeIndex(headers: Headers): boolean {
  return !/html/i.test(typeOf(headers) ?? "");
}

function typeOf(headers: Headers): string | undefined {
  const type = headers["content-type"];
  return typeof type === "string" ? type : undefined;
}

function ofKind(entries: readonly Descriptor[], artifactType: string): Descriptor[] {
  return entries.filter((entry) => entry.artifactType === artifactType).slice(0, limits.referrers);
}

/**
 * The page that `Link` headers name as the next (RFC 8288, section 3), on the same server.
 *
 * @throws {@link NetworkError} `BAD_REDIRECT`
 */
export function nextPage(links: Headers[string], from: URL): URL | undefined {
  const all = [links ?? []].flat().join(", ");
  for (const [, target, parameters] of all.matchAll(/<([^<>]*)>((?:\s*;[^,;<>]*)*)/g)) {
    if (!/;\s*rel\s*=\s*(?:next\b|"(?:[^"]*\s)?next(?:\s[^"]*)?")/i.test(parameters!)) continue;
    const next = resolveTarget(target!, from, "continues its list");
    // Elsewhere no list goes on.
    return next.origin === from.origin ? next : undefined;
  }
  return undefined;
}

function parseIndex(bytes: Uint8Array, what: string): Descriptor[] {
  const index = asObject(parseJson(bytes, { what, maxBytes: limits.manifestBytes }), what);
  const entries = asArray(index.get("manifests") ?? [], `${what}: manifests`);
  if (entries.length > limits.indexEntries) {
    const most = `expected at most ${limits.indexEntries} entries`;
    throw new FormatError("LIMIT", `${what}: ${most}, got ${entries.length}`);
  }
  // Anybody's entries: a broken one must not hide the others.
  return entries.flatMap((entry, i) => {
    try {
      return [parseDescriptor(entry, `${what}: manifests[${i}]`)];
    } catch (error) {
      if (error instanceof FormatError) return [];
      throw error;
    }
  });
}

interface Fallback {
  readonly entries: readonly Descriptor[];
  readonly bytes: Uint8Array;
  readonly digest: OciDigest;
}

async function fallback(
  registry: Registry,
  subject: OciDigest,
  signal: AbortSignal | undefined,
): Promise<Fallback | undefined> {
  const tag = referrersTag(subject);
  try {
    const { bytes, mediaType, digest } = await registry.manifest(tag, signal);
    if (mediaType !== OCI_INDEX) return undefined;
    return { entries: parseIndex(bytes, `${registry.label}:${tag}`), bytes, digest };
  } catch (error) {
    // Some refuse access to what is not there.
    if (error instanceof NetworkError && ABSENT.has(error.status)) return undefined;
    throw error;
  }
}

/** What registries say of a tag that is not there. */
const ABSENT: ReadonlySet<number | undefined> = new Set([400, 401, 403, 404, 405, 410]);

async function readFallback(
  registry: Registry,
  subject: OciDigest,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  return (await fallback(registry, subject, signal))?.entries ?? [];
}

/** One entry of the list, as it is written. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: OciDigest;
  readonly size: number;
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** @throws {@link FormatError} `LIMIT` for a list that nobody would read any more */
function requireReadable(index: { readonly manifests: readonly unknown[] }, what: string): void {
  const bytes = Buffer.byteLength(JSON.stringify(index));
  const hint = "entries that lead nowhere, or that nobody needs, have to be deleted first";
  if (bytes > limits.manifestBytes) {
    const message = `${what}: expected at most ${limits.manifestBytes} bytes of list, got ${bytes}`;
    throw new FormatError("LIMIT", message, { hint });
  }
  const count = index.manifests.length;
  if (count <= limits.indexEntries) return;
  const message = `${what}: expected at most ${limits.indexEntries} entries, got ${count}`;
  throw new FormatError("LIMIT", message, { hint });
}

const TRIES = 6;
const PAUSE_MS = 100;

/**
 * Puts `entry` into the list under the tag. Two writers may do so at once, and no registry is bound
 * to notice: the list is read again afterwards, and written again when the entry is gone.
 *
 * @throws {@link NetworkError}
 */
export async function addToFallback(
  registry: Registry,
  subject: OciDigest,
  entry: Referrer,
  signal?: AbortSignal,
): Promise<void> {
  const tag = referrersTag(subject);
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries > 0) await sleep(PAUSE_MS * tries * (1 + Math.random()), undefined, { signal });
    const before = await fallback(registry, subject, signal);
    if (before?.entries.some(({ digest }) => digest === entry.digest)) return;
    // Entries of others stay as they are, to the last field.
    const others =
      before === undefined
        ? []
        : (JSON.parse(Buffer.from(before.bytes).toString("utf8")) as { manifests: unknown[] })
            .manifests;
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...others, entry] };
    requireReadable(index, `${registry.label}:${tag}`);
    const ifMatch = before === undefined ? undefined : `"${before.digest}"`;
    try {
      const bytes = Buffer.from(JSON.stringify(index));
      await putManifest(registry, tag, OCI_INDEX, bytes, { ifMatch, signal });
    } catch (error) {
      // Somebody was quicker, and this registry says so.
      if (!(error instanceof NetworkError) || error.status !== 412) throw error;
    }
  }
  const message = `${registry.label}:${tag}: the list of referrers keeps changing`;
  throw new NetworkError("STATUS", message, { hint: "push again when nobody else does" });
}
