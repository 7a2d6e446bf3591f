/**
 * Takes the entries of an exported image, in their order, and refuses everything that is not part of
 * it. Memory holds the image and its bundles; objects are staged while they stream by.
 *
 * @module
 */
import { objectsOf } from "../erofs/object-list.ts";
import { FormatError, IntegrityError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readClaim } from "../store/claims.ts";
import { imageLinkTarget, refLinkTarget } from "../store/layout.ts";
import { parseMeta } from "../store/meta.ts";
import { verifySeekIndex } from "../store/seek-indexes.ts";
import type { StagedObject } from "../store/staged-objects.ts";
import type { NewBundle, Transaction } from "../store/transaction.ts";
import type { ContentSink, TarEntry, TarHandler } from "../tar/entry.ts";
import { parseBundle } from "../trust/bundle.ts";
import type { SeekIndexFile } from "../trust/statement.ts";
import type { Image } from "../erofs/image.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { VerityHasher, verityDigestOf } from "../verity/hasher.ts";
import { type ArchivePath, parseArchivePath } from "./archive-layout.ts";

/** What stands before the objects. */
export interface ArchiveHead {
  readonly id: VerityDigest;
  readonly name: string | undefined;
  readonly bundles: readonly NewBundle[];
  /** Those that the bundles name, as far as they are there. */
  readonly seekIndexes: readonly Uint8Array[];
}

/** What the intake asks of who imports. */
export interface IntakeOptions {
  /** Called once the algorithm is known, before anything is staged. */
  readonly begin: (algorithm: VerityAlgorithm) => Transaction;
  /** Judges the image, whose bytes have the digest `head.id`; throws to refuse it. */
  readonly accept: (bytes: Uint8Array, head: ArchiveHead) => Image;
}

/** Objects up to this size are hashed in one piece, and need not be written when they are known. */
const WHOLE_BYTES = 256 * 1024;
const order = ["meta", "image", "ref", "bundle", "seek", "object"] as const;
const IMAGE_AT = order.indexOf("image");
const REF_AT = order.indexOf("ref");

