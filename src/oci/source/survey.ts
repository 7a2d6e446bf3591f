/**
 * What a set of files is, by their names and by the content of the few that say so: an OCI image in
 * one of the forms that tools read, something else that nobody means to be a root file system, or
 * the files of one.
 *
 * @module
 */
import { type ByteString, printable } from "../../bytes/bytestring.ts";
import { limits } from "../../limits.ts";
import { SNIFF_BYTES, isTar, sniff } from "../codec/sniff.ts";
import {
  type DocumentKind,
  type DocumentName,
  documentKind,
  isDocumentName,
} from "./image-documents.ts";
import * as misplaced from "./misplaced.ts";

/** The forms in which images are read. */
export type ImageForm = "oci" | "docker" | "skopeo";

export type Finding =
  | {
      readonly kind: "image";
      readonly form: ImageForm;
      /** A layout that `manifest.json` describes once more, as Docker reads it. */
      readonly isDockerToo?: boolean;
    }
  | { readonly kind: "misplaced"; readonly misplaced: misplaced.Misplaced }
  | { readonly kind: "files" };

const BLOB = /^blobs\/sha(?:256|512)\/[0-9a-f]{64,128}$/;
const NESTED_BLOB = /(?:^|\/)sha(?:256|512)\/[0-9a-f]{64,128}$/;
const HEX = "[0-9a-f]{64}";
/** Layers, configurations and the like, as docker, skopeo and crane name them. */
const PART = new RegExp(
  `(?:^|/)(?:sha256:)?${HEX}(?:\\.json|\\.tar|\\.tar\\.gz|\\.manifest\\.json|/json|/VERSION|/layer\\.tar)?$`,
);
const LEGACY = new RegExp(`^${HEX}/(?:json|layer\\.tar)$`);
const DOCUMENT = /(?:^|\/)(?:oci-layout|index\.json|manifest\.json|repositories|version)$/;
const ARCHIVE = /\.(?:tar|tgz|tbz2?|txz|tzst|tar\.[a-z0-9]+)$/i;
/** Only a root file system has such names in its root. */
const SYSTEM = /^(?:usr|etc|bin|sbin|lib|lib32|lib64|libx32|var|opt|boot|dev|proc|sys)(?:\/|$)/;
/** Where runtimes, LXD, podman's overlay and others keep one. */
const NESTED_ROOT =
  /^(rootfs|diff|merged|squashfs-root)\/(?:usr|etc|bin|sbin|lib|lib64|var)(?:\/|$)/;
/** What macOS leaves beside files. */
const JUNK = /(?:^|\/)(?:\._[^/]*|\.DS_Store)$|^__MACOSX\//;

/** Hears of every file once, in any order; of directories it need not. */
export class Survey {
  readonly #documents = new Set<DocumentKind>();
  /** Documents that are links. */
  readonly #linked = new Set<DocumentName>();
  /** What its place shows to be something else, unless the whole is a system. */
  #misplaced: misplaced.Misplaced | undefined;
  #isSystem = false;
  /** In the root: blobs of a layout; files of the first Docker's; other parts of images. */
  #hasBlobs = false;
  #hasLegacy = false;
  #hasParts = false;
  /** In folders: the same, and documents of images. */
  #nestedBlob: ByteString | undefined;
  #nestedPart: ByteString | undefined;
  #hasNestedDocument = false;
  /** An archive, in the root or in a folder. */
  #archive: ByteString | undefined;
  /** A file in a folder that is none of these: the whole is a file system. */
  #hasOrdinary = false;
  readonly #lookForArchives: boolean;

  /** @param of an archive that holds only archives is not meant as such; a folder may be */
  constructor(of: "archive" | "folder") {
    this.#lookForArchives = of === "archive";
  }

  /** Whether there can still be only parts of images in it. */
  get isUndecided(): boolean {
    return !this.#hasOrdinary;
  }

