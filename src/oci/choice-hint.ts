/**
 * What a user may write instead where an index does not say which image is meant. Every choice has
 * been tried before it is shown.
 *
 * @module
 */
import type { Descriptor } from "./descriptor.ts";
import type { OciDigest } from "./digest.ts";
import { type ImageSearch, type Question, TO_BE_SAVED } from "./image-search.ts";
import { limits } from "../limits.ts";
import { type Platform, formatPlatform, parsePlatform } from "../platform/platform.ts";
import { ONLY, parseSource } from "./reference.ts";

/** How many names, platforms or digests are shown. */
const SHOWN = 20;

/** Choices as a user writes them, and the image that each leads to. */
type Choices = ReadonlyMap<string, OciDigest>;

/** What tells apart the images that a question leaves: platforms, else names, else digests. */
export async function ambiguityHint(
  search: ImageSearch,
  question: Question,
  images: readonly Descriptor[],
): Promise<string | undefined> {
  const { tag, index, digest } = question.choice;
  const isChosen = tag !== undefined || index !== undefined || digest !== undefined;
  const ways = [
    { text: "--platform", choices: await platforms(search, question, images) },
    { text: ":TAG", choices: isChosen ? new Map() : await names(search, question) },
    { text: "@DIGEST", choices: await digests(search, question, images) },
  ] as const;
  const leadsToAll = ({ choices }: { readonly choices: Choices }) => {
    const led = new Set(choices.values());
    return images.every((image) => led.has(image.digest));
  };
  const enough = ways.find(leadsToAll);
  const hints = (enough ? [enough] : ways)
    .filter(({ choices }) => choices.size > 0)
    .map(({ text, choices }) => choose(search, text, [...choices.keys()]));
  return hints.length > 0 ? hints.join("; or ") : undefined;
}

/** The platforms that there are, when it is not the one asked for. */
export async function platformHint(
  search: ImageSearch,
  question: Question,
  images: readonly Descriptor[],
): Promise<string | undefined> {
  const choices = [...(await platforms(search, question, images)).keys()];
  return choices.length > 0 ? `it has: ${choices.join(", ")}` : undefined;
}

/** The platforms that a question may ask for, each of which leads to one image. */
export async function platformsOf(search: ImageSearch, question: Question): Promise<Platform[]> {
  const images = await search.imagesOf(question.choice);
  const choices = await platforms(search, question, images, limits.indexEntries);
  return [...choices.keys()].map(parsePlatform);
}

/** What an index has, when it has nothing of that name, position or digest. */
export async function nameHint(
  search: ImageSearch,
  question: Question,
): Promise<string | undefined> {
  const { tag, index } = question.choice;
  if (index !== undefined) {
    const positions = await leading(search.index.entries.keys(), (at) =>
      answerTo(search, { ...question, choice: { ...ONLY, index: at } }, `:@${at}`),
    );
    return positions.size > 0 ? choose(search, ":@INDEX", [...positions.keys()]) : undefined;
  }
  const found = tag === undefined ? [] : await namesOrPlatforms(search, question);
  if (found.length > 0) return `it has: ${found.join(", ")}`;
  const images = await search.imagesOf(ONLY);
  const choices = [...(await digests(search, question, images)).keys()];
  if (choices.length === 0) return undefined;
  const why = tag !== undefined && search.names.length === 0 ? "its images have no names: " : "";
  return `${why}${choose(search, "@DIGEST", choices)}`;
}

/** Names that lead to an image, by themselves or with one of the platforms. */
async function namesOrPlatforms(search: ImageSearch, question: Question): Promise<string[]> {
  const alone = await names(search, question);
  const found: string[] = [];
  for (const tag of search.names.slice(0, SHOWN)) {
    if (alone.has(tag)) {
      found.push(tag);
      continue;
    }
    const choice = { ...ONLY, tag };
    const images = await search.imagesOf(choice);
    const [platform] = (await platforms(search, { ...question, choice }, images)).keys();
    if (platform !== undefined) found.push(`${tag} --platform ${platform}`);
  }
  return found;
}

function choose(search: ImageSearch, way: string, choices: readonly string[]): string {
  return wayHint(search.documents.source, way, choices);
}

/**
 * Tells to choose by `--platform`, or by a suffix of the source.
 *
 * @param source how users write it
 * @param way `--platform`, or the suffix, such as `:TAG`
 */
export function wayHint(
  source: string | undefined,
  way: string,
  choices: readonly string[],
): string {
  const list = `one of: ${choices.join(", ")}`;
  if (way === "--platform") return `choose with --platform ${list}`;
  const isToBeSaved = source?.replace(/^docker-/, "oci-") === TO_BE_SAVED;
  const first = isToBeSaved ? "save it as FILE, and " : "";
  return `${first}choose with ${source}${way}, ${way.replace(/^\W+/, "")} ${list}`;
}

async function platforms(
  search: ImageSearch,
  question: Question,
  images: readonly Descriptor[],
  most = SHOWN,
): Promise<Choices> {
  const declared = await Promise.all(images.map((image) => search.platformOf(image)));
  const whole = declared.filter(({ os, architecture }) => os && architecture);
  const lead = (text: string) => {
    try {
      return search.answers({ ...question, platform: parsePlatform(text) });
    } catch {
      return undefined; // no platform that could be written
    }
  };
  return leading(whole.map(formatPlatform), lead, most);
}

function names(search: ImageSearch, question: Question): Promise<Choices> {
  return leading(search.names, (tag) =>
    answerTo(search, { ...question, choice: { ...ONLY, tag } }, `:${tag}`),
  );
}

function digests(
  search: ImageSearch,
  question: Question,
  images: readonly Descriptor[],
): Promise<Choices> {
  const all = images.map(({ digest }) => digest);
  return leading(all, (digest) =>
    answerTo(search, { ...question, choice: { ...ONLY, digest } }, `@${digest}`),
  );
}

/** What a question leads to, if users can write it: with `suffix` behind the source. */
async function answerTo(
  search: ImageSearch,
  question: Question,
  suffix: string,
): Promise<OciDigest | undefined> {
  const { source } = search.documents;
  if (source === undefined) return undefined;
  try {
    const [plain, read] = [parseSource(source), parseSource(source + suffix)];
    const { choice } = question;
    const { tag, index, digest } = { ...ONLY, ...read };
    if (!("path" in plain) ? tag !== undefined : !("path" in read) || read.path !== plain.path) {
      return undefined;
    }
    if (tag !== choice.tag || index !== choice.index || digest !== choice.digest) return undefined;
  } catch {
    return undefined; // nothing that could be written
  }
  return search.answers(question);
}

/** The first of `candidates` that lead to an image. */
async function leading<T>(
  candidates: Iterable<T>,
  lead: (candidate: T) => Promise<OciDigest | undefined> | undefined,
  most = SHOWN,
): Promise<Choices> {
  const choices = new Map<string, OciDigest>();
  for (const candidate of [...new Set(candidates)].slice(0, most)) {
    const digest = await lead(candidate);
    if (digest !== undefined) choices.set(String(candidate), digest);
  }
  return choices;
}
