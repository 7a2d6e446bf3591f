/**
 * Which image of a Docker archive is meant: by name, position or digest, then by platform, as in
 * indexes.
 *
 * @module
 */
import { FormatError, NotFoundError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { type LayoutFiles, readFile } from "../blob.ts";
import { parseConfig } from "../config.ts";
import { type OciDigest, isDigest } from "../digest.ts";
import { fullName } from "../image-name.ts";
import { wayHint } from "../choice-hint.ts";
import type { Question } from "../image-search.ts";
import { nearestTo, platformDistance } from "../../platform/platform-match.ts";
import {
  type DeclaredPlatform,
  UNDECLARED,
  formatPlatform,
  parsePlatform,
} from "../../platform/platform.ts";
import { demandOf } from "../../sys/host-platform.ts";
import { type ImageChoice, ONLY } from "../reference.ts";
import type { DockerImage } from "./docker-manifest.ts";

/** How many choices are shown. */
const SHOWN = 20;

/**
 * The image that a question means.
 *
 * @param source how users write the archive, for hints
 * @throws {@link FormatError} `AMBIGUOUS`; {@link NotFoundError} `NO_REF`
 */
export function chooseDockerImage(
  images: readonly DockerImage[],
  files: LayoutFiles,
  question: Question,
  source: string,
): DockerImage {
  const choice = new DockerChoice(images, files);
  const named = choice.named(question.choice);
  if (question.onPlatforms !== undefined) {
    const offered = choice.platforms(question, named, images.length);
    question.onPlatforms([...offered.keys()].map(parsePlatform));
  }
  const left = choice.answers(question);
  if (left.length === 1) return left[0]!;
  const { label } = files;
  if (left.length > 1) {
    const message = `${label}: expected one image, got ${left.length}`;
    throw new FormatError("AMBIGUOUS", message, { hint: hintFor(choice, question, left, source) });
  }
  if (named.length === 0) {
    const all = { ...question, choice: ONLY };
    const ways = [
      [":TAG", choice.tags(all)],
      [":@INDEX", choice.positions(all)],
    ] as const;
    const hint = chooseOf(ways, images, source);
    throw new NotFoundError("NO_REF", `${label}: no such image in manifest.json`, { hint });
  }
  const platforms = choice.platforms(question, named);
  const message = `${label}: no image for platform ${formatPlatform(question.platform!)}`;
  throw new NotFoundError("NO_REF", message, {
    hint: platforms.size > 0 ? `it has: ${[...platforms.keys()].join(", ")}` : undefined,
  });
}

/** The digest that a file is named by: `<hex>.json`, `sha256:<hex>`, `blobs/sha256/<hex>`. */
export function digestInName(path: string): OciDigest | undefined {
  const hex = /^(?:blobs\/sha256\/|sha256:)?([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
  const digest = `sha256:${hex}`;
  return hex !== undefined && isDigest(digest) ? digest : undefined;
}

/** The images of one archive, of which questions are asked. */
class DockerChoice {
  readonly images: readonly DockerImage[];
  readonly #files: LayoutFiles;
  readonly #platforms = new Map<string, DeclaredPlatform | undefined>();

  constructor(images: readonly DockerImage[], files: LayoutFiles) {
    this.images = images;
    this.#files = files;
  }

  /** The images that a question leaves. */
  answers(question: Question): readonly DockerImage[] {
    const { choice, platform, host } = question;
    const images = this.named(choice);
    // The only one is compared with the platform when it is opened.
    if (images.length <= 1) return images;
    const here = images.filter((image) => this.#platformOf(image) !== undefined);
    const present = here.length > 0 ? here : images;
    if (present.length === 1 && platform === undefined) return present;
    const declared = present.map(
      (image) => [image, this.#platformOf(image) ?? UNDECLARED] as const,
    );
    const nearest = nearestTo(new Map(declared), demandOf(platform, host));
    return nearest.length === 0 && platform === undefined ? present : nearest;
  }

  /** The images that a choice leaves, of any platform; one that is listed more than once is one. */
  named({ tag, index, digest }: ImageChoice): readonly DockerImage[] {
    const wanted = tag === undefined ? undefined : fullName(tag);
    const found = this.images.filter(
      ({ tags, config }, i) =>
        (index === undefined || index === i) &&
        (digest === undefined || digest === digestInName(config)) &&
        (wanted === undefined || tags.some((own) => fullName(own) === wanted)),
    );
    const content = ({ config, layers }: DockerImage) => JSON.stringify([config, layers]);
    return [...new Map(found.map((image) => [content(image), image])).values()];
  }

  /** The platforms of some images, each with the image that it leads to. */
  platforms(
    question: Question,
    images: readonly DockerImage[],
    most = SHOWN,
  ): Map<string, DockerImage> {
    const declared = images.flatMap((image) => this.#platformOf(image) ?? []);
    const whole = declared.filter(({ os, architecture }) => os && architecture);
    const ask = (text: string) => {
      try {
        return { ...question, platform: parsePlatform(text) };
      } catch {
        return undefined; // no platform that could be written
      }
    };
    return this.#leading(whole.map(formatPlatform), ask, most);
  }

  tags(question: Question): Map<string, DockerImage> {
    const tags = this.images.flatMap((image) => image.tags).filter((tag) => !tag.startsWith("@"));
    return this.#leading(tags, (tag) => ({ ...question, choice: { ...ONLY, tag } }));
  }

  positions(question: Question): Map<string, DockerImage> {
    const all = [...this.images.keys()].map(String);
    return this.#leading(all, (at) => ({ ...question, choice: { ...ONLY, index: Number(at) } }));
  }

  /** Those of what users may write that lead to one image. */
  #leading(
    candidates: readonly string[],
    ask: (candidate: string) => Question | undefined,
    most = SHOWN,
  ): Map<string, DockerImage> {
    const leading = new Map<string, DockerImage>();
    for (const candidate of new Set(candidates)) {
      if (leading.size >= most) break;
      const question = ask(candidate);
      const answers = question === undefined ? [] : this.answers(question);
      if (answers.length === 1 && this.#fits(answers[0]!, question?.platform)) {
        leading.set(candidate, answers[0]!);
      }
    }
    return leading;
  }

  #fits(image: DockerImage, platform: Question["platform"]): boolean {
    const declared = this.#platformOf(image);
    if (declared === undefined) return false;
    return platform === undefined || platformDistance(platform, declared) !== undefined;
  }

  /** As its configuration says; undefined where that cannot be read. */
  #platformOf({ config }: DockerImage): DeclaredPlatform | undefined {
    if (!this.#platforms.has(config)) this.#platforms.set(config, this.#readPlatform(config));
    return this.#platforms.get(config);
  }

  #readPlatform(config: string): DeclaredPlatform | undefined {
    try {
      const bytes = readFile(this.#files, config, limits.manifestBytes);
      return parseConfig(bytes, config).platform;
    } catch (error) {
      if (error instanceof SealfsError) return undefined;
      throw error;
    }
  }
}

/** What tells `images` apart: platforms, else names, else positions; each has been tried. */
function hintFor(
  choice: DockerChoice,
  question: Question,
  images: readonly DockerImage[],
  source: string,
): string | undefined {
  const isChosen = Object.values(question.choice).some((part) => part !== undefined);
  const ways = [
    ["--platform", choice.platforms(question, images)],
    [":TAG", isChosen ? new Map<string, DockerImage>() : choice.tags(question)],
    [":@INDEX", choice.positions(question)],
  ] as const;
  return chooseOf(ways, images, source);
}

/** The first way that leads to all images; else the last. */
function chooseOf(
  ways: readonly (readonly [way: string, led: ReadonlyMap<string, DockerImage>])[],
  images: readonly DockerImage[],
  source: string,
): string | undefined {
  const leadsToAll = (led: ReadonlyMap<string, DockerImage>) => {
    const reached = new Set(led.values());
    return images.every((image) => reached.has(image));
  };
  const [way, led] = ways.find(([, choices]) => leadsToAll(choices)) ?? ways.at(-1)!;
  if (led.size === 0) return undefined;
  return wayHint(source, way, [...led.keys()]);
}