  /** Of how many bytes of its content, at most, {@link content} has to be told. */
  add(name: ByteString, isRegular: boolean): number {
    const inRoot = !name.includes("/");
    if (inRoot && isDocumentName(name)) {
      if (isRegular) return limits.manifestBytes;
      this.#linked.add(name);
      return 0;
    }
    if (!this.#isSystem) this.#place(name, isRegular);
    if (BLOB.test(name)) this.#hasBlobs = true;
    else if (LEGACY.test(name)) this.#hasLegacy = true;
    else if (this.#hasOrdinary || JUNK.test(name)) return 0;
    else if (NESTED_BLOB.test(name)) this.#nestedBlob ??= name;
    else if (DOCUMENT.test(name)) this.#hasNestedDocument = true;
    else if (PART.test(name)) this.#addPart(name);
    else if (this.#lookForArchives && isRegular && (inRoot || ARCHIVE.test(name)))
      return SNIFF_BYTES;
    else if (!inRoot) this.#hasOrdinary = true;
    return 0;
  }

  /** The bytes that {@link add} has asked for. */
  content(name: ByteString, bytes: Uint8Array): void {
    if (!name.includes("/") && isDocumentName(name)) {
      const kind = documentKind(name, bytes);
      if (kind !== undefined) this.#documents.add(kind);
    } else if (isTar(bytes) || sniff(bytes) !== "none") this.#archive ??= name;
    else if (name.includes("/")) this.#hasOrdinary = true;
  }

  finding(): Finding {
    const isThere = (kind: DocumentKind) => this.#documents.has(kind) || this.#isLinked(kind);
    if (isThere("index") && isThere("manifest")) return refused(misplaced.CONTRADICTION);
    if (isThere("index")) return { kind: "image", form: "oci", isDockerToo: isThere("docker") };
    if (isThere("docker")) return { kind: "image", form: "docker" };
    if (isThere("manifest")) return { kind: "image", form: "skopeo" };
    if (isThere("layout") || this.#hasBlobs) return refused(misplaced.NO_INDEX);
    if (this.#hasLegacy) return refused(misplaced.LEGACY_ARCHIVE);
    if (isThere("version")) return refused(misplaced.NO_MANIFEST);
    if (!this.#isSystem && isThere("runtime")) return refused(misplaced.RUNTIME_BUNDLE);
    if (!this.#isSystem && this.#misplaced !== undefined) return refused(this.#misplaced);
    const onlyParts = this.#hasOrdinary ? undefined : this.#onlyParts();
    return onlyParts === undefined ? { kind: "files" } : refused(onlyParts);
  }

  /** Whether a document is a link that other files make believable. */
  #isLinked(kind: DocumentKind): boolean {
    if (kind === "index") return this.#hasBlobs && this.#linked.has("index.json");
    if (kind !== "docker" || this.#hasOrdinary || !this.#linked.has("manifest.json")) return false;
    return this.#hasParts || this.#archive !== undefined;
  }

  #place(name: ByteString, isRegular: boolean): void {
    this.#isSystem = SYSTEM.test(name);
    this.#misplaced ??= misplaced.misplacedBy(name, isRegular);
    const [, folder] = NESTED_ROOT.exec(name) ?? [];
    if (folder !== undefined) this.#misplaced ??= misplaced.nestedRoot(folder);
  }

  #addPart(name: ByteString): void {
    // The folder of a layer, `<id>/layer.tar`, has the name of the layer.
    if (/^[^/]*(?:\/(?:json|VERSION|layer\.tar))?$/.test(name)) this.#hasParts = true;
    else this.#nestedPart ??= name;
  }

  #onlyParts(): misplaced.Misplaced | undefined {
    if (this.#hasParts) return misplaced.NO_MANIFEST;
    const nested = this.#nestedBlob ?? (this.#hasNestedDocument ? this.#nestedPart : undefined);
    if (nested !== undefined) return misplaced.nestedImage(printable(folderOf(nested)));
    if (this.#archive !== undefined) return misplaced.nestedArchive(printable(this.#archive));
    return undefined;
  }
}

/** The folder in which a part of an image has the place that it has in an image. */
function folderOf(name: ByteString): ByteString {
  const place = /(?:^|\/)(?:blobs\/.*|[^/]*(?:\/(?:json|VERSION|layer\.tar))?)$/s;
  return name.replace(place, "") as ByteString;
}

function refused(found: misplaced.Misplaced): Finding {
  return { kind: "misplaced", misplaced: found };
}
