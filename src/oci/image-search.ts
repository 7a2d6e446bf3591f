/**
 * The images that an index lists, in it or in nested ones: those that a name, position or digest
 * means, and of them those nearest to a platform.
 *
 * @module
 */
import { FormatError, type SealfsError } from "../errors.ts";
import { limits } from "../limits.ts";
import { IMAGE_NAME, REFERENCE_TYPE, REF_NAME, ZSTD } from "./annotations.ts";
import type { Descriptor } from "./descriptor.ts";
import type { OciDigest } from "./digest.ts";
import { fullName } from "./image-name.ts";
import { IndexWalk, type PlacedEntry, type ReadDocument, isAboutContent } from "./index-walk.ts";
import { type ImageIndex, unsupportedDocument } from "./manifest.ts";
import { documentKind, isConfig } from "./media-types.ts";
import { nearestTo } from "../platform/platform-match.ts";
import {
  type DeclaredPlatform,
  type Platform,
  UNDECLARED,
  formatPlatform,
} from "../platform/platform.ts";
import { demandOf } from "../sys/host-platform.ts";
import type { ImageChoice } from "./reference.ts";

/** Which image is wanted. */
export interface Question {
  readonly choice: ImageChoice;
  /** As asked for; undefined: the only image, or of several the host's. */
  readonly platform: Platform | undefined;
  /** The host's platform, where it is not this machine's. */
  readonly host?: Platform | undefined;
  /** Hears the platforms that there are images for, before one is chosen. */
  readonly onPlatforms?: ((platforms: readonly Platform[]) => void) | undefined;
}

/** A question where there is nothing else to choose by. */
export type PlatformQuestion = Pick<Question, "platform" | "onPlatforms">;

/** What a manifest says about its image. */
export interface ImageFacts {
  readonly configDigest: OciDigest;
  readonly platform: DeclaredPlatform;
}

/** The source of an archive from standard input: users have to save it before they can choose. */
export const TO_BE_SAVED = "oci-archive:FILE";

/** Where the documents of an index are. */
export interface Documents {
  /** For messages. */
  readonly label: string;
  /** How users write it, such as `oci:DIR`; undefined where they cannot choose by adding to it. */
  readonly source: string | undefined;
  readonly read: ReadDocument;
  /** Indexes and manifests that may be read to find one image, where each takes a while. */
  readonly mostDocuments?: number;
  /** Facts of a manifest; undefined when it cannot be read. */
  facts(manifest: Descriptor): ImageFacts | undefined | Promise<ImageFacts | undefined>;
  /** Whether an image's blobs are there, where that can be told. */
  has?(manifest: Descriptor): boolean;
  /** Whether an image can be opened; asked before a hint names it. */
  opens?(manifest: Descriptor, platform: Platform | undefined): boolean;
}

/** One image, or why not. */
export type Answer =
  | { readonly image: Descriptor }
  /** Several that nothing tells apart; none, among others of other platforms. */
  | { readonly images: readonly Descriptor[]; readonly why: "several" | "none" };

/** Looking for images in one index. */
export class ImageSearch {
  readonly index: ImageIndex;
  readonly documents: Documents;
  readonly #walk: IndexWalk;
  #read = 0;
  readonly #known = new Map<OciDigest, Promise<ImageFacts | undefined>>();

  constructor(index: ImageIndex, documents: Documents) {
    this.index = index;
    this.documents = documents;
    this.#walk = new IndexWalk(documents.label, documents.read, () => this.#count());
  }

  #count(): void {
    const { label, mostDocuments: most = limits.indexEntries } = this.documents;
    if (++this.#read <= most) return;
    const message = `${label}: expected at most ${most} documents to find one image among, got more`;
    throw new FormatError("LIMIT", message, { hint: "name the image by its digest" });
  }

  /** The names that the index gives its entries. */
  get names(): string[] {
    return [
      ...new Set(
        this.index.entries.flatMap(
          ({ annotations }) => annotations.get(REF_NAME) ?? annotations.get(IMAGE_NAME) ?? [],
        ),
      ),
    ];
  }

  /** Whether a question has one answer, which can be opened. */
  async answers(question: Question): Promise<OciDigest | undefined> {
    let answer: Answer;
    try {
      answer = await this.among(await this.tops(question.choice), question);
    } catch (error) {
      if (isAboutContent(error)) return undefined;
      throw error;
    }
    if (!("image" in answer)) return undefined;
    const opens = this.documents.opens?.(answer.image, question.platform) ?? true;
    return opens ? answer.image.digest : undefined;
  }

  /** The entries that a choice leaves; by its digest, an entry is found in nested indexes too. */
  async tops({ tag, index, digest }: ImageChoice): Promise<readonly PlacedEntry[]> {
    const outer = this.index.entries.map((entry) => ({ entry, depth: 0 }));
    if (index !== undefined) return outer.slice(index, index + 1);
    if (tag !== undefined) return named(outer, tag);
    if (digest === undefined) return outer;
    const own = outer.find(({ entry }) => entry.digest === digest);
    if (own !== undefined) return [own];
    for await (const placed of this.#walk.entries(outer)) {
      if (placed.entry.digest === digest) return [placed];
    }
    return [];
  }

  async among(tops: readonly PlacedEntry[], question: Question): Promise<Answer> {
    const images = await this.#images(tops);
    // One image under several names is one image, unless a name was asked for: then it is there
    // twice.
    if (question.choice.tag !== undefined && repeats(tops)) return { images, why: "several" };
    // But it may be listed for several platforms.
    const different = distinct(images, ({ digest, platform }) =>
      platform ? `${digest} ${formatPlatform(platform)}` : digest,
    );
    const nearest = await this.#ofPlatform(different, question);
    const left = distinct(nearest, ({ digest }) => digest);
    if (left.length === 1) return { image: left[0]! };
    return left.length > 1 ? { images: left, why: "several" } : { images: different, why: "none" };
  }

