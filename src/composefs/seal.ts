/**
 * Seals images by the composefs project's draft, and checks such seals, from the files that a user
 * names. A certificate vouches for bytes, never for a name, a version or a time, so no mount relies
 * on one.
 *
 * @module
 */
import { limits } from "../limits.ts";
import { readSource } from "../oci/source/typed-source.ts";
import { type SourceOptions, openSource } from "../oci/source/open-source.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import {
  type Sealed,
  readArtifact,
  sealWith,
  sealedOf,
  verifyArtifact,
  writeArtifact,
} from "./sealed-layout.ts";
import { type DraftPart, familyDigest } from "./marks.ts";
import { isFolder, readSecretText } from "../keys/key-files.ts";
import { openImage } from "../verify/open-image.ts";
import {
  type Signatory,
  parseCertificate,
  parseSigningKey,
  signPkcs7,
  verifyPkcs7,
} from "./pkcs7.ts";
import { readUserFile } from "../fs/user-file.ts";

/** Where the artifact and the bare signature of an image file are by default. */
export const artifactBeside = (image: string): string => `${image}.composefs`;
export const signatureBeside = (image: string): string => `${image}.p7s`;

/** @throws {@link TrustError} `BAD_KEY`; {@link NotFoundError} */
export function readCertificate(path: string): Signatory {
  const text = readUserFile(path, limits.keyBytes, `certificate ${path}`);
  return parseCertificate(new TextDecoder().decode(text), `certificate ${path}`);
}

export interface SealRequest {
  readonly image: string;
  readonly stores?: readonly string[] | undefined;
  /** The OCI image that it was built from, and how to open it. */
  readonly source: string;
  readonly opening?: SourceOptions | undefined;
  readonly cert: string;
  readonly key: string;
  /** The directory to make. */
  readonly output: string;
}

/** Writes the artifact; returns the image's digest and that of the artifact's manifest. */
export async function sealImage(request: SealRequest): Promise<{
  digest: VerityDigest;
  artifact: string;
}> {
  const { image, stores, source, cert, key, output } = request;
  const digest = familyDigest(await openImage(image, stores));
  const signatory = readCertificate(cert);
  const privateKey = parseSigningKey(readSecretText(key), signatory, `private key ${key}`);
  const sealed = await sealedFrom(source, request.opening, digest);
  const signed = sealWith(sealed, (each) => signPkcs7(each, signatory, privateKey));
  return { digest, artifact: writeArtifact(output, signed) };
}

export interface SealCheck {
  readonly image: string;
  readonly stores?: readonly string[] | undefined;
  readonly cert: string;
  /** The OCI image, to compare manifest and configuration too. */
  readonly source?: string | undefined;
  readonly opening?: SourceOptions | undefined;
  /** An artifact's directory or a bare signature; by default what lies beside the image. */
  readonly signature?: string | undefined;
}

/** What is signed. */
export interface SealVerdict {
  readonly digest: VerityDigest;
  /** The parts that were compared; for a bare signature only the image. */
  readonly compared: readonly DraftPart[];
  /** The manifest that the artifact is about. */
  readonly subject: string | undefined;
}

/**
 * Checks an artifact or a bare signature.
 *
 * @throws as `verifyArtifact` and `verifyPkcs7`
 */
export async function checkSeal(request: SealCheck): Promise<SealVerdict> {
  const { image, stores, cert, source } = request;
  const digest = familyDigest(await openImage(image, stores));
  const signatory = readCertificate(cert);
  const path = request.signature ?? beside(image);
  if (!isFolder(path)) {
    const signature = readUserFile(path, limits.keyBytes, `signature ${path}`);
    verifyPkcs7(signature, digest, signatory);
    return { digest, compared: ["merged"], subject: undefined };
  }
  const artifact = readArtifact(path);
  const expected: Partial<Sealed> & Pick<Sealed, "digests"> =
    source === undefined
      ? { digests: new Map([["merged", digest]]) }
      : await sealedFrom(source, request.opening, digest);
  verifyArtifact(artifact, expected, signatory);
  return { digest, compared: [...expected.digests.keys()], subject: artifact.subject.digest };
}

async function sealedFrom(
  source: string,
  opening: SourceOptions | undefined,
  digest: VerityDigest,
): Promise<Sealed> {
  const opened = await openSource(readSource(source), opening);
  try {
    return sealedOf(opened, digest);
  } finally {
    opened.close();
  }
}

function beside(image: string): string {
  const artifact = artifactBeside(image);
  return isFolder(artifact) ? artifact : signatureBeside(image);
}