/** The state of one import. */
export class ImportIntake implements TarHandler {
  readonly #options: IntakeOptions;
  readonly #bundles: NewBundle[] = [];
  readonly #named = new Map<string, SeekIndexFile>(); // seek indexes still to come
  readonly #seekIndexes: Uint8Array[] = [];
  #seekBytes = 0;
  readonly #seen = new Set<VerityDigest>();
  /** Index of the last entry's kind in the order. */
  #last = -1;
  #algorithm: VerityAlgorithm | undefined;
  #id: VerityDigest | undefined;
  #name: string | undefined;
  #expected: ReadonlyMap<VerityDigest, number> | undefined;
  #transaction: Transaction | undefined;
  #streamed: StagedObject | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get transaction(): Transaction | undefined {
    return this.#transaction;
  }

  /** Lets go of an object that did not come to its end. */
  abandon(): void {
    this.#streamed?.abandon();
    this.#streamed = undefined;
  }

  /**
   * What was imported, once the archive has come to its end, and the objects that it lacked.
   *
   * @throws {@link FormatError} `TRUNCATED` when it held no image
   */
  finish(): ArchiveHead & { missing: ReadonlyMap<VerityDigest, number> } {
    const expected = this.#expected;
    if (expected === undefined) throw new FormatError("TRUNCATED", "archive: holds no image");
    const missing = new Map([...expected].filter(([digest]) => !this.#seen.has(digest)));
    return { ...this.#head(), missing };
  }

  entry(entry: TarEntry): ContentSink | undefined {
    const path = parseArchivePath(entry.path);
    this.#advance(path);
    const wanted = path.kind === "image" || path.kind === "ref" ? "symlink" : "file";
    if (entry.type !== wanted) {
      throw malformed(`${entry.path}: expected a ${wanted}, got a ${entry.type}`);
    }
    switch (path.kind) {
      case "meta":
        return this.#collect(entry, limits.metaBytes, (bytes) => {
          this.#algorithm = parseMeta(bytes).algorithm;
        });
      case "image":
        return this.#takeImage(entry, path.id);
      case "ref":
        return this.#takeRef(entry, path.name);
      case "bundle":
        return this.#takeBundle(entry, path.id);
      case "seek":
        return this.#takeSeekIndex(entry, path.id, path.digest);
      case "object":
        return this.#takeObject(entry, path.digest);
    }
  }

  /** Kinds come in their order; meta, image and ref once, and only a ref may be absent. */
  #advance({ kind }: ArchivePath): void {
    const at = order.indexOf(kind);
    const last = this.#last;
    const isNext = at === last + 1 || (last >= IMAGE_AT && at > last);
    const isMore = at === last && at > REF_AT;
    if (!isNext && !isMore) throw malformed(`unexpected ${kind}`);
    this.#last = at;
  }

  #takeImage(entry: TarEntry, id: VerityDigest): undefined {
    if (this.#algorithm === undefined) throw malformed("meta.json is empty");
    if (algorithmOf(id) !== this.#algorithm) {
      throw malformed(`image ${id} is not of the algorithm ${this.#algorithm}`);
    }
    requireTarget(entry, imageLinkTarget(id));
    this.#id = id;
  }

  #takeRef(entry: TarEntry, name: string): undefined {
    requireTarget(entry, refLinkTarget(this.#id!));
    this.#name = name;
  }

  #takeBundle(entry: TarEntry, id: VerityDigest): ContentSink {
    if (id !== this.#id) throw malformed(`a bundle about the image ${id}`);
    if (this.#bundles.length === limits.bundles) {
      throw new FormatError(
        "LIMIT",
        `archive: expected at most ${limits.bundles} bundles, got more`,
      );
    }
    return this.#collect(entry, limits.envelopeBytes, (bytes) => {
      const keyId = parseBundle(bytes).signatures[0]?.keyId ?? "";
      const claim = readClaim({ keyId, bytes });
      if (claim.id !== id) throw malformed(`a bundle that is about the image ${claim.id}`);
      const { name, platform, seekIndex } = claim;
      if (seekIndex !== undefined) this.#named.set(seekIndex.digest, seekIndex);
      this.#bundles.push({ keyId: keyId === "" ? "unnamed" : keyId, bytes, name, platform });
    });
  }

  #takeSeekIndex(entry: TarEntry, id: VerityDigest, digest: string): ContentSink {
    const named = this.#named.get(digest);
    if (id !== this.#id || named === undefined) {
      throw malformed(`${entry.path}: no bundle names this seek index`);
    }
    this.#named.delete(digest);
    this.#seekBytes += entry.size;
    const most = limits.seekIndexBytes - this.#seekBytes + entry.size;
    return this.#collect(entry, most, (bytes) => {
      verifySeekIndex(bytes, named, entry.path);
      this.#seekIndexes.push(bytes);
    });
  }

  #takeObject(entry: TarEntry, digest: VerityDigest): ContentSink | undefined {
    if (this.#expected === undefined) return this.#takeImageBytes(entry, digest);
    const size = this.#expected.get(digest);
    if (size === undefined) throw malformed(`object ${digest} is not of this image`);
    if (this.#seen.has(digest)) throw malformed(`object ${digest} is there twice`);
    if (entry.size !== size) {
      const message = `object ${digest}: expected ${size} bytes, got ${entry.size}`;
      throw new IntegrityError("SIZE_MISMATCH", message);
    }
    this.#seen.add(digest);
    if (size > WHOLE_BYTES) return this.#stream(digest);
    return this.#collect(entry, WHOLE_BYTES, (bytes) => {
      requireDigest(digest, verityDigestOf(bytes, algorithmOf(digest)));
      this.#transaction!.put(digest, bytes);
    });
  }

  /** The image comes first: what else may come, it says. */
  #takeImageBytes(entry: TarEntry, digest: VerityDigest): ContentSink {
    if (digest !== this.#id) throw malformed(`expected the image ${this.#id}, got ${digest}`);
    return this.#collect(entry, limits.imageBytes, (bytes) => {
      requireDigest(digest, verityDigestOf(bytes, algorithmOf(digest)));
      const image = this.#options.accept(bytes, this.#head());
      this.#expected = objectsOf(image);
      this.#transaction = this.#options.begin(this.#algorithm!);
      this.#transaction.reserve(this.#expected);
      this.#transaction.put(digest, bytes);
    });
  }

  #head(): ArchiveHead {
    return {
      id: this.#id!,
      name: this.#name,
      bundles: this.#bundles,
      seekIndexes: this.#seekIndexes,
    };
  }

  /** A sink for something small enough to be held. */
  #collect(entry: TarEntry, max: number, use: (bytes: Uint8Array) => void): ContentSink {
    const { path, size } = entry;
    if (size === 0) throw malformed(`${path}: is empty`);
    if (size > max) {
      throw new FormatError(
        "LIMIT",
        `archive: ${path}: expected at most ${max} bytes, got ${size}`,
      );
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    return {
      write: (chunk) => {
        bytes.set(chunk, at);
        at += chunk.length;
      },
      end: () => use(bytes),
    };
  }

  #stream(digest: VerityDigest): ContentSink {
    const staged = this.#transaction!.stage();
    const hasher = new VerityHasher(algorithmOf(digest), { keepLeaves: true });
    this.#streamed = staged;
    return {
      write: (chunk) => {
        hasher.update(chunk);
        staged.write(chunk);
      },
      end: () => {
        requireDigest(digest, hasher.digest());
        staged.finish(digest, hasher.leaves());
        this.#streamed = undefined;
      },
    };
  }
}

function requireDigest(expected: VerityDigest, got: VerityDigest): void {
  if (got === expected) return;
  throw new IntegrityError(
    "DIGEST_MISMATCH",
    `archive: object ${expected}: its content has ${got}`,
  );
}

function requireTarget({ path, linkPath }: TarEntry, expected: string): void {
  if (linkPath === expected) return;
  throw malformed(`${path}: expected a link to ${expected}, got ${JSON.stringify(linkPath)}`);
}

function malformed(message: string): FormatError {
  return new FormatError("MALFORMED", `archive: ${message}`);
}
