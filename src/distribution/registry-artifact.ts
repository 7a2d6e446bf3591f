/**
 * A bootstrap with all that belongs to it as one artifact in a registry: an image manifest whose
 * `subject` is the manifest of the OCI image that it was built from. Every other tool takes it for what
 * it is, an artifact of a kind that it does not know.
 *
 * Besides our own annotations it has the one of the composefs project's sealing draft that gives the
 * digest of the merged image (`composefs/marks.ts`).
 *
 * Spec: docs/registry-artifact.md, "Artifact"; OCI image spec 1.1, manifest.md, "Guidelines for
 * Artifact Usage".
 *
 * @module
 */
import { asArray, asObject, stringMap } from "../bytes/json-fields.ts";
import { parseJson } from "../bytes/json.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type Descriptor, parseDescriptor } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { OCI_MANIFEST } from "../oci/media-types.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";
import { draftKey } from "../composefs/marks.ts";

export const ARTIFACT_TYPE = "application/vnd.sealfs.bootstrap.v1";
const BOOTSTRAP = "application/vnd.sealfs.bootstrap.v1.erofs";
const SEEK_INDEX = "application/vnd.sealfs.seek.v1";
const LEAF_HASHES = "application/vnd.sealfs.leaves.v1";
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY = "application/vnd.oci.empty.v1+json";
/** Whose signature a bundle claims to be, so that those by trusted keys are looked at first. */
const KEY_ID = "dev.sealfs.key-id";
const NAME = "dev.sealfs.name";
/** The same of all bundles, which lists of referrers show. */
const KEY_IDS = "dev.sealfs.key-ids";

export const EMPTY_CONFIG: Uint8Array = Buffer.from("{}");

type Subject = Pick<Descriptor, "mediaType" | "digest" | "size">;

/** What an artifact is made of. */
export interface ArtifactContent {
  readonly subject: Subject;
  readonly id: VerityDigest;
  readonly bootstrap: Uint8Array;
  readonly bundles: readonly {
    readonly bytes: Uint8Array;
    readonly keyId: string;
    readonly name: string;
  }[];
  readonly seekIndexes: readonly Uint8Array[];
  /** See `leaf-hashes.ts`; empty for an image without large objects. */
  readonly leafHashes: Uint8Array;
}

/** The manifest's bytes, the same for the same content, and its annotations. */
export function formatArtifact(content: ArtifactContent): {
  bytes: Uint8Array;
  annotations: Record<string, string>;
} {
  const { subject, id, bootstrap, bundles, seekIndexes, leafHashes } = content;
  const descriptor = (
    mediaType: string,
    bytes: Uint8Array,
    annotations?: Record<string, string>,
  ) => {
    const base = { mediaType, digest: digestOf(bytes), size: bytes.length };
    return annotations === undefined ? base : { ...base, annotations };
  };
  const keyIds = [...new Set(bundles.map(({ keyId }) => keyId))].sort();
  const annotations = {
    [draftKey("merged", algorithmOf(id))]: id,
    [KEY_IDS]: keyIds.slice(0, limits.bundles).join(" "),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT_TYPE,
    config: descriptor(EMPTY, EMPTY_CONFIG),
    layers: [
      descriptor(BOOTSTRAP, bootstrap),
      ...bundles.map(({ bytes, keyId, name }) =>
        descriptor(BUNDLE, bytes, { [KEY_ID]: keyId, [NAME]: name }),
      ),
      ...seekIndexes.map((bytes) => descriptor(SEEK_INDEX, bytes)),
      ...(leafHashes.length > 0 ? [descriptor(LEAF_HASHES, leafHashes)] : []),
    ],
    subject,
    annotations,
  };
  return { bytes: Buffer.from(JSON.stringify(manifest)), annotations };
}

/** Whose signatures an entry of a list claims to have. */
export function claimedKeys({ annotations }: Pick<Descriptor, "annotations">): string[] {
  return annotations.get(KEY_IDS)?.split(" ") ?? [];
}

/** What an artifact says that it has; nothing of it is believed. */
export interface ParsedArtifact {
  readonly bootstrap: Descriptor;
  readonly bundles: readonly (Descriptor & { readonly keyId: string | undefined })[];
  readonly seekIndexes: readonly Descriptor[];
  readonly leafHashes: readonly Descriptor[];
}

/** @throws {@link FormatError} for what is no artifact of ours */
export function parseArtifact(bytes: Uint8Array, what: string): ParsedArtifact {
  const manifest = asObject(parseJson(bytes, { what, maxBytes: limits.manifestBytes }), what);
  if (manifest.get("artifactType") !== ARTIFACT_TYPE) {
    throw new FormatError("UNSUPPORTED", `${what}: expected artifactType ${ARTIFACT_TYPE}`);
  }
  stringMap(manifest.get("annotations"), `${what}: annotations`);
  const values = asArray(manifest.get("layers"), `${what}: layers`);
  if (values.length > limits.layers) {
    throw new FormatError(
      "LIMIT",
      `${what}: expected at most ${limits.layers} layers, got ${values.length}`,
    );
  }
  const layers = values.map((value, i) => parseDescriptor(value, `${what}: layers[${i}]`));
  const ofType = (type: string) => layers.filter(({ mediaType }) => mediaType === type);
  const [bootstrap, ...others] = ofType(BOOTSTRAP);
  if (bootstrap === undefined || others.length > 0) {
    const got = bootstrap === undefined ? 0 : 1 + others.length;
    throw new FormatError("MALFORMED", `${what}: expected one bootstrap, got ${got}`);
  }
  const bundles = ofType(BUNDLE).map((bundle) => ({
    ...bundle,
    keyId: bundle.annotations.get(KEY_ID),
  }));
  return {
    bootstrap,
    bundles,
    seekIndexes: ofType(SEEK_INDEX),
    leafHashes: ofType(LEAF_HASHES),
  };
}
