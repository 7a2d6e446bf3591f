/**
 * The names under which other tools of the composefs family state the digest of an image: a label,
 * a boot argument and annotations. They are all in this file, because some are drafts.
 *
 * - label `containers.composefs.fsverity`: the digest in hex (composefs, and composefs-rs until
 *   2026; its `oci fsck` still compares it);
 * - boot argument `composefs.digest=v1-sha256-12:<hex>` (or `v1-sha512-12`), as the initramfs of
 *   composefs-rs and bootc reads it.
 *
 * - annotations of a manifest, by the composefs project's draft for sealed images:
 *   `composefs.merged.erofs.v1.fsverity-sha256-12` is the digest of the image of all layers, the
 *   same with `.sig` the base64 of the PKCS#7 signature over it (see `pkcs7.ts`);
 * - by the same draft, an artifact that refers to the image's manifest and has a signature per
 *   layer, each annotated with the digest of what it signs: the manifest's and the configuration's
 *   bytes, and the image (see `sealed-layout.ts`).
 *
 * A digest is only as trustworthy as what carries it: a boot argument when it is inside a signed
 * kernel image, a label when the manifest is signed.
 *
 * Spec: docs/registry-artifact.md, "Composefs names".
 *
 * @module
 */
import { asObject, stringMap, verifyOnce } from "../bytes/json-fields.ts";
import type { JsonObject } from "../bytes/json.ts";
import type { Image } from "../erofs/image.ts";
import { objectsOf } from "../erofs/object-list.ts";
import { IntegrityError, NotFoundError } from "../errors.ts";
import type { OciImage } from "../oci/image.ts";
import { encodeBase64 } from "../trust/base64.ts";
import { type VerityAlgorithm, type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";

/** The label that holds the digest. */
const COMPOSEFS_LABEL = "containers.composefs.fsverity";

/** The digest by which other tools know the image; by default with the algorithm of its objects. */
export function familyDigest(image: Image, algorithm?: VerityAlgorithm): VerityDigest {
  const [first] = objectsOf(image).keys();
  const natural = first === undefined ? "sha256" : algorithmOf(first);
  return verityDigestOf(image.bytes, algorithm ?? natural);
}

/** `containers.composefs.fsverity=<hex>`, as `--label` of podman, buildah and crane takes it. */
export function composefsLabel(digest: VerityDigest): string {
  return `${COMPOSEFS_LABEL}=${digest}`;
}

/** `composefs.digest=v1-sha256-12:<hex>`. */
export function bootArgument(digest: VerityDigest): string {
  return `composefs.digest=v1-${algorithmOf(digest)}-12:${digest}`;
}

/** What the draft signs, in its order. */
export const draftParts = ["manifest", "config", "merged"] as const;
export type DraftPart = (typeof draftParts)[number];

/** The draft's media types of an artifact, of its configuration, and of its layers. */
export const DRAFT_ARTIFACT = "application/vnd.composefs.metadata.v1";
export const DRAFT_CONFIG = "application/vnd.oci.empty.v1+json";
export const DRAFT_SIGNATURE = "application/vnd.composefs.signature.v1+pkcs7";

/** The annotation that holds the digest of a part. */
export function draftKey(part: DraftPart, algorithm: VerityAlgorithm): string {
  const what = part === "merged" ? "merged.erofs.v1" : part;
  return `composefs.${what}.fsverity-${algorithm}-12`;
}

/** The two annotations of a manifest: digest, and signature. */
export function draftAnnotations(digest: VerityDigest, signature: Uint8Array): [string, string][] {
  const key = draftKey("merged", algorithmOf(digest));
  return [
    [key, digest],
    [`${key}.sig`, encodeBase64(signature)],
  ];
}

/**
 * Compares the label of an OCI image with the digest of what was built from it.
 *
 * @throws {@link NotFoundError} `NO_REF` when there is no label; {@link IntegrityError}
 *   `DIGEST_MISMATCH`; {@link FormatError} when the configuration's labels are malformed
 */
export function verifyLabel({ config, label: source }: OciImage, digest: VerityDigest): void {
  const labels = config === undefined ? undefined : labelsOf(config.document, source);
  const wanted = labels?.get(COMPOSEFS_LABEL);
  if (wanted === undefined) {
    throw new NotFoundError("NO_REF", `${source}: has no label ${COMPOSEFS_LABEL}`);
  }
  if (wanted === digest) return;
  throw new IntegrityError(
    "DIGEST_MISMATCH",
    `${source}: its label says ${wanted.slice(0, 140)}, the image is ${digest}`,
    { hint: "another tool or profile builds another image: sealfs explain says what differs" },
  );
}

function labelsOf(document: JsonObject, source: string): ReadonlyMap<string, string> {
  verifyOnce(document, ["config"], source);
  const runtime = asObject(document.get("config") ?? NOTHING, `${source}: config`);
  verifyOnce(runtime, ["Labels"], `${source}: config`);
  const labels = asObject(runtime.get("Labels") ?? NOTHING, `${source}: Labels`);
  verifyOnce(labels, [COMPOSEFS_LABEL], `${source}: Labels`);
  return stringMap(labels, `${source}: Labels`);
}

const NOTHING: JsonObject = new Map();
