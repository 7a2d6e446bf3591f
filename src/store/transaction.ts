/**
 * Publishing into a store, so that after a crash or a power failure the store has everything that
 * its names lead to:
 *
 * 1. objects are written to a staging directory while they are hashed;
 * 2. one sync of the file system: now their content is on the disk;
 * 3. each is renamed to its name;
 * 4. a second sync: now the names are on the disk too;
 * 5. only then `images/<id>` and `images/refs/<name>` are renamed into place, each followed by an
 *    fsync of its directory.
 *
 * A sync that fails ends the transaction and is never tried again: the kernel reports a lost write
 * once, and a second sync would succeed. Without step 2 a crash can leave objects with a right name
 * and no content; that is also why an object that the store already has is compared, not trusted.
 *
 * Where the file system has fs-verity it is turned on before step 2, so that every visible object
 * is checked by the kernel. The other durabilities are described in `durability.ts`.
 *
 * Spec: docs/store.md, "Transactions".
 *
 * @module
 */
import { dirname } from "node:path";
import type { Platform } from "../platform/platform.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { bundlePath } from "./bundles.ts";
import { type Durability, Syncs } from "./durability.ts";
import { failure } from "../fs/failure.ts";
import { REFS, imageLinkTarget, refLinkTarget } from "./layout.ts";
import { StoreLock } from "./lock.ts";
import { type MovedRefs, type NamedImage, refsToMove, removeRef } from "./moved-refs.ts";
import { seekIndexOf, seekIndexPath } from "./seek-indexes.ts";
import { FreeSpace } from "./space.ts";
import { StagedFile, writeStagedFile } from "../fs/staged-file.ts";
import { type Published, type StagedObject, StagedObjects } from "./staged-objects.ts";
import { StagingDirectory, reapStaging } from "./staging.ts";
import type { Store } from "./store.ts";

export type { Durability } from "./durability.ts";

export interface TransactionOptions {
  /** `transaction` by default. */
  readonly durability?: Durability | undefined;
  /** Per cent of the file system that stay free, 3 by default; 0 turns the check off. */
  readonly minFree?: number | undefined;
  /** Replaces the sync of the file system, in tests. */
  readonly sync?: () => void;
}

/** An image, and what belongs to it. */
export interface ImagePublication {
  /** Its bytes are one of the objects or in the store. */
  readonly image: VerityDigest;
  /** A name for the image; its platform, where it is for one. */
  readonly name?: string | undefined;
  readonly platform?: Platform | undefined;
  /** Signed statements about the image. */
  readonly bundles?: readonly NewBundle[];
  /** Seek indexes for the image. */
  readonly seekIndexes?: readonly Uint8Array[];
}

/** What a transaction makes visible. */
export interface Publication extends Partial<ImagePublication> {
  /** The staged objects that are wanted; all of them when not given. */
  readonly objects?: ReadonlySet<VerityDigest>;
  /** More images, whose names change together with the first one's. */
  readonly further?: readonly ImagePublication[];
  /** Names of files that were kept by {@link Transaction.keep}: they come to their places. */
  readonly kept?: Iterable<string>;
}

/** A signed statement to be stored under its signer's key id. */
export interface NewBundle {
  readonly keyId: string;
  readonly bytes: Uint8Array;
  /** The name that it is about; a bundle by the same key for the same name is replaced. */
  readonly name?: string;
  /** The platform that it names; as the name. */
  readonly platform?: Platform | undefined;
}

/** A staged file or link, by its name in the staging directory, and its name in the store. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/** One writer's work on a store, from the first object to the name. */
export class Transaction {
  readonly store: Store;
  readonly #lock: StoreLock;
  readonly #staging: StagingDirectory;
  readonly #syncs: Syncs;
  readonly #space: FreeSpace;
  readonly #objects: StagedObjects;
  /** Other files: name in the store to name in the staging directory. */
  readonly #kept = new Map<string, string>();
  #keeping = 0;
  #state: "open" | "published" | "closed" = "open";

