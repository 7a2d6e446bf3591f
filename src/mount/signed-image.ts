/**
 * From what a person names to a verified image: a name in a store, an image's id, or a file.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { NotFoundError, UsageError } from "../errors.ts";
import { readKeyring } from "../image/key-files.ts";
import { type VerifiedImage, verifyImageFile } from "../image/verify.ts";
import { limits } from "../limits.ts";
import { readRegular } from "../store/files.ts";
import { Stores } from "../store/stores.ts";
import { ANY_NAME } from "../trust/verify.ts";
import { verityAlgorithms, verityDigestOf } from "../verity/index.ts";

/** What a person says about the image to be used. */
export interface ImageRequest {
  /** A name, an id, or a file; what starts with `/` or `.` is always a file. */
  readonly image: string;
  /** Store directories in order. */
  readonly stores: readonly string[];
  /** Public key files and folders of them. */
  readonly keys: readonly string[];
  readonly keyFolders: readonly string[];
  /** Bundle files; otherwise those that the stores have. */
  readonly bundles?: readonly string[];
  /** The name that must have been signed; needed for a file. An id needs none: it says more. */
  readonly name?: string;
  readonly now?: Date;
}

/** An image's bytes, with what is to be expected of them. */
interface Found {
  readonly bytes: Uint8Array;
  readonly bundles: readonly Uint8Array[];
  readonly name: string | typeof ANY_NAME;
}

/**
 * Reads the image once, and verifies those bytes.
 *
 * @throws {@link TrustError} when nobody trusted vouches for it; {@link FormatError} when it breaks
 *   the format; {@link NotFoundError}; {@link UsageError} for a file without a name
 */
export function openSignedImage(request: ImageRequest): VerifiedImage {
  const keyring = readKeyring(request.keys, request.keyFolders);
  const stores = Stores.open(request.stores);
  const found = isPath(request.image) ? inFile(request, stores) : inStores(request, stores);
  const given = request.bundles?.map((path) => readRegular(path, limits.envelopeBytes, path));
  return verifyImageFile({
    bytes: found.bytes,
    bundles: given ?? found.bundles,
    keyring,
    name: found.name,
    now: request.now ?? new Date(),
  });
}

const isPath = (text: string) => text.startsWith("/") || text.startsWith(".");

function inStores(request: ImageRequest, stores: Stores): Found {
  const { image } = request;
  try {
    const id = stores.resolve(image);
    const bundles = stores.readBundles(id).map(({ bytes }) => bytes);
    const asked = id === image ? ANY_NAME : image;
    return { bytes: stores.readImage(id), bundles, name: request.name ?? asked };
  } catch (error) {
    if (error instanceof NotFoundError && error.code === "NO_REF" && existsSync(image)) {
      return inFile(request, stores);
    }
    throw error;
  }
}

function inFile({ image, name }: ImageRequest, stores: Stores): Found {
  if (name === undefined) {
    throw new UsageError("USAGE", `image ${image}: a file does not say which name to expect`, {
      hint: "say it with --name",
    });
  }
  const bytes = readRegular(image, limits.imageBytes, image);
  const algorithms = Object.keys(verityAlgorithms) as (keyof typeof verityAlgorithms)[];
  const bundles = algorithms.flatMap((algorithm) =>
    stores.readBundles(verityDigestOf(bytes, algorithm)),
  );
  return { bytes, bundles: bundles.map((bundle) => bundle.bytes), name };
}
