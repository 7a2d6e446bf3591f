/**
 * The image of a server process, read from the descriptor that it was given. It need not stay in
 * memory: where the kernel serves names and attributes, it is only needed to put paths into the log.
 *
 * @module
 */
import { fstatSync, readSync } from "node:fs";
import { Image } from "../../erofs/image.ts";
import { IntegrityError } from "../../errors.ts";
import { type VerityDigest, algorithmOf, verityDigestOf } from "../../verity/index.ts";

/** Reads an image, and again when nobody held on to it. */
export class ImageSource {
  readonly #fd: number;
  readonly #digest: VerityDigest;
  #last: WeakRef<Image> | undefined;

  /** `fd` stays open; `digest` is what the image must have. */
  constructor(fd: number, digest: VerityDigest) {
    this.#fd = fd;
    this.#digest = digest;
  }

  /** @throws {@link IntegrityError} when the descriptor does not lead to the image */
  get(): Image {
    const held = this.#last?.deref();
    if (held !== undefined) return held;
    const image = Image.open(new Uint8Array(this.memory()));
    this.#last = new WeakRef(image);
    return image;
  }

  /**
   * The image's bytes, in memory that threads can share and nobody else can write to.
   *
   * @throws as {@link get}
   */
  memory(): SharedArrayBuffer {
    const held = this.#last?.deref();
    if (held !== undefined) return held.bytes.buffer as unknown as SharedArrayBuffer;
    const shared = new SharedArrayBuffer(fstatSync(this.#fd).size);
    const bytes = new Uint8Array(shared);
    for (let at = 0; at < bytes.length;) {
      const got = readSync(this.#fd, bytes, at, bytes.length - at, at);
      if (got === 0) throw new IntegrityError("SIZE_MISMATCH", `image: ends at ${at}`);
      at += got;
    }
    const digest = verityDigestOf(bytes, algorithmOf(this.#digest));
    if (digest === this.#digest) return shared;
    throw new IntegrityError("DIGEST_MISMATCH", `image: expected ${this.#digest}, got ${digest}`);
  }
}
