/**
 * The composefs project's draft for sealed images in registries: an artifact beside the image whose
 * layers are PKCS#7 signatures over fs-verity digests. Written and read as an OCI layout, which any
 * tool copies to a registry; the registry finds it by its `subject`.
 *
 * Spec: docs/registry-artifact.md, "Composefs names"; composefs-rs, sealing specification
 * (draft of July 2026), artifact mode; OCI image spec 1.1.
 *
 * @module
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { asArray, asObject } from "../bytes/json-fields.ts";
import { type JsonValue, parseJson } from "../bytes/json.ts";
import { FormatError, IntegrityError, TrustError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { readFile, verifyBlob } from "../oci/blob.ts";
import { type Descriptor, parseDescriptor } from "../oci/descriptor.ts";
import { blobPath, digestOf } from "../oci/digest.ts";
import type { OciImage } from "../oci/image.ts";
import { DirectoryFiles } from "../oci/source/oci-layout.ts";
import { parseDocument } from "../oci/manifest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../oci/media-types.ts";
import {
  type VerityAlgorithm,
  type VerityDigest,
  algorithmOf,
  parseVerityDigest,
} from "../verity/verity-digest.ts";
import { verityDigestOf } from "../verity/hasher.ts";
import {
  DRAFT_ARTIFACT,
  DRAFT_CONFIG,
  DRAFT_SIGNATURE,
  type DraftPart,
  draftKey,
  draftParts,
} from "./marks.ts";
import { createFile } from "../fs/atomic-file.ts";
import { type Signatory, verifyPkcs7 } from "./pkcs7.ts";

/** What an artifact is about: the image's manifest, and the digests that are signed. */
export interface Sealed {
  readonly subject: Pick<Descriptor, "mediaType" | "digest" | "size">;
  readonly digests: ReadonlyMap<DraftPart, VerityDigest>;
}

/** An artifact: what it is about, and the signatures. */
export interface SealArtifact extends Sealed {
  readonly signatures: ReadonlyMap<DraftPart, Uint8Array>;
}

/**
 * What has to be signed for an OCI image whose bootstrap has the digest `merged`.
 *
 * @throws {@link UsageError} for a source without a manifest (a docker-archive, plain tars)
 */
export function sealedOf(source: OciImage, merged: VerityDigest): Sealed {
  const { manifestBytes, manifestDigest, mediaType, label } = source;
  if (manifestBytes === undefined || manifestDigest === undefined || mediaType === undefined) {
    throw new UsageError("USAGE", `${label}: has no manifest that an artifact could refer to`);
  }
  const algorithm = algorithmOf(merged);
  const configBytes = readConfig(source, manifestBytes, mediaType);
  return {
    subject: { mediaType, digest: manifestDigest, size: manifestBytes.length },
    digests: new Map([
      ["manifest", verityDigestOf(manifestBytes, algorithm)],
      ["config", verityDigestOf(configBytes, algorithm)],
      ["merged", merged],
    ]),
  };
}

function readConfig(source: OciImage, manifestBytes: Uint8Array, mediaType: string): Uint8Array {
  const what = `${source.label}: config`;
  const manifest = parseDocument(manifestBytes, mediaType, source.label);
  if (manifest.kind !== "manifest") throw new FormatError("MALFORMED", `${what}: in an index`);
  const { digest, size, annotations } = manifest.config;
  const files = {
    label: source.label,
    has: () => true,
    open: () =>
      source.openBlob({
        label: what,
        mediaType: undefined,
        compression: "none",
        digest,
        size,
        diffId: undefined,
        annotations,
      }),
    close() {},
  };
  const bytes = readFile(files, blobPath(digest), limits.manifestBytes, what);
  verifyBlob(bytes, manifest.config, what);
  return bytes;
}

/** Signs every part by `sign`. */
export function sealWith(sealed: Sealed, sign: (digest: VerityDigest) => Uint8Array): SealArtifact {
  const signatures = [...sealed.digests].map(([part, digest]) => [part, sign(digest)] as const);
  return { ...sealed, signatures: new Map(signatures) };
}

/**
 * Writes an artifact as an OCI layout into a directory that must not exist; returns the digest of
 * its manifest.
 *
 * @throws {@link UsageError} when the directory exists
 */
export function writeArtifact(directory: string, artifact: SealArtifact): string {
  if (existsSync(directory)) throw new UsageError("USAGE", `${directory}: exists already`);
  const empty = Buffer.from("{}");
  const descriptor = (mediaType: string, bytes: Uint8Array) => {
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const parts = draftParts.flatMap((part) => {
    const [digest, signature] = [artifact.digests.get(part), artifact.signatures.get(part)];
    return digest === undefined || signature === undefined ? [] : [{ part, digest, signature }];
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: DRAFT_ARTIFACT,
      config: descriptor(DRAFT_CONFIG, empty),
      layers: parts.map(({ part, digest, signature }) => ({
        ...descriptor(DRAFT_SIGNATURE, signature),
        annotations: { [draftKey(part, algorithmOf(digest))]: digest },
      })),
      subject: artifact.subject,
    }),
  );
  const entry = { ...descriptor(OCI_MANIFEST, manifest), artifactType: DRAFT_ARTIFACT };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] };
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const write = (path: string, bytes: Uint8Array) =>
    createFile(join(directory, path), bytes, { mode: 0o644, sync: true });
  const blobs = new Map(
    [empty, ...parts.map(({ signature }) => signature), manifest].map((bytes) => [
      blobPath(digestOf(bytes)),
      bytes,
    ]),
  );
  for (const [path, bytes] of blobs) write(path, bytes);
  write("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  // Last: without it there is no layout.
  write("index.json", Buffer.from(JSON.stringify(index)));
  return entry.digest;
}

