/**
 * What a set of files is, by their names and by the content of the few that say so: an OCI image in
 * one of the forms that tools read, something else that nobody means to be a root file system, or
 * the files of one.
 *
 * @module
 */
import { type ByteString, printable } from "../../bytes/bytestring.ts";
import { limits } from "../../limits.ts";
import { ARCHIVE_HEAD_BYTES, archiveHead } from "./archive-head.ts";
import {
  type DocumentKind,
  type DocumentName,
  documentKind,
  documentNameOf,
  isDocumentName,
  isImageDocument,
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
/** What has its place in an image, in a folder: nothing else has such names. */
const NESTED_PLACE = new RegExp(`/(?:blobs/sha(?:256|512)/[0-9a-f]{64,128}|${HEX}/layer\\.tar)$`);
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
  /** What is in a folder, or in an archive, and beyond doubt an image or a part of one. */
  #nestedImage: ByteString | undefined;
  #imageArchive: ByteString | undefined;
  /** An archive, in the root or in a folder. */
  #archive: ByteString | undefined;
  #isEmpty = true;
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

  /** Hears of a folder; of an archive, which may have nothing else in it. */
  addFolder(): void {
    this.#isEmpty = false;
  }

  /** Of how many bytes of its content, at most, {@link content} has to be told. */
  add(name: ByteString, isRegular: boolean): number {
    this.#isEmpty = false;
    const inRoot = !name.includes("/");
    if (inRoot && isDocumentName(name)) {
      if (isRegular) return limits.manifestBytes;
      this.#linked.add(name);
      return 0;
    }
    if (!this.#isSystem) this.#place(name, isRegular);
    if (BLOB.test(name)) this.#hasBlobs = true;
    else if (LEGACY.test(name)) this.#hasLegacy = true;
    else if (JUNK.test(name)) return 0;
    else return Math.max(this.#addNested(name, isRegular), this.#addToOnly(name, isRegular));
    return 0;
  }

  /** The bytes that {@link add} has asked for. */
  content(name: ByteString, bytes: Uint8Array): void {
    const inRoot = !name.includes("/");
    const document = documentNameOf(name);
    if (document !== undefined) {
      const kind = documentKind(document, bytes);
      if (inRoot && kind !== undefined) this.#documents.add(kind);
      else if (isImageDocument(kind)) this.#nestedImage ??= name;
      return;
    }
    const head = archiveHead(bytes);
    if (head === "image") this.#imageArchive ??= name;
    if (head !== undefined) this.#archive ??= name;
    else if (!inRoot) this.#hasOrdinary = true;
  }

  finding(): Finding {
    const isThere = (kind: DocumentKind) => this.#documents.has(kind) || this.#isLinked(kind);
    if (isThere("index") && isThere("manifest")) return refused(misplaced.CONTRADICTION);
    if (isThere("index")) return { kind: "image", form: "oci", isDockerToo: isThere("docker") };
    if (this.#linked.has("oci-layout")) return refused(misplaced.LINKED_LAYOUT);
    if (isThere("docker")) return { kind: "image", form: "docker" };
    if (isThere("manifest")) return { kind: "image", form: "skopeo" };
    if (isThere("layout") || this.#hasBlobs) return refused(misplaced.NO_INDEX);
    if (this.#hasLegacy) return refused(misplaced.LEGACY_ARCHIVE);
    if (isThere("version")) return refused(misplaced.NO_MANIFEST);
    const found = this.#isSystem ? undefined : this.#otherThanSystem();
    const onlyParts = this.#hasOrdinary ? undefined : this.#onlyParts();
    const other = found ?? onlyParts;
    return other === undefined ? { kind: "files" } : refused(other);
  }

  /** What is no root file system unless it has the folders of one. */
  #otherThanSystem(): misplaced.Misplaced | undefined {
    if (this.#documents.has("aci")) return misplaced.APP_CONTAINER;
    if (this.#documents.has("runtime")) return misplaced.RUNTIME_BUNDLE;
    if (this.#misplaced !== undefined) return this.#misplaced;
    if (this.#nestedImage !== undefined) return nestedImage(this.#nestedImage);
    if (this.#imageArchive === undefined) return undefined;
    return misplaced.nestedArchive(printable(this.#imageArchive));
  }

  /** Whether a document is a link that other files make believable. */
  #isLinked(kind: DocumentKind): boolean {
    if (kind === "index") return this.#hasBlobs && this.#linked.has("index.json");
    if (kind !== "docker" || this.#hasOrdinary || !this.#linked.has("manifest.json")) return false;
    return this.#hasParts || this.#archive !== undefined;
  }

  /** What is an image whatever else is there. */
  #addNested(name: ByteString, isRegular: boolean): number {
    if (this.#isSystem) return 0;
    if (NESTED_PLACE.test(name)) this.#nestedImage ??= name;
    if (!isRegular) return 0;
    if (documentNameOf(name) !== undefined) return limits.manifestBytes;
    return ARCHIVE.test(name) ? ARCHIVE_HEAD_BYTES : 0;
  }

  /** What only matters as long as there is nothing else. */
  #addToOnly(name: ByteString, isRegular: boolean): number {
    const inRoot = !name.includes("/");
    if (this.#hasOrdinary) return 0;
    if (NESTED_BLOB.test(name)) this.#nestedBlob ??= name;
    else if (DOCUMENT.test(name)) this.#hasNestedDocument = true;
    else if (PART.test(name)) this.#addPart(name);
    else if (this.#lookForArchives && isRegular && (inRoot || ARCHIVE.test(name)))
      return ARCHIVE_HEAD_BYTES;
    else if (!inRoot) this.#hasOrdinary = true;
    return 0;
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
    if (this.#isEmpty && this.#lookForArchives) return misplaced.NOTHING;
    if (this.#hasParts || this.#documents.has("none")) return misplaced.NO_MANIFEST;
    const nested = this.#nestedBlob ?? (this.#hasNestedDocument ? this.#nestedPart : undefined);
    if (nested !== undefined) return nestedImage(nested);
    if (this.#archive === undefined || !this.#lookForArchives) return undefined;
    return misplaced.nestedArchive(printable(this.#archive));
  }
}

/** The folder in which a part of an image has the place that it has in an image. */
function nestedImage(part: ByteString): misplaced.Misplaced {
  const place = /(?:^|\/)(?:blobs\/.*|[^/]*(?:\/(?:json|VERSION|layer\.tar))?)$/s;
  return misplaced.nestedImage(printable(part.replace(place, "") as ByteString));
}

function refused(found: misplaced.Misplaced): Finding {
  return { kind: "misplaced", misplaced: found };
}
