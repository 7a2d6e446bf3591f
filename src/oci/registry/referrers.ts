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
import { single, statusFailure } from "../../http/answer.ts";
import { resolveTarget } from "../../http/redirects.ts";
import { limits } from "../../limits.ts";
import { type Descriptor, parseDescriptor } from "../descriptor.ts";
import type { OciDigest } from "../digest.ts";
import { OCI_INDEX } from "../media-types.ts";
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
 * registry is believed in nothing else.
 *
 * @throws {@link NetworkError}; {@link FormatError} for what is not such a list
 */
export async function listReferrers(
  registry: Registry,
  subject: OciDigest,
  artifactType: string,
  signal?: AbortSignal,
): Promise<Descriptor[]> {
  const { session, label } = registry;
  const what = `${label}: referrers of ${subject}`;
  const first = await session.url(`referrers/${subject}`);
  first.search = new URLSearchParams({ artifactType }).toString();
  const found: Descriptor[] = [];
  let url: URL | undefined = first;
  while (url !== undefined && found.length < limits.referrers) {
    const response = await session.send("GET", url, "pull", {
      headers: { accept: OCI_INDEX },
      maxBytes: limits.manifestBytes,
      signal,
    });
    const type: string | undefined = single(response.headers, "content-type", what);
    // A registry without the list answers anything; a page for people among it.
    if (url === first && (response.status !== 200 || type?.startsWith(OCI_INDEX) !== true)) {
      await response.discard();
      const { status, headers } = response;
      if (status === 403 || status >= 500 || status === 429) {
        throw statusFailure(status, headers, what);
      }
      return ofKind(await readFallback(registry, subject, signal), artifactType);
    }
    await requireStatus(response, [200], what);
    found.push(...parseIndex(await collect(response.body), what));
    url = nextPage(single(response.headers, "link", what), url);
  }
  // Registries may leave the filter to us, and some that have the list still keep old tags only.
  const listed = ofKind(found, artifactType);
  if (listed.length > 0) return listed;
  return ofKind(await readFallback(registry, subject, signal), artifactType);
}

function ofKind(entries: readonly Descriptor[], artifactType: string): Descriptor[] {
  return entries.filter((entry) => entry.artifactType === artifactType).slice(0, limits.referrers);
}

function nextPage(link: string | undefined, from: URL): URL | undefined {
  const target = /<([^<>]*)>\s*;\s*rel="?next"?/i.exec(link ?? "")?.[1];
  if (target === undefined) return undefined;
  const next = resolveTarget(target, from, "continues its list");
  // Elsewhere, or again the same: no list goes on like that.
  return next.origin === from.origin && next.href !== from.href ? next : undefined;
}

function parseIndex(bytes: Uint8Array, what: string): Descriptor[] {
  const index = asObject(parseJson(bytes, { what, maxBytes: limits.manifestBytes }), what);
  const entries = asArray(index.get("manifests") ?? [], `${what}: manifests`);
  if (entries.length > limits.indexEntries) {
    throw new FormatError("LIMIT", `${what}: lists over ${limits.indexEntries} entries`);
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
    if (error instanceof NetworkError && error.code === "NOT_FOUND") return undefined;
    throw error;
  }
}

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