/**
 * Reads an artifact that is alone in a layout. Nothing in it is trusted yet.
 *
 * @throws {@link FormatError} when it is not what the draft says; {@link IntegrityError} when a
 *   blob is not what its descriptor says
 */
export function readArtifact(directory: string): SealArtifact {
  const files = new DirectoryFiles(directory);
  const read = (descriptor: Descriptor) => {
    const what = `${directory}: ${descriptor.digest}`;
    const bytes = readFile(files, blobPath(descriptor.digest), limits.manifestBytes, what);
    verifyBlob(bytes, descriptor, what);
    return bytes;
  };
  const indexBytes = readFile(files, "index.json", limits.manifestBytes);
  const index = asObject(parseJson(indexBytes, { what: directory }), directory);
  const entries = asArray(index.get("manifests"), `${directory}: manifests`);
  if (entries.length !== 1) {
    const many = `${directory}: expected one artifact, got ${entries.length}`;
    throw new FormatError("AMBIGUOUS", many);
  }
  const entry = parseDescriptor(entries[0], `${directory}: manifest`);
  const what = `${directory}: ${entry.digest}`;
  const manifest = asObject(parseJson(read(entry), { what }), what);
  if (manifest.get("artifactType") !== DRAFT_ARTIFACT) {
    throw new FormatError("UNSUPPORTED", `${what}: expected artifactType ${DRAFT_ARTIFACT}`);
  }
  const { mediaType, digest, size } = parseDescriptor(manifest.get("subject"), `${what}: subject`);
  const digests = new Map<DraftPart, VerityDigest>();
  const signatures = new Map<DraftPart, Uint8Array>();
  const layers = asArray(manifest.get("layers"), `${what}: layers`);
  if (layers.length > limits.layers) {
    const got = layers.length;
    throw new FormatError("LIMIT", `${what}: expected at most ${limits.layers} layers, got ${got}`);
  }
  for (const value of layers) {
    const signed = partOf(value, what);
    if (signed === undefined) continue;
    const { part, layer } = signed;
    if (digests.has(part)) throw new FormatError("AMBIGUOUS", `${what}: ${part} is signed twice`);
    digests.set(part, signed.digest);
    signatures.set(part, read(layer));
  }
  return { subject: { mediaType, digest, size }, digests, signatures };
}

/** Undefined for a part that this version does not know, such as the image of one layer. */
function partOf(value: JsonValue, what: string) {
  const layer = parseDescriptor(value, `${what}: layer`);
  const [annotation, ...others] = layer.annotations;
  if (layer.mediaType !== DRAFT_SIGNATURE || annotation === undefined || others.length > 0) {
    throw new FormatError("MALFORMED", `${what}: expected a signature with one digest per layer`);
  }
  for (const algorithm of ["sha256", "sha512"] as const satisfies VerityAlgorithm[]) {
    const part = draftParts.find((each) => draftKey(each, algorithm) === annotation[0]);
    if (part === undefined) continue;
    const digest = parseVerityDigest(annotation[1]);
    if (algorithmOf(digest) === algorithm) return { part, digest, layer };
    throw new FormatError("MALFORMED", `${what}: ${annotation[0]}: a digest of another algorithm`);
  }
  return undefined;
}

/**
 * Requires the signatory to have signed exactly `expected`. Digests that `expected` does not have,
 * and its `subject` when absent, are not compared; yet every part of the artifact has to be signed.
 *
 * @throws {@link TrustError} `BAD_ENCODING` or `BAD_SIGNATURE`; `WRONG_IMAGE` for another image
 */
export function verifyArtifact(
  artifact: SealArtifact,
  expected: Pick<Sealed, "digests"> & Partial<Sealed>,
  signatory: Signatory,
): void {
  for (const part of draftParts) {
    const [digest, signature] = [artifact.digests.get(part), artifact.signatures.get(part)];
    if (digest === undefined || signature === undefined) {
      throw new TrustError("WRONG_IMAGE", `composefs artifact: has no signature of the ${part}`);
    }
    verifyPkcs7(signature, digest, signatory);
    const wanted = expected.digests.get(part);
    if (wanted !== undefined && wanted !== digest) {
      throw new TrustError(
        "WRONG_IMAGE",
        `composefs artifact: ${part}: signed was ${digest}, got ${wanted}`,
      );
    }
  }
  const { subject } = expected;
  if (subject === undefined || subject.digest === artifact.subject.digest) return;
  throw new IntegrityError(
    "DIGEST_MISMATCH",
    `composefs artifact: is about the manifest ${artifact.subject.digest}, not ${subject.digest}`,
  );
}