  private constructor(store: Store, options: TransactionOptions) {
    this.store = store;
    this.#lock = StoreLock.shared(store);
    let staging: StagingDirectory | undefined;
    try {
      reapStaging(store);
      this.#space = new FreeSpace(store.files, options.minFree);
      staging = StagingDirectory.create(store);
      this.#syncs = new Syncs(store.files, options.durability ?? "transaction", options.sync);
      this.#staging = staging;
    } catch (error) {
      staging?.remove();
      this.#lock.release();
      throw failure(`store ${store.path}`, error);
    }
    this.#objects = new StagedObjects(store, this.#staging, {
      space: this.#space,
      sync: this.#syncs.eachFile,
    });
  }

  /**
   * Starts writing. End with {@link close}, always.
   *
   * @throws {@link SystemError} `READ_ONLY`, `PERMISSION` or `NO_SPACE`; `BUSY` while the store is
   *   being cleaned up
   */
  static begin(store: Store, options: TransactionOptions = {}): Transaction {
    return new Transaction(store, options);
  }

  /**
   * Makes sure that there is room for those of the objects, by digest and size, that the store
   * lacks.
   *
   * @throws {@link SystemError} `NO_SPACE`
   */
  reserve(objects: ReadonlyMap<VerityDigest, number>): void {
    this.#attempt(() => this.#space.require(this.#objects.bytesOfAbsent(objects)));
  }

  /** Stages an object whose content is at hand. `digest` is what the caller has computed of it. */
  put(digest: VerityDigest, content: Uint8Array): void {
    this.#attempt(() => this.#objects.put(digest, content));
  }

  /** Stages an object that arrives in parts. */
  stage(): StagedObject {
    const staged = this.#attempt(() => this.#objects.stage());
    return {
      ...staged,
      finish: (digest, leaves) => this.#attempt(() => staged.finish(digest, leaves)),
    };
  }

  /**
   * Stages an open file as a clone that shares its blocks, and gives the digest of the clone;
   * undefined where that is not possible.
   */
  clone(source: number): VerityDigest | undefined {
    return this.#attempt(() => this.#objects.clone(source, this.store.algorithm));
  }

  /** Stages an object that lies whole in a file of this store's `tmp/`; the file moves. */
  adopt(name: string, digest: VerityDigest, size: number): void {
    this.#attempt(() => this.#objects.adopt(name, digest, size));
  }

  /** Whether the object was staged already. */
  has(digest: VerityDigest): boolean {
    return this.#objects.has(digest);
  }

  /**
   * Takes those objects for there, by digest and size, that the store has as files of that size: what
   * was published once and is asked for by its name needs no second reading. Returns the others.
   */
  trust(objects: ReadonlyMap<VerityDigest, number>): VerityDigest[] {
    return this.#attempt(() => this.#objects.trust(objects));
  }

  /**
   * Stages another file of the store, which {@link publish} brings to its place if told to, in a folder
   * that is there.
   */
  keep(name: string, parts: readonly Uint8Array[]): void {
    this.#attempt(() => {
      const staged = `kept-${this.#keeping++}`;
      const file = new StagedFile(this.#staging.files, staged);
      for (const part of parts) file.write(part);
      file.close(this.#syncs.eachFile);
      this.#kept.set(name, staged);
    });
  }

  /** The bytes of a file that this transaction has kept under that name. */
  kept(name: string): Uint8Array | undefined {
    const staged = this.#kept.get(name);
    if (staged === undefined) return undefined;
    return this.#attempt(() => this.#staging.files.readRegular(staged, Infinity));
  }

  /**
   * Makes everything visible, in the order that the module describes. Once only.
   *
   * @throws {@link SystemError} `IO` or `NO_SPACE` when something could not be brought to the disk:
   *   no name leads to the image then
   */
  publish(publication: Publication = {}): Published {
    if (this.#state !== "open") throw new TypeError(`transaction: publish when ${this.#state}`);
    this.#state = "published";
    return this.#attempt(() => {
      const images = imagesOf(publication);
      const refs = refsToMove(this.store, images.flatMap(named));
      const annexes = [...this.#stageAnnexes(images), ...this.#movesOf(publication.kept ?? [])];
      const links = this.#stageLinks(images, refs.moved);
      this.#objects.protect(publication.objects);
      this.#syncs.contents();
      const published = this.#objects.publish(publication.objects);
      const changed = new Set(this.#objects.directories);
      for (const move of annexes) {
        const target = dirname(this.#move(move));
        changed.add(target).add(dirname(target));
      }
      this.#syncs.names(changed);
      for (const link of links) this.#syncs.name(this.#move(link));
      this.#removeRefs(refs.outdated);
      if (this.#syncs.durability !== "none") this.#lock.confirm();
      return published;
    });
  }

  /** Removes what was not published and releases the locks. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#staging.remove();
    this.#syncs.close();
    this.#lock.release();
  }

  /** Bundles and seek indexes. */
  #stageAnnexes(images: readonly ImagePublication[]): Move[] {
    const files = images.flatMap(({ image, bundles = [], seekIndexes = [] }) => [
      ...seekIndexes.map((bytes) => ({ bytes, to: seekIndexPath(image, seekIndexOf(bytes)) })),
      ...bundles.map(({ keyId, bytes, ...about }) => {
        return { bytes, to: bundlePath(image, keyId, about) };
      }),
    ]);
    return files.map(({ bytes, to }, index) => {
      const from = `annex-${index}`;
      writeStagedFile(this.#staging.files, from, bytes, this.#syncs.eachFile);
      return { from, to };
    });
  }

  #movesOf(kept: Iterable<string>): Move[] {
    return [...new Set(kept)].map((to) => ({ from: this.#kept.get(to)!, to }));
  }

  /** Made before the first sync, so that it covers them. */
  #stageLinks(images: readonly ImagePublication[], refs: MovedRefs["moved"]): Move[] {
    const links = [
      ...images.map(({ image }) => ({ target: imageLinkTarget(image), to: `images/${image}` })),
      ...refs.map(({ ref, id }) => ({ target: refLinkTarget(id), to: ref })),
    ];
    return links.map(({ target, to }, index) => {
      const from = `link-${index}`;
      this.#staging.files.symlink(target, from);
      return { from, to };
    });
  }

  /** Only once the name leads to the new image. */
  #removeRefs(refs: readonly string[]): void {
    for (const ref of refs) removeRef(this.store, ref);
    if (refs.length > 0) this.#syncs.names(new Set([REFS]));
  }

  #move({ from, to }: Move): string {
    const { files } = this.store;
    if (/^(?:bundles|seek)\//.test(to)) files.makeDirectory(dirname(to));
    this.#staging.files.rename(from, to, files);
    return to;
  }

  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw failure(`store ${this.store.path}`, error);
    }
  }
}

function imagesOf({ image, further = [], ...first }: Publication): readonly ImagePublication[] {
  return image === undefined ? further : [{ ...first, image }, ...further];
}

function named({ image: id, name, platform }: ImagePublication): NamedImage[] {
  return name === undefined ? [] : [{ id, name, platform }];
}