  /** The images that a choice leaves, of whatever platform; none where there are only odd ones. */
  async imagesOf(choice: ImageChoice): Promise<readonly Descriptor[]> {
    try {
      return await this.#images(await this.tops(choice));
    } catch (error) {
      if (isAboutContent(error)) return [];
      throw error;
    }
  }

  /**
   * The images below `tops`. What else stands there is looked at only where there are none.
   *
   * @throws what is wrong with an entry, when there is nothing but odd ones
   */
  async #images(tops: readonly PlacedEntry[]): Promise<readonly Descriptor[]> {
    const images: Descriptor[] = [];
    const typed: Descriptor[] = [];
    const attestations: Descriptor[] = [];
    let error: SealfsError | undefined;
    for await (const { entry } of this.#walk.entries(tops)) {
      if ("error" in entry) error ??= entry.error;
      else {
        const kind = documentKind(entry.mediaType);
        const what = `${this.documents.label}: ${entry.digest}`;
        if (kind === undefined) error ??= unsupportedDocument(entry.mediaType, what);
        if (kind !== "manifest") continue;
        if (isAttestation(entry)) attestations.push(entry);
        else (isTyped(entry) ? typed : images).push(entry);
      }
    }
    if (images.length > 0) return images;
    if (typed.length > 0) return typed;
    if (error !== undefined) throw error;
    return attestations;
  }

  /** Those that are nearest to the platform; of one image in several compressions, one. */
  async #ofPlatform(images: readonly Descriptor[], question: Question): Promise<Descriptor[]> {
    const { platform, host } = question;
    const present = await this.#present(images);
    if (present.length === 1 && platform === undefined) return [...present];
    const declared = new Map<Descriptor, DeclaredPlatform>();
    for (const image of present) {
      declared.set(image, await this.platformOf(image, present.length === 1));
    }
    const nearest = nearestTo(declared, demandOf(platform, host));
    // Where the host's is not among them, the user has to say which.
    if (nearest.length === 0) return platform === undefined ? this.#preferred(present) : [];
    return this.#preferred(nearest);
  }

  /**
   * The platform of an image: as its entry says, and what that leaves out as its configuration
   * says; nothing where that is looked at when it is opened.
   */
  async platformOf(image: Descriptor, isOnly = false): Promise<DeclaredPlatform> {
    const said = image.platform ?? UNDECLARED;
    if (isWhole(said) || isOnly) return said;
    const own = (await this.#facts(image))?.platform ?? UNDECLARED;
    const { os = own.os, architecture = own.architecture } = said;
    return { os, architecture, variant: said.architecture ? said.variant : own.variant };
  }

  /** Without what is no image after all or not here, as long as there are others. */
  async #present(images: readonly Descriptor[]): Promise<readonly Descriptor[]> {
    if (images.length <= 1) return images;
    const { documents } = this;
    const here = images.filter((image) => documents.has?.(image) ?? true);
    const readable: Descriptor[] = [];
    for (const image of here) {
      const isSaid = image.platform !== undefined && isWhole(image.platform);
      if (isSaid || (await this.#facts(image))) readable.push(image);
    }
    return readable.length > 0 ? readable : here.length > 0 ? here : images;
  }

  /** One of several that are the same image: podman takes the one with zstd, else the first. */
  async #preferred(images: readonly Descriptor[]): Promise<Descriptor[]> {
    if (images.length <= 1) return [...images];
    const zstd = images.filter(({ annotations }) => annotations.get(ZSTD) === "true");
    const left = zstd.length > 0 ? zstd : images;
    const configs = new Set<OciDigest | undefined>();
    for (const image of left) configs.add((await this.#facts(image))?.configDigest);
    return configs.size === 1 && !configs.has(undefined) ? [left[0]!] : [...left];
  }

  async #facts(image: Descriptor): Promise<ImageFacts | undefined> {
    let facts = this.#known.get(image.digest);
    if (facts === undefined) {
      this.#count();
      facts = Promise.resolve(this.documents.facts(image));
      this.#known.set(image.digest, facts);
    }
    return facts;
  }
}

function isWhole({ os, architecture }: DeclaredPlatform): boolean {
  return os !== undefined && architecture !== undefined;
}

function distinct<T>(values: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(values.map((value) => [key(value), value])).values()];
}

/** Whether one document stands there more than once. */
function repeats(tops: readonly PlacedEntry[]): boolean {
  return new Set(tops.map(({ entry }) => entry.digest)).size < tops.length;
}

/** The entries of that name, first of those written just so. */
function named(entries: readonly PlacedEntry[], tag: string): readonly PlacedEntry[] {
  const full = fullName(tag);
  for (const isName of [
    (name: string) => name === tag,
    (name: string) => fullName(name) === full,
  ]) {
    for (const annotation of [REF_NAME, IMAGE_NAME]) {
      const found = entries.filter(({ entry }) => {
        const name = entry.annotations.get(annotation);
        return name !== undefined && isName(name);
      });
      if (found.length > 0) return found;
    }
  }
  return [];
}

function isAttestation({ annotations, platform }: Descriptor): boolean {
  return annotations.get(REFERENCE_TYPE) === "attestation-manifest" || platform?.os === "unknown";
}

/** Whether an entry calls itself an artifact of another type than an image. */
function isTyped({ artifactType }: Descriptor): boolean {
  if (artifactType === undefined || artifactType === "") return false;
  return !isConfig(artifactType) && documentKind(artifactType) === undefined;
}
