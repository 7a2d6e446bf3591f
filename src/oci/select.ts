/**
 * Finding the one image that is asked for among what an index lists: by name, position or digest,
 * then by platform. Two answers are as bad as none.
 *
 * @module
 */
import { FormatError, NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Descriptor } from "./descriptor.ts";
import { type ImageIndex, parseDocument, unsupportedDocument } from "./manifest.ts";
import { documentKind } from "./media-types.ts";
import { type Platform, formatPlatform, samePlatform } from "./platform.ts";
import type { ImageChoice } from "./reference.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
/** What containerd and buildkit write beside it: the whole reference. */
const IMAGE_NAME = "io.containerd.image.name";
/** Marks buildkit's attestations, which stand among the images of an index. */
const REFERENCE_TYPE = "vnd.docker.reference.type";

/**
 * The descriptor of an image manifest.
 *
 * @param read returns a document that has been checked against its descriptor
 * @throws {@link NotFoundError} `NO_REF` when nothing matches
 * @throws {@link FormatError} `AMBIGUOUS` when more than one matches; `LIMIT` when indexes are
 *   nested too deep or list too much
 */
export function selectManifest(
  index: ImageIndex,
  choice: ImageChoice,
  platform: Platform | undefined,
  read: (descriptor: Descriptor) => Uint8Array,
  label: string,
): Descriptor {
  const top = chosen(index, choice, label);
  const found: Descriptor[] = [];
  let looked = 0;
  const visit = (descriptor: Descriptor, depth: number): void => {
    if (++looked > limits.indexEntries) {
      throw new FormatError("LIMIT", `${label}: indexes list over ${limits.indexEntries} entries`);
    }
    if (isAttestation(descriptor)) return;
    const kind = documentKind(descriptor.mediaType);
    const what = `${label}: ${descriptor.digest}`;
    if (kind === undefined) {
      // An artifact of another kind beside the images is no image; asked for by name, it is wrong.
      if (top.length === 1 && depth === 0) throw unsupportedDocument(descriptor.mediaType, what);
      return;
    }
    if (kind === "manifest") {
      found.push(descriptor);
      return;
    }
    if (depth >= limits.indexDepth) {
      throw new FormatError("LIMIT", `${what}: indexes nested over ${limits.indexDepth} deep`);
    }
    const nested = parseDocument(read(descriptor), descriptor.mediaType, what) as ImageIndex;
    for (const entry of nested.manifests) visit(entry, depth + 1);
  };
  for (const descriptor of top) visit(descriptor, 0);
  return onlyOne(found, choice, platform, label);
}

/** The entries of `index.json` that the choice leaves. */
function chosen(index: ImageIndex, choice: ImageChoice, label: string): readonly Descriptor[] {
  const { manifests } = index;
  if (choice.index !== undefined) {
    const entry = manifests[choice.index];
    if (entry !== undefined) return [entry];
    const message = `${label}: expected an image at ${choice.index}, there are ${manifests.length}`;
    throw new NotFoundError("NO_REF", message);
  }
  if (choice.digest !== undefined) {
    const entry = manifests.find(({ digest }) => digest === choice.digest);
    if (entry !== undefined) return [entry];
    throw new NotFoundError("NO_REF", `${label}: no image ${choice.digest} in index.json`);
  }
  if (choice.tag === undefined) return manifests;
  for (const annotation of [REF_NAME, IMAGE_NAME]) {
    const named = manifests.filter(({ annotations }) => annotations.get(annotation) === choice.tag);
    if (named.length > 0) return named;
  }
  const names = manifests.flatMap(({ annotations }) => annotations.get(REF_NAME) ?? []);
  throw new NotFoundError("NO_REF", `${label}: no image named ${JSON.stringify(choice.tag)}`, {
    hint:
      names.length > 0 ? `it has: ${names.slice(0, 20).join(", ")}` : "its images have no names",
  });
}

function isAttestation({ annotations, artifactType, platform }: Descriptor): boolean {
  if (annotations.get(REFERENCE_TYPE) === "attestation-manifest") return true;
  return artifactType !== undefined || platform?.os === "unknown";
}

function onlyOne(
  found: readonly Descriptor[],
  choice: ImageChoice,
  platform: Platform | undefined,
  label: string,
): Descriptor {
  // Without a platform of its own, an entry is judged by its configuration when it is opened.
  const matching = found.filter(
    (entry) => !platform || !entry.platform || samePlatform(platform, entry.platform),
  );
  // One image under several names is one image, unless a name was asked for: then it is there twice.
  const images =
    choice.tag === undefined
      ? [...new Map(matching.map((entry) => [entry.digest, entry])).values()]
      : matching;
  if (images.length === 1) return images[0]!;
  if (images.length > 1) {
    throw new FormatError("AMBIGUOUS", `${label}: expected one image, got ${images.length}`, {
      hint: howToChoose(images),
    });
  }
  if (platform === undefined) throw new NotFoundError("NO_REF", `${label}: no image in it`);
  const message = `${label}: no image for platform ${formatPlatform(platform)}`;
  throw new NotFoundError("NO_REF", message, { hint: `it has: ${platformsOf(found)}` });
}

function howToChoose(images: readonly Descriptor[]): string {
  const platforms = platformsOf(images);
  if (platforms !== "") return `choose with --platform one of: ${platforms}`;
  const names = images.flatMap(({ annotations }) => annotations.get(REF_NAME) ?? []);
  if (names.length > 0) return `choose with :TAG one of: ${names.slice(0, 20).join(", ")}`;
  return `choose with @sha256:… one of: ${images
    .slice(0, 20)
    .map(({ digest }) => digest)
    .join(", ")}`;
}

function platformsOf(images: readonly Descriptor[]): string {
  const names = images.flatMap((entry) => (entry.platform ? formatPlatform(entry.platform) : []));
  return [...new Set(names)].slice(0, 20).join(", ");
}
